"""The language model as a deployment; gateways call it over sockets (call_server.py)."""

import os
from collections.abc import AsyncIterator, Collection
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from deployments.call_codecs import REPLIES
from deployments.call_frames import Offer
from deployments.call_server import serving
from deployments.engines import ELSEWHERE, create
from deployments.figures import Waiting
from deployments.health import check
from deployments.loading import loading
from deployments.memory_guard import MemoryGuard, State, give_back
from deployments.metrics import Gauges, shown
from deployments.observed import observed
from deployments.proof import writes
from deployments.settled import settle
from serve_app.engine_settings import LanguageModelSettings
from serve_app.engines import Prompt, ReplyEnd, ReplyPiece
from serve_app.logs import LogSettings, about
from serve_app.measures import CALLS, LOOPS, OF_LANGUAGE_MODEL, PLANNED, WAITING_TOKENS
from serve_app.pressure import Level
from serve_app.settings import DEFAULT_LOGS, DEFAULT_MEMORY, MemorySettings

YIELDS = 10
"""Added to the niceness of a model on the CPU: text is written faster than it is spoken, and a voice must not stutter."""


class LanguageModel:
    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: LanguageModelSettings, memory: MemorySettings = DEFAULT_MEMORY, logs: LogSettings = DEFAULT_LOGS
    ) -> None:
        sink = self._sink = observed(logs, (*OF_LANGUAGE_MODEL, PLANNED))
        self._settings = settings
        self._waiting = Waiting()
        if not settings.on_gpu and settings.engine not in ELSEWHERE:
            os.nice(YIELDS)  # before the engine starts processes, which inherit it
        self._engine = create("language_model", settings.engine, **options_of(settings))
        async with loading("the language model", settings, memory):
            await self._engine.warm()
            await writes(self._engine)
        self._served = await serving(self._reply, REPLIES, settings.max_ongoing)
        self._guard = MemoryGuard(memory, lambda: give_back(self._engine), Level.LARGEST_CACHE)
        self._guard.start()
        calls: Gauges = {CALLS: lambda: self._served.calls.live, WAITING_TOKENS: lambda: self._waiting.tokens}
        self._showing = shown(sink, {**calls, PLANNED: lambda: settings.memory_bytes, **self._guard.gauges()})
        settle()

    async def offer(self, known: Collection[str]) -> Offer | None:
        """To a gateway that has sockets to the replicas of these names."""
        return self._served.offer(known)

    async def _reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        about(response_id=prompt.request_id)
        tokens = self._waiting.begins(sum(len(message.content) for message in prompt.messages))
        try:
            async with aclosing(self._engine.reply(self._with_defaults(prompt))) as pieces:
                async for piece in pieces:
                    self._waiting.ends(tokens)
                    tokens = 0
                    if isinstance(piece, ReplyEnd) and piece.looped:
                        self._sink.count(LOOPS)
                    yield piece
        finally:
            self._waiting.ends(tokens)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve, which does not see the calls."""
        return {"calls": self._served.calls.mean(), "waiting_tokens": float(self._waiting.tokens)}

    async def ready(self) -> bool:
        return True

    async def memory(self) -> State:
        """How this replica's node is."""
        return self._guard.state

    async def check_health(self) -> None:
        await check(self._engine)

    def _with_defaults(self, prompt: Prompt) -> Prompt:
        return replace(
            prompt,
            temperature=self._settings.temperature if prompt.temperature is None else prompt.temperature,
            max_tokens=self._settings.max_tokens if prompt.max_tokens is None else prompt.max_tokens,
            ends_loops=self._settings.ends_loops and prompt.ends_loops,
        )


def options_of(settings: LanguageModelSettings) -> dict[str, Any]:
    return {"model": settings.model, **settings.options} if settings.model else settings.options
