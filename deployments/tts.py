"""Text-to-speech as a deployment: sound streams back by value."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from deployments.engines import create
from deployments.figures import Calls
from deployments.health import check
from deployments.loading import loading
from deployments.memory_guard import MemoryGuard, State, give_back
from deployments.metrics import shown
from deployments.observed import observed
from deployments.proof import speaks
from serve_app.engine_settings import TextToSpeechSettings
from serve_app.engines import Sound, Speech
from serve_app.logs import LogSettings
from serve_app.measures import CALLS, OF_TEXT_TO_SPEECH, PLANNED
from serve_app.settings import DEFAULT_LOGS, DEFAULT_MEMORY, MemorySettings


class TextToSpeech:
    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: TextToSpeechSettings, memory: MemorySettings = DEFAULT_MEMORY, logs: LogSettings = DEFAULT_LOGS
    ) -> None:
        sink = observed(logs, (*OF_TEXT_TO_SPEECH, PLANNED))
        self._calls = Calls()
        self._engine = create("text_to_speech", settings.engine, **settings.options)
        async with loading("text-to-speech", settings, memory):
            await self._engine.warm()
            await speaks(self._engine, settings.voice)
        self._guard = MemoryGuard(memory, lambda: give_back(self._engine))
        self._guard.start()
        self._showing = shown(sink, {CALLS: lambda: self._calls.live, PLANNED: lambda: settings.memory_bytes, **self._guard.gauges()})

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        with self._calls.one():
            async with aclosing(self._engine.speak(speech)) as sounds:
                async for sound in sounds:
                    yield sound

    async def ready(self) -> tuple[int, tuple[str, ...]]:
        """The engine's sample rate and voices."""
        return self._engine.sample_rate, self._engine.voices

    async def memory(self) -> State:
        """How this replica's node is."""
        return self._guard.state

    async def check_health(self) -> None:
        await check(self._engine)
