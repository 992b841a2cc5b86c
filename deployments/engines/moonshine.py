"""Speech-to-text by Moonshine tiny, English (github.com/moonshine-ai/moonshine, MIT), through ONNX Runtime.

The model hears a whole clip at once, so a partial means hearing again all that is not fixed yet: 0.04 s of one core for a second of
audio. Partials come twice a second of new audio, once a second as it grows, and audio is fixed in pieces of at most `LONGEST_S`, cut where
it is quietest: the dearest partial costs 0.5 s; 0.09 s of one core for each second of short turns in all (load_tests/bench/partials.py).
On 44 s of read speech the word error rate is 0.017 with pieces of
12 s, 0.050 with 10 s, 0.025 with 15 s, and 0.034 uncut, where the model begins to write numbers that nobody said.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.by_pieces import ByPieces, Clip, Heard
from deployments.engines.moonshine_model import MoonshineModel
from serve_app import models
from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.by_pieces import Utterance
    from deployments.engines.moonshine_model import Floats
    from serve_app.engines import Due, Hints, Hypothesis

LONGEST_S = 12.0
CLIPS_AT_ONCE = 8
"""In one batch of the decoder, whose caches take 10 MB for a clip of 12 s."""


class Moonshine:
    step_samples = HEARING_RATE // 2

    def __init__(self, artifact: str = "moonshine-tiny-en", threads: int = 1) -> None:
        self._artifact = artifact
        self._threads = threads
        self._model: MoonshineModel | None = None
        self._pieces = ByPieces(self._hear, LONGEST_S)

    languages = ("en",)

    async def warm(self) -> None:
        if self._model is None:
            self._model = await asyncio.to_thread(lambda: MoonshineModel(models.ensure(self._artifact), self._threads))
        model = self._model
        await asyncio.to_thread(lambda: model.decode([model.encode(np.zeros(HEARING_RATE, np.float32))]))

    def begin(self, hints: Hints) -> Utterance:
        """The model knows English alone and takes no hints."""
        return self._pieces.begin(hints)

    def fork(self, stream: Utterance) -> Utterance:
        return self._pieces.fork(stream)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        """Raises `EngineFailed` before `warm`."""
        if self._model is None:
            raise EngineFailed("Moonshine was not warmed")
        return self._pieces.step(due)

    def _hear(self, clips: list[Clip]) -> None:
        assert self._model is not None
        encoded: list[tuple[Clip, Floats]] = []
        for clip in clips:
            try:
                encoded.append((clip, self._model.encode(clip.pcm.astype(np.float32) / 32768.0)))
            except EngineFailed as error:
                clip.heard = error
        # Clips of like length together: the longest one's tokens are waited for.
        encoded.sort(key=lambda one: len(one[1]))
        for start in range(0, len(encoded), CLIPS_AT_ONCE):
            _decode(self._model, encoded[start : start + CLIPS_AT_ONCE])


def _decode(model: MoonshineModel, encoded: list[tuple[Clip, Floats]]) -> None:
    try:
        texts = model.decode([frames for _, frames in encoded])
    except EngineFailed as error:
        for clip, _ in encoded:
            clip.heard = error
        return
    for (clip, _), text in zip(encoded, texts, strict=True):
        clip.heard = Heard(text, language="en" if text else None)
