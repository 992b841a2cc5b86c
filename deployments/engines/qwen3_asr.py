"""Speech-to-text by Qwen3-ASR 0.6B or 1.7B (Apache-2.0) in vLLM or torch: 30 languages, a context instead of a list of words.

What it is asked stands in qwen3_prompt.py, what it answers in qwen3_text.py, how an utterance becomes steps in qwen3_stream.py. It is not a
streaming model: each step hears the piece from its start. A partial of a 60 s piece therefore costs sixty times one of a second's.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from deployments.engines import qwen3_prompt
from deployments.engines.qwen3_aligner import LONGEST_S as LONGEST_ALIGNED_S
from deployments.engines.qwen3_aligner import Qwen3Aligner, can_align
from deployments.engines.qwen3_stream import Utterance, hypothesis
from deployments.engines.qwen3_torch import Qwen3Torch
from deployments.engines.qwen3_vllm import Qwen3Vllm, Request
from serve_app import models
from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed, EngineGone, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.qwen3_stream import Piece
    from serve_app.engines import Due, Hints, Hypothesis, Pcm

LONGEST_S = 1200.0
"""What the model takes at once (qwen_asr/inference/utils.py: `MAX_ASR_INPUT_SECONDS`)."""


@dataclass(eq=False)
class Qwen3Asr:
    model: str = "Qwen/Qwen3-ASR-0.6B-hf"
    """A folder or a repository of the hub. torch reads transformers' form (`-hf`), vLLM that and the first one."""
    backend: str = "torch"
    """torch or vllm. vLLM fills a GPU better with many sessions; its module of this model imports torchvision."""
    context: str = ""
    """Of every utterance, before the session's prompt and keywords. Sentences work, bare words hardly."""
    language: str = ""
    """Where the hints name none. Empty: found."""
    partial_s: float = 1.0
    """A partial for so much new audio; 0: none."""
    longest_s: float = 60.0
    """Of a piece of audio; longer ones are cut where it is quiet."""
    aligner: str = ""
    """Qwen/Qwen3-ForcedAligner-0.6B-hf or a folder, for the times of words. Empty: there are none."""
    max_model_len: int = 4096
    """Tokens of context, audio (13 a second) and answer; this and what follows for vLLM alone."""
    max_num_seqs: int = 32
    kv_cache_bytes: int | None = None
    """Memory for keys and values. None: half a GiB on the CPU, vLLM's own choice elsewhere."""
    engine_args: dict[str, Any] = field(default_factory=dict)
    """More of vLLM's `AsyncEngineArgs`; they win over everything here."""
    _writer: Qwen3Torch | Qwen3Vllm | None = field(default=None, init=False, repr=False)
    _aligner: Qwen3Aligner | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.backend not in ("torch", "vllm"):
            raise SettingsError(f"backend is {self.backend!r}, but must be torch or vllm")
        most = LONGEST_ALIGNED_S if self.aligner else LONGEST_S
        if not 1 <= self.longest_s <= most:
            kind = "a piece with times of words" if self.aligner else "a piece"
            raise SettingsError(f"longest_s is {self.longest_s:g}, but {kind} has 1 to {most:g} s")
        self.step_samples = int(self.partial_s * HEARING_RATE)

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(qwen3_prompt.LANGUAGES)

    async def warm(self) -> None:
        if self._writer is None:
            self._writer = await asyncio.to_thread(self._load)
        if self.aligner and self._aligner is None:
            self._aligner = await asyncio.to_thread(lambda: Qwen3Aligner(models.ensure(self.aligner)))
        second = Request(qwen3_prompt.prompt("", None), (), _noise())
        (answer,) = await asyncio.to_thread(self._writer.write, [second])
        if isinstance(answer, Exception):
            raise answer

    def begin(self, hints: Hints) -> Utterance:
        return Utterance(hints, int(self.longest_s * HEARING_RATE))

    def fork(self, stream: Utterance) -> Utterance:
        return stream.fork()

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        """Raises `EngineFailed` before `warm`."""
        if self._writer is None:
            raise EngineFailed("Qwen3-ASR was not warmed")
        heard = [(one.stream, piece) for one in due for piece in one.stream.add(one.pcm, one.last) if not piece.silent]
        answers = self._writer.write([self._request(utterance, piece) for utterance, piece in heard])
        failed: dict[Utterance, Exception] = {}
        for (utterance, piece), answer in zip(heard, answers, strict=True):
            if isinstance(answer, Exception):
                failed[utterance] = answer
                continue
            piece.take(answer, self._writer.decode)
            self._time(piece, utterance)
        return [failed.get(one.stream) or hypothesis(one.stream, self._writer.decode, self._forced(one.stream)) for one in due]

    async def check(self) -> None:
        """Raises `EngineGone` when the engine is not there or cannot be used any more."""
        if self._writer is None:
            raise EngineGone("Qwen3-ASR was not warmed, or was closed")
        await self._writer.check()

    async def close(self) -> None:
        """Frees the model, and ends vLLM's processes. May be called twice."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)

    def _load(self) -> Qwen3Torch | Qwen3Vllm:
        if self.backend == "torch":
            return Qwen3Torch(models.ensure(self.model))
        sizes = {"max_model_len": self.max_model_len, "max_num_seqs": self.max_num_seqs, "kv_cache_memory_bytes": self.kv_cache_bytes}
        return Qwen3Vllm(models.ensure(self.model), sizes | self.engine_args)

    def _forced(self, utterance: Utterance) -> str | None:
        return qwen3_prompt.forced(utterance.hints, self.language)

    def _request(self, utterance: Utterance, piece: Piece) -> Request:
        context = qwen3_prompt.context(utterance.hints, self.context)
        return Request(qwen3_prompt.prompt(context, self._forced(utterance)), piece.prefix, piece.pcm)

    def _time(self, piece: Piece, utterance: Utterance) -> None:
        if self._aligner is None or self._writer is None or not piece.ended:
            return
        answer = piece.answer(self._writer.decode, self._forced(utterance))
        if answer.text and answer.language and can_align(answer.language, len(piece.pcm) / HEARING_RATE):
            start_s = piece.start / HEARING_RATE
            words = self._aligner.words(piece.pcm, answer.text, answer.language)
            piece.words = tuple(replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s) for word in words)


def _noise() -> Pcm:
    import numpy as np

    return np.random.default_rng(0).normal(0, 500, HEARING_RATE).astype(np.int16)
