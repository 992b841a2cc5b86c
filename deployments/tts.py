"""Text-to-speech as a deployment; gateways call it over sockets (call_server.py)."""

from collections.abc import Collection

from deployments.call_codecs import SPEECHES
from deployments.call_frames import Offer
from deployments.call_server import serving
from deployments.engines import create
from deployments.health import check
from deployments.loading import loading
from deployments.memory_guard import MemoryGuard, State, give_back
from deployments.metrics import Gauges, shown
from deployments.observed import observed
from deployments.proof import speaks
from deployments.settled import settle
from serve_app.engine_settings import TextToSpeechSettings
from serve_app.engines import known_languages
from serve_app.logs import LogSettings
from serve_app.measures import CALLS, OF_TEXT_TO_SPEECH, PLANNED
from serve_app.settings import DEFAULT_LOGS, DEFAULT_MEMORY, MemorySettings


class TextToSpeech:
    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: TextToSpeechSettings, memory: MemorySettings = DEFAULT_MEMORY, logs: LogSettings = DEFAULT_LOGS
    ) -> None:
        sink = observed(logs, (*OF_TEXT_TO_SPEECH, PLANNED))
        self._engine = create("text_to_speech", settings.engine, **settings.options)
        async with loading("text-to-speech", settings, memory):
            await self._engine.warm()
            await speaks(self._engine, settings.voice)
        self._served = await serving(self._engine.speak, SPEECHES, settings.max_ongoing)
        self._guard = MemoryGuard(memory, lambda: give_back(self._engine))
        self._guard.start()
        calls: Gauges = {CALLS: lambda: self._served.calls.live, PLANNED: lambda: settings.memory_bytes}
        self._showing = shown(sink, {**calls, **self._guard.gauges()})
        settle()

    async def offer(self, known: Collection[str]) -> Offer | None:
        """To a gateway that has sockets to the replicas of these names."""
        return self._served.offer(known)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve, which does not see the calls."""
        return {"calls": self._served.calls.mean()}

    async def ready(self) -> tuple[int, tuple[str, ...], tuple[str, ...] | None]:
        """The engine's sample rate, voices and languages, None where it does not say which those are."""
        return self._engine.sample_rate, self._engine.voices, known_languages(self._engine)

    async def memory(self) -> State:
        """How this replica's node is."""
        return self._guard.state

    async def check_health(self) -> None:
        await check(self._engine)
