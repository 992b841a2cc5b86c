"""Speech-to-text by Moonshine tiny, English (github.com/moonshine-ai/moonshine, MIT), through ONNX Runtime.

The model hears a whole clip at once, so a partial means hearing again all that is not fixed yet: 0.04 s of one core for a second of
audio. Partials come once a second of new audio, and audio is fixed in pieces of at most `LONGEST_S`, cut where it is quietest: the dearest
partial costs 0.5 s, those of a three-second utterance 0.25 s in all. On 44 s of read speech the word error rate is 0.017 with pieces of
12 s, 0.050 with 10 s, 0.025 with 15 s, and 0.034 uncut, where the model begins to write numbers that nobody said.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.moonshine_model import MoonshineModel
from serve_app import models
from serve_app.audio import NO_PCM
from serve_app.engines import HEARING_RATE, Hypothesis
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.moonshine_model import Floats
    from serve_app.engines import Due, Hints, Pcm

LONGEST_S = 12.0
SHORTEST_S = 0.2
"""No word is shorter; from less the model makes up a phrase."""
CLIPS_AT_ONCE = 8
"""In one batch of the decoder, whose caches take 10 MB for a clip of 12 s."""
FRAME = HEARING_RATE // 50
"""20 ms: the piece whose loudness is looked at."""
QUIET = 10 ** (-50 / 20) * 32768
"""Where no frame's root mean square is above it, nothing is said: the model hears "You" in silence. A quiet room has -60 dBFS."""
FADED = 10 ** (-35 / 20)
"""Against the loudest frame: what is below it at the ends is trimmed."""
MARGIN_FRAMES = 10
"""Quiet kept around what is heard."""


@dataclass(slots=True)
class _Utterance:
    fixed: str = ""
    """Text that will not change any more."""
    loose: Pcm = field(default_factory=lambda: NO_PCM)
    """Audio after it, less than `LONGEST_S` between steps."""


@dataclass(slots=True)
class _Clip:
    pcm: Pcm
    text: str = ""
    error: Exception | None = None


class Moonshine:
    step_samples = HEARING_RATE

    def __init__(self, artifact: str = "moonshine-tiny-en", threads: int = 1) -> None:
        self._artifact = artifact
        self._threads = threads
        self._model: MoonshineModel | None = None

    async def warm(self) -> None:
        if self._model is None:
            self._model = await asyncio.to_thread(lambda: MoonshineModel(models.ensure(self._artifact), self._threads))
        model = self._model
        await asyncio.to_thread(lambda: model.decode([model.encode(np.zeros(HEARING_RATE, np.float32))]))

    def begin(self, hints: Hints) -> _Utterance:
        """The model knows English alone and takes no hints."""
        return _Utterance()

    def fork(self, stream: _Utterance) -> _Utterance:
        return replace(stream)  # steps put new arrays in place of old ones

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        """Raises `EngineFailed` before `warm`."""
        if self._model is None:
            raise EngineFailed("Moonshine was not warmed")
        clips = [self._clips(one.stream, one.pcm) for one in due]
        self._hear(self._model, [clip for some in clips for clip in some])
        return [_answer(one, some) for one, some in zip(due, clips, strict=True)]

    def _clips(self, utterance: _Utterance, pcm: Pcm) -> list[_Clip]:
        """The audio that is not fixed, cut so that each is short enough; the last one stays loose."""
        utterance.loose = np.concatenate((utterance.loose, pcm))
        clips = []
        while len(utterance.loose) > LONGEST_S * HEARING_RATE:
            cut = _quietest(utterance.loose, int(LONGEST_S * HEARING_RATE))
            clips.append(_Clip(utterance.loose[:cut]))
            utterance.loose = utterance.loose[cut:]
        return [*clips, _Clip(utterance.loose)]

    def _hear(self, model: MoonshineModel, clips: list[_Clip]) -> None:
        encoded: list[tuple[_Clip, Floats]] = []
        for clip in clips:
            heard = _trimmed(clip.pcm)
            if len(heard) < SHORTEST_S * HEARING_RATE:
                continue
            try:
                encoded.append((clip, model.encode(heard.astype(np.float32) / 32768.0)))
            except EngineFailed as error:
                clip.error = error
        # Clips of like length together: the longest one's tokens are waited for.
        encoded.sort(key=lambda one: len(one[1]))
        for start in range(0, len(encoded), CLIPS_AT_ONCE):
            _decode(model, encoded[start : start + CLIPS_AT_ONCE])


def _decode(model: MoonshineModel, encoded: list[tuple[_Clip, Floats]]) -> None:
    try:
        texts = model.decode([frames for _, frames in encoded])
    except EngineFailed as error:
        for clip, _ in encoded:
            clip.error = error
        return
    for (clip, _), text in zip(encoded, texts, strict=True):
        clip.text = text


def _answer(due: Due, clips: list[_Clip]) -> Hypothesis | Exception:
    utterance: _Utterance = due.stream
    if failed := [clip.error for clip in clips if clip.error is not None]:
        return failed[0]
    *fixed, loose = clips
    utterance.fixed = _joined(utterance.fixed, *(clip.text for clip in fixed))
    text = _joined(utterance.fixed, loose.text)
    return Hypothesis(text, len(text) if due.last else len(utterance.fixed), language="en")


def _joined(fixed: str, *texts: str) -> str:
    # A piece that was cut within a sentence may begin with the comma that the one before has ended with.
    rest = [text.lstrip(",.; ") for text in texts]
    return " ".join(filter(None, [fixed, *rest]))


def _loudness(pcm: Pcm) -> Floats:
    """Root mean square of each whole frame."""
    frames = pcm[: len(pcm) // FRAME * FRAME].reshape(-1, FRAME).astype(np.float32)
    return np.sqrt(np.mean(frames**2, axis=1))


def _quietest(pcm: Pcm, end: int) -> int:
    """The middle of the quietest 200 ms in the second half before `end`."""
    start, width = end // 2, 10
    loudness = np.convolve(_loudness(pcm[start:end]), np.ones(width), "valid")
    return start + (int(loudness.argmin()) + width // 2) * FRAME


def _trimmed(pcm: Pcm) -> Pcm:
    """Without the quiet at both ends but for a margin: the model would spend time on it and put words into it."""
    loudness = _loudness(pcm)
    if loudness.max(initial=0.0) <= QUIET:
        return NO_PCM
    heard = np.flatnonzero(loudness > FADED * loudness.max())
    return pcm[max(0, heard[0] - MARGIN_FRAMES) * FRAME : (heard[-1] + 1 + MARGIN_FRAMES) * FRAME]
