"""Where nothing is said: what is trimmed from the ends of a clip, and where long audio is cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serve_app.engines import HEARING_RATE, Pcm

FRAME = HEARING_RATE // 50
"""20 ms: the piece whose loudness is looked at."""
QUIET = 10 ** (-50 / 20) * 32768
"""Where no frame's root mean square is above it, nothing is said: models hear "You" in silence. A quiet room has -60 dBFS."""
FADED = 10 ** (-35 / 20)
"""Against the loudest frame: what is below it at the ends is trimmed."""
MARGIN_FRAMES = 10
"""Quiet kept around what is heard."""
CUT_FRAMES = 10
"""200 ms, whose middle is the cut."""


def quietest(pcm: Pcm, start: int, end: int) -> int | None:
    """The sample in the middle of the quietest 200 ms between two; None where there are not so many."""
    if end - start < CUT_FRAMES * FRAME:
        return None
    loudness = np.convolve(_loudness(pcm[start:end]), np.ones(CUT_FRAMES), "valid")
    return start + (int(loudness.argmin()) + CUT_FRAMES // 2) * FRAME


def is_lull(pcm: Pcm, at: int) -> bool:
    """Whether nothing is said in the 200 ms around the sample, as far as the rest of `pcm` tells."""
    around = _loudness(pcm[max(0, at - CUT_FRAMES // 2 * FRAME) : at + CUT_FRAMES // 2 * FRAME])
    return bool(around.max(initial=0.0) <= max(QUIET, FADED * _loudness(pcm).max(initial=0.0)))


def heard(pcm: Pcm) -> tuple[int, int]:
    """First sample and end of what is not quiet, with a margin. A model would spend time on the rest and put words into it. Both are
    the same where nothing is heard."""
    loudness = _loudness(pcm)
    if loudness.max(initial=0.0) <= QUIET:
        return 0, 0
    loud = np.flatnonzero(loudness > FADED * loudness.max())
    return max(0, int(loud[0]) - MARGIN_FRAMES) * FRAME, min(len(pcm), (int(loud[-1]) + 1 + MARGIN_FRAMES) * FRAME)


def _loudness(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Root mean square of each whole frame."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    return np.sqrt(np.mean(frames**2, axis=1))
