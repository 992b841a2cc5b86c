"""Speech-to-text by a cache-aware FastConformer transducer of NeMo, such as Nemotron Speech Streaming 0.6B (NVIDIA Open Model License),
on a GPU or the CPU.

The encoder keeps what it needs of the past in caches, so each step hears new audio only: `chunk_ms` of it, for every stream that has as
much, in one batch. A longer chunk hears further ahead before it decides, and is as much later. A hypothesis only grows: all of a partial is
stable. At the end of an utterance what is left of it is one more chunk, of whatever length.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.nemo_boosting import Boosting, phrases_of
from deployments.engines.nemo_features import Features
from deployments.engines.nemo_model import DTYPES, Decoding, decode_greedily, load
from deployments.engines.nemo_streaming import ChunkedTransducer, Stream
from deployments.engines.nemo_text import Writer
from serve_app.engines import HEARING_RATE, Due, Hints, Hypothesis
from serve_app.errors import EngineFailed, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

CHUNKS_MS = (80, 160, 560, 1120)


class NemoRnnt:
    def __init__(
        self,
        model: str = "nvidia/nemotron-speech-streaming-en-0.6b",
        chunk_ms: int = 160,
        device: str = "auto",
        dtype: str = "float32",
        decoding: Mapping[str, Any] | None = None,
    ) -> None:
        """`model`: a .nemo file, a declared artifact, a folder or a hub repository with one. `chunk_ms`: one of `CHUNKS_MS` that the model
        was trained with. `device`: auto, cpu, cuda, cuda:1, ... `decoding`: what `Decoding` has. Raises `SettingsError`."""
        if chunk_ms not in CHUNKS_MS:
            raise SettingsError(f"chunk_ms is {chunk_ms}, but must be one of {', '.join(map(str, CHUNKS_MS))}")
        if dtype not in DTYPES:
            raise SettingsError(f"dtype is {dtype!r}, but must be one of {', '.join(DTYPES)}")
        self.step_samples = chunk_ms * HEARING_RATE // 1000
        self._model = (model, device, dtype)
        self._chunk_ms = chunk_ms
        self._decoding = Decoding.of(decoding)
        self._loaded: _Loaded | None = None

    async def warm(self) -> None:
        if self._loaded is None:
            self._loaded = await asyncio.to_thread(lambda: _Loaded(load(*self._model), self._chunk_ms, self._decoding))
        loaded = self._loaded
        silence = np.zeros(2 * self.step_samples, np.int16)
        (answer,) = await asyncio.to_thread(lambda: loaded.step([Due(Stream(), silence, True)]))
        if isinstance(answer, Exception):
            raise EngineFailed(f"the model does not step: {answer}") from answer

    def begin(self, hints: Hints) -> Stream:
        """Raises `EngineFailed` before `warm`."""
        return self._ready().begin(hints)

    def fork(self, stream: Stream) -> Stream:
        return stream.fork()

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        return self._ready().step(due)

    @property
    def trees_built(self) -> int:
        """Boosting trees so far."""
        boosting = self._ready().boosting
        return boosting.built if boosting else 0

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise EngineFailed("the NeMo model was not warmed")
        return self._loaded


class _Loaded:
    """The model and what is around it."""

    def __init__(self, model: Any, chunk_ms: int, decoding: Decoding) -> None:
        rate = model.cfg.preprocessor.sample_rate
        if rate != HEARING_RATE:
            raise EngineFailed(f"the model hears {rate} samples a second, and {HEARING_RATE} are given")
        self.model = model
        computer = decode_greedily(model, decoding)
        self._transducer = ChunkedTransducer(model, computer, chunk_ms)
        self._features = Features(model.preprocessor)
        self._writer = Writer(model.tokenizer, model.cfg.preprocessor.window_stride * model.encoder.subsampling_factor)
        self._standing = decoding.phrases
        trees = computer.biasing_multi_model if computer.per_stream_biasing_enabled else None
        self.boosting = Boosting(model.tokenizer, trees, decoding.weight) if trees is not None else None

    def begin(self, hints: Hints) -> Stream:
        phrases = phrases_of(hints, self._standing)
        return Stream(self.boosting.tree(phrases) if self.boosting and phrases else None)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        failed: dict[int, Exception] = {}
        self._listen(due, failed)
        while waiting := [n for n, one in enumerate(due) if n not in failed and self._transducer.pending(one.stream, one.last)]:
            for number, heard in zip(waiting, self._hear([due[n].stream for n in waiting]), strict=True):
                if isinstance(heard, Exception):
                    failed[number] = heard
                else:
                    self._writer.add(due[number].stream.transcript, *heard)
        return [failed[number] if number in failed else self._answer(one) for number, one in enumerate(due)]

    def _listen(self, due: Sequence[Due], failed: dict[int, Exception]) -> None:
        """New features for each stream."""
        import torch

        good = []
        for number, one in enumerate(due):
            if one.pcm.ndim == 1 and one.pcm.dtype == np.int16:
                good.append(one)
            else:
                failed[number] = EngineFailed(f"samples must be one row of int16, and are {one.pcm.dtype} of shape {one.pcm.shape}")
        with torch.inference_mode():
            for one, frames in zip(good, self._features.push([(one.stream.recording, one.pcm, one.last) for one in good]), strict=True):
                known = one.stream.frames
                one.stream.frames = frames.clone() if known is None else torch.cat((known, frames), 1)

    def _hear(self, streams: list[Stream]) -> Sequence[tuple[list[int], list[int]] | Exception]:
        """Together; where that fails each alone, so that the one at fault fails alone."""
        try:
            return self._transducer.hear(streams)
        except Exception as error:
            if len(streams) == 1:
                log.exception("a stream cannot be stepped")
                return [EngineFailed(f"the model failed: {error}")]
            return [answer for stream in streams for answer in self._hear([stream])]

    def _answer(self, due: Due) -> Hypothesis:
        transcript = due.stream.transcript
        text, stable = self._writer.read(transcript)
        return Hypothesis(text, len(text), self._writer.words(transcript)) if due.last else Hypothesis(text, stable)
