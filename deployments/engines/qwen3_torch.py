"""Qwen3-ASR in torch, through the model of transformers (Apache-2.0, both): all requests of a step in one batch, which waits for its
longest answer. It was measured on a Spark in this form (483 ms for 2.6 s of speech, 1.7B), where vLLM's attention was not trusted yet.

Attention is torch's own (SDPA): flash-attention has no kernels for sm_121.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.qwen3_prompt import TEXT
from deployments.engines.qwen3_vllm import MARGIN_TOKENS, TOKENS_PER_S
from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deployments.engines.qwen3_vllm import Request

BATCH = 16
"""Requests that go through the model at once."""


class Qwen3Torch:
    def __init__(self, folder: Path, device: str = "auto", dtype: str = "auto") -> None:
        """`folder`: in transformers' form (Qwen/Qwen3-ASR-0.6B-hf). Raises `EngineFailed`."""
        try:
            import torch
            from transformers import Qwen3ASRForConditionalGeneration, Qwen3ASRProcessor

            self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
            kind = (torch.float32 if self._device == "cpu" else torch.bfloat16) if dtype == "auto" else getattr(torch, dtype)
            self._processor: Any = Qwen3ASRProcessor.from_pretrained(folder)
            model: Any = Qwen3ASRForConditionalGeneration.from_pretrained(folder, dtype=kind, attn_implementation="sdpa")
            self._model = model.to(self._device).eval()
        except Exception as error:
            raise EngineFailed(f"torch does not load Qwen3-ASR from {folder}: {error}") from error
        tokenizer = self._processor.tokenizer
        self._hidden = set(tokenizer.all_special_ids) - set(tokenizer.convert_tokens_to_ids([TEXT]))

    def decode(self, tokens: Sequence[int]) -> str:
        kept = [token for token in tokens if token not in self._hidden]
        return str(self._processor.tokenizer.decode(kept, skip_special_tokens=False))

    def write(self, requests: Sequence[Request]) -> list[list[int] | Exception]:
        """What the model writes after each prefix. One batch that fails fails its requests alone."""
        # Those with answers of like length together.
        order = sorted(range(len(requests)), key=lambda one: len(requests[one].pcm))
        answers: dict[int, list[int] | Exception] = {}
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            try:
                answers |= zip(some, self._together([requests[one] for one in some]), strict=True)
            except Exception as error:
                answers |= dict.fromkeys(some, EngineFailed(f"Qwen3-ASR: {error}"))
        return [answers[one] for one in range(len(requests))]

    async def check(self) -> None:
        """It runs in this process: nothing else can be lost."""

    def close(self) -> None:
        del self._model

    def _together(self, requests: Sequence[Request]) -> list[list[int]]:
        import torch

        audio = [request.pcm.astype(np.float32) / 32768.0 for request in requests]
        texts = [request.prompt + self.decode(request.prefix) for request in requests]
        inputs = self._processor(text=texts, audio=audio, return_tensors="pt").to(self._device, self._model.dtype)
        most = int(max(len(one) for one in audio) / HEARING_RATE * TOKENS_PER_S) + MARGIN_TOKENS
        with torch.inference_mode():
            written = self._model.generate(**inputs, max_new_tokens=most, do_sample=False)
        after = written[:, inputs["input_ids"].shape[1] :].tolist()
        return [[token for token in tokens if token not in self._hidden] for tokens in after]
