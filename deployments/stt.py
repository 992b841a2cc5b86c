"""Speech-to-text as a deployment: one recogniser a replica, which hears for all its sessions; their audio comes on sockets (lease.py)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import ray

from deployments.ear_server import EarServer
from deployments.engines import create
from deployments.engines.routed import RoutedRecogniser
from deployments.figures import Figures
from deployments.health import check
from deployments.loading import loading
from deployments.memory_guard import MemoryGuard, State, give_back
from deployments.metrics import CountedRecogniser, Gauges, shown
from deployments.observed import observed
from deployments.proof import hears
from deployments.settled import settle
from deployments.sockets import Place
from patches.serve_drain import on_shutdown
from serve_app.ears import Limits
from serve_app.engine_settings import SpeechToTextSettings
from serve_app.engines import Hints, Recogniser, known_languages
from serve_app.listening_apart import Transcriber, speech_to_text
from serve_app.logs import LogSettings
from serve_app.measures import CALLS, LEASES, OF_SPEECH_TO_TEXT, PLANNED, Sink
from serve_app.settings import DEFAULT_LOGS, DEFAULT_MEMORY, MemorySettings


def recogniser(settings: SpeechToTextSettings) -> Recogniser | Transcriber:
    """The engine that the settings choose, with those that stand behind it for some languages. Not warmed."""
    engine: Any = create("recogniser", settings.engine, **settings.options)
    if not settings.routes:
        return engine
    routes = {tag: create("recogniser", route.engine, **route.options) for tag, route in settings.routes.items()}
    return RoutedRecogniser(engine, routes)


def counted(engine: Recogniser | Transcriber, sink: Sink) -> Recogniser | Transcriber:
    """Its steps, where it takes any."""
    return engine if hasattr(engine, "transcribe") else CountedRecogniser(engine, sink)


class SpeechToText:
    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: SpeechToTextSettings, memory: MemorySettings = DEFAULT_MEMORY, logs: LogSettings = DEFAULT_LOGS
    ) -> None:
        sink = observed(logs, (*OF_SPEECH_TO_TEXT, PLANNED))
        self._engine = recogniser(settings)
        listening = speech_to_text(counted(self._engine, sink), Limits(partials_at_once=settings.partials_at_once))
        async with loading("speech-to-text", settings, memory):
            await listening.warm()
            for language in (None, *settings.routes):
                await hears(listening, hints=Hints(language=language))
        self._figures = Figures()
        self._ears = EarServer(listening, ray.util.get_node_ip_address(), settings.max_sessions)
        await self._ears.start()
        self._guard = MemoryGuard(memory, lambda: give_back(self._engine))
        self._guard.start()
        settle()
        self._showing = shown(sink, {**self._gauges(), PLANNED: lambda: settings.memory_bytes})
        loop = asyncio.get_running_loop()
        on_shutdown(lambda: loop.call_soon_threadsafe(self._ears.leave))

    async def lease(self, session_id: str) -> AsyncIterator[Place | None]:
        """Lasts as long as the caller wants its session here."""
        held = self._ears.lease(session_id)
        try:
            async for item in held:
                yield item
        finally:
            await held.aclose()

    async def ready(self) -> tuple[str, ...] | None:
        """The languages that the engine knows; None where it does not say."""
        return known_languages(self._engine)

    async def counts(self) -> dict[str, int]:
        """Live sessions and utterances, for the check that none is left behind."""
        return self._ears.counts()

    def _gauges(self) -> Gauges:
        return {CALLS: lambda: self._ears.counts()["utterances"], LEASES: lambda: self._ears.counts()["sessions"], **self._guard.gauges()}

    async def memory(self) -> State:
        """How this replica's node is."""
        return self._guard.state

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve."""
        return self._figures.of(self._ears.counts()["sessions"])

    async def check_health(self) -> None:
        await check(self._engine)
