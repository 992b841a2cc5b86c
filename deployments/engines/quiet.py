"""Where nothing is said: what is trimmed from the ends of a clip, and where long audio is cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from serve_app.engines import HEARING_RATE, Pcm

FRAME = HEARING_RATE // 50
"""20 ms: the piece whose loudness is looked at."""
SILENT = 10 ** (-80 / 20) * 32768
"""Where no frame's root mean square is above it, nothing is said: models hear "You" in silence. Speech this faint is three steps of 16
bits. Whether louder sound is speech, voice activity has said before (serve_app/speech_gate.py)."""
QUIET = 10 ** (-50 / 20) * 32768
"""A quiet room has -60 dBFS. Below this even sound is no speech, and speech of the usual loudness has a lull."""
EVEN = 2.0
"""The loudest frame against the middle one: hiss has 1.1, speech more than 3."""
FADED = 10 ** (-35 / 20)
"""Against the loudest frames: what is below it at the ends is trimmed."""
LOUDEST_FRAMES = 5
"""So many are as loud at least as what the rest is held against: a click is shorter."""
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
    loudest = _loudness(pcm).max(initial=0.0)
    return bool(around.max(initial=0.0) <= max(min(QUIET, loudest / 10), FADED * loudest))


def heard(pcm: Pcm) -> tuple[int, int]:
    """First sample and end of what is not quiet, with a margin. A model would spend time on the rest and put words into it. Both are
    the same where nothing is heard."""
    loudness = _loudness(pcm)
    loudest = loudness.max(initial=0.0)
    if loudest <= SILENT or (loudest <= QUIET and loudest <= EVEN * np.median(loudness)):
        return 0, 0
    loudest = np.sort(loudness)[-LOUDEST_FRAMES:][0]
    loud = np.flatnonzero(loudness >= max(SILENT, FADED * loudest))
    return max(0, int(loud[0]) - MARGIN_FRAMES) * FRAME, min(len(pcm), (int(loud[-1]) + 1 + MARGIN_FRAMES) * FRAME)


def _loudness(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Root mean square of each whole frame."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    return np.sqrt(np.mean(frames**2, axis=1))
