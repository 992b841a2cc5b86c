"""The deployments with a window into their engine, for tests: replicas are other processes."""

import asyncio
import os
from typing import Any

from deployments.llm import LanguageModel
from deployments.stt import SpeechToText
from deployments.tts import TextToSpeech
from serve_app.errors import EngineFailed


class Turnstile:
    """In the place of a fake engine's gate: so many pieces pass, the next ones wait until it is opened. The gate `before` it, at which
    others may wait, opens with it."""

    def __init__(self, passing: int, before: Any) -> None:
        self._passing = passing
        self._opened = asyncio.Event()
        self._before = before
        self.waiting = 0

    def set(self) -> None:
        self._opened.set()
        self._before.set()

    async def wait(self) -> None:
        self._passing -= 1
        if self._passing >= 0:
            return
        self.waiting += 1
        try:
            await self._opened.wait()
        finally:
            self.waiting -= 1


class WatchedSpeechToText(SpeechToText):
    async def pid(self) -> int:
        return os.getpid()


class WatchedLanguageModel(LanguageModel):
    async def hold_after(self, pieces: int) -> None:
        self._engine.gate = Turnstile(pieces, self._engine.gate)

    async def held(self) -> int:
        """Who waits since the last `hold_after`."""
        return self._engine.gate.waiting

    async def let_go(self) -> None:
        self._engine.gate.set()

    async def live(self) -> int:
        """Replies under way in the engine."""
        return self._engine.live

    async def sheds(self) -> int:
        """How often the engine was asked for what it can do without."""
        return self._engine.sheds

    async def pid(self) -> int:
        return os.getpid()


class WatchedTextToSpeech(TextToSpeech):
    async def hold_after(self, pieces: int) -> None:
        self._engine.gate = Turnstile(pieces, self._engine.gate)

    async def held(self) -> int:
        """Who waits since the last `hold_after`."""
        return self._engine.gate.waiting

    async def let_go(self) -> None:
        self._engine.gate.set()

    async def live(self) -> int:
        return self._engine.live

    async def pid(self) -> int:
        return os.getpid()

    async def spoken(self) -> tuple[str, int]:
        """The node, and how much was said there since the last time."""
        import ray

        spoken, self._engine.spoken = len(self._engine.spoken), []
        return ray.get_runtime_context().get_node_id(), spoken

    async def fail_with(self, reason: str | None) -> None:
        self._engine.error = None if reason is None else EngineFailed(reason)
