"""Speech-to-text by Whisper (OpenAI, MIT) in torch, through the model of transformers (Apache-2.0): all clips of a step in one batch.

For GPUs on which CTranslate2 cannot run (the Spark's: see whisper_ct2.py). Attention is torch's own (SDPA): flash-attention has no wheel
for aarch64 and no kernels for sm_121 (github.com/Dao-AILab/flash-attention/issues/1969). No audio library is needed at all: sessions
bring samples, the HTTP API decodes with soundfile, and torchaudio has no CUDA wheel for aarch64 (github.com/pytorch/audio/issues/4169).

Decoding is greedy and ours, because one batch here has utterances of different languages, prompts and lengths. What is made up in silence
or noise is kept out as in whisper_ct2.py, but for the second try at another temperature. There are no word times.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.by_pieces import ByPieces
from deployments.engines.whisper_decoding import Decoder
from deployments.engines.whisper_weights import load
from serve_app import models
from serve_app.engines import HEARING_RATE, Hints
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.by_pieces import Clip, Utterance
    from serve_app.engines import Due, Hypothesis

LONGEST_S = 28.0
"""Of the 30 s that a window has."""


@dataclass(eq=False)
class WhisperTorch:
    model: str = "whisper-base"
    """An artifact, a folder or a repository of the hub (openai/whisper-large-v3-turbo), in transformers' or CTranslate2's form."""
    device: str = "auto"
    """auto: cuda where there is one."""
    dtype: str = "auto"
    """auto: float16 on a GPU, as the weights are kept, else float32."""
    language: str = ""
    """Where the hints name none. Empty: found."""
    threads: int = 0
    """On the CPU. 0: torch's own choice. Where other processes want the same cores, one thread may be twice as fast as two (seen)."""
    batch: int = 16
    """Clips that go through the model at once."""
    partial_s: float = 0.0
    """A partial for so much new audio; 0: none. It costs as much as a final, because 30 s are heard each time."""
    _decoder: Decoder | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.step_samples = int(self.partial_s * HEARING_RATE)
        self._pieces = ByPieces(self._hear, LONGEST_S)

    @property
    def languages(self) -> tuple[str, ...] | None:
        return None if self._decoder is None else tuple(self._decoder.languages) or ("en",)

    async def warm(self) -> None:
        if self._decoder is None:
            self._decoder = await asyncio.to_thread(self._load)
        noise = np.random.default_rng(0).normal(0, 500, HEARING_RATE).astype(np.int16)
        await asyncio.to_thread(self._decoder.transcribe, [noise], [Hints()])

    def begin(self, hints: Hints) -> Utterance:
        return self._pieces.begin(hints)

    def fork(self, stream: Utterance) -> Utterance:
        return self._pieces.fork(stream)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        """Raises `EngineFailed` before `warm`."""
        if self._decoder is None:
            raise EngineFailed("Whisper was not warmed")
        return self._pieces.step(due)

    def _load(self) -> Decoder:
        folder = models.ensure(self.model)
        try:
            import torch

            device = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
            dtype = (torch.float32 if device == "cpu" else torch.float16) if self.dtype == "auto" else getattr(torch, self.dtype)
            if self.threads:
                torch.set_num_threads(self.threads)
            loaded = load(folder, dtype, attention="sdpa")
            loaded.model.to(device)
            return Decoder(loaded, folder / "tokenizer.json", self.language)
        except Exception as error:
            raise EngineFailed(f"torch does not load Whisper from {self.model}: {error}") from error

    def _hear(self, clips: list[Clip]) -> None:
        assert self._decoder is not None
        # Clips of like length together: the longest one's tokens are waited for.
        waiting = sorted(clips, key=lambda clip: len(clip.pcm))
        for start in range(0, len(waiting), self.batch):
            together = waiting[start : start + self.batch]
            try:
                answers = self._decoder.transcribe([clip.pcm for clip in together], [clip.hints for clip in together])
            except Exception as error:
                for clip in together:
                    clip.heard = EngineFailed(f"Whisper: {error}")
                continue
            for clip, answer in zip(together, answers, strict=True):
                clip.heard = answer
