"""The ingress: sessions live here, beside the two small engines that every frame passes; the others are reached through remote.py."""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette

from deployments.engines import ENGINES, create
from deployments.engines.webrtc_echo import cancellers
from deployments.figures import Figures
from deployments.front import Front, application
from deployments.memory_guard import MemoryGuard, follow, give_back
from deployments.metrics import shown
from deployments.observed import observed
from deployments.remote import RemoteLanguageModel, RemoteSpeechToText, RemoteTextToSpeech, answer, near
from deployments.sessions import RemoteKeeper
from deployments.settled import settle
from patches.serve_drain import let_sockets_end, on_shutdown
from patches.uvicorn_limits import raise_limits
from serve_app.access import Access
from serve_app.admission import Door, refuse_without_key
from serve_app.engine_settings import LanguageModelSettings
from serve_app.engines import Engines
from serve_app.life import Leaving, Life
from serve_app.measures import LIVE_SESSIONS, OF_SESSIONS, REFUSALS
from serve_app.realtime.session_object import Served
from serve_app.session import SessionOptions
from serve_app.session_figures import SessionFigures
from serve_app.session_log import SessionLog
from serve_app.settings import Settings
from serve_app.speech_text import prepare
from serve_app.watching import Watcher, Watchers

PROBE_S = 3.0
"""How long a readiness probe waits for each deployment."""


class Gateway:
    """Ready once all engines are: the first session must not wait for weights."""

    async def __init__(self, settings: Settings, access: Access, parts: dict[str, Any]) -> None:  # type: ignore[misc]  # Serve awaits it
        """`parts`: handles of stt, llm, tts and, where sessions outlive their connection, sessions."""
        self._sink = observed(settings.logs, OF_SESSIONS)
        must_not_be_open(settings, access)
        raise_limits(settings.session.max_message_bytes)
        let_sockets_end()
        self._settings = settings
        stt, llm, tts = near(parts["stt"]), parts["llm"], parts["tts"]
        self._handles = {"stt": stt, "llm": llm, "tts": tts}
        self._figures = Figures()
        self._leaving = leaving_with_the_replica(settings.session.drain_s)
        warm_s = settings.models.warm_s
        self._speech_to_text = RemoteSpeechToText(stt, warm_s)
        self._text_to_speech = _begun_tracing(settings)(tts, warm_s)
        self._engines = Engines(
            voice_activity=create("voice_activity", settings.vad.engine, **settings.vad.options),
            turn_detector=create("turn_detector", settings.turn.engine, **settings.turn.options),
            speech_to_text=self._speech_to_text,
            language_model=RemoteLanguageModel(llm, warm_s),
            text_to_speech=self._text_to_speech,
        )
        prepare()
        self._keeper = RemoteKeeper(parts["sessions"], warm_s) if "sessions" in parts else None
        await asyncio.gather(*(part.warm() for part in (*_all(self._engines), self._keeper) if part is not None))
        self._door = Door.of(settings, access, self._sink)
        self._guard = MemoryGuard(settings.memory, lambda: give_back(None))
        self._guard.start()
        self._showing = shown(self._sink, {LIVE_SESSIONS: lambda: self._door.sessions.sessions, **self._guard.gauges()})
        elsewhere = tuple(self._handles.values()) if settings.topology.several else ()
        settle()
        self._following = asyncio.create_task(follow(self._door.shedding, self._guard, elsewhere, settings.memory))

    def __serve_build_asgi_app__(self) -> Starlette:
        """Serve calls this after the constructor, where the handles are known (`serve.ingress()` without an application)."""
        front = Front(self._engines, self._options(), self._settings, self._door)
        if self._settings.tracing.endpoint is not None:
            from deployments.tracing import Tracing

            front = replace(front, watched=Tracing(self._settings.llm.engine).session)
        return application(front, self._ready, self._speech_to_text.counts)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Asked by Serve."""
        return self._figures.of(self._door.sessions.sessions)

    async def _ready(self) -> dict[str, str]:
        """What is wrong, by deployment; empty when all answer."""
        calls = (answer(handle.ready.remote(), PROBE_S) for handle in self._handles.values())
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return {name: str(result) for name, result in zip(self._handles, answers, strict=True) if isinstance(result, Exception)}

    def _options(self) -> SessionOptions:
        settings = self._settings
        session, life = settings.session, Life(self._keeper, leaving=self._leaving)
        limits = session.max_s, session.lead_s, session.kept_audio_bytes, session.unsent_bytes, session.stalled_s, session.barge_in_s
        seams: dict[str, Any] = {"watch": self._watch, "no_ear": self._no_ear, "warms": lambda: warming_helps(settings.llm)}
        seams["longest_turn_s"] = session.longest_turn_s
        mine = served(settings, self._text_to_speech.voices, self._speech_to_text.languages, self._text_to_speech.languages)
        return SessionOptions(
            mine, *limits, echo=cancellers() if session.echo else None, life=life, **seams
        )

    def _no_ear(self) -> None:
        self._sink.count(REFUSALS, of="engine")

    def _watch(self, session_id: str) -> Watcher:
        return Watchers(SessionFigures(self._sink), SessionLog(session_id, self._settings.logs.transcripts))


def served(
    settings: Settings, voices: tuple[str, ...], heard: tuple[str, ...] | None = None, spoken: tuple[str, ...] | None = None
) -> Served:
    """`heard`, `spoken`: the languages of the engines."""
    return Served(
        model=settings.llm.model or settings.llm.engine,
        transcription_model=settings.stt.engine,
        voice=settings.tts.voice,
        voices=voices,
        instructions=settings.llm.instructions,
        speed=settings.tts.speed,
        heard_languages=heard,
        spoken_languages=spoken,
        spoken_tokens=settings.llm.max_spoken_tokens,
    )


def _all(engines: Engines) -> tuple[Any, ...]:
    return (engines.voice_activity, engines.turn_detector, engines.speech_to_text, engines.language_model, engines.text_to_speech)


def _begun_tracing(settings: Settings) -> type[RemoteTextToSpeech]:
    """What the gateway calls for itself, from now on, is in no trace; what speaks for its sessions is."""
    if settings.tracing.endpoint is None:
        return RemoteTextToSpeech
    from deployments.tracing import TracedTextToSpeech, leave_out

    leave_out()
    return TracedTextToSpeech


def warming_helps(settings: LanguageModelSettings) -> bool:
    """Whether what is read before is still read when the answer is wanted: by an engine that keeps it, in the one replica that there is.
    Among several load chooses, so that another one may answer."""
    return ENGINES["language_model"][settings.engine].keeps_read and (settings.max_replicas or settings.replicas) == 1


def leaving_with_the_replica(within_s: float) -> Leaving:
    leaving, loop = Leaving(within_s), asyncio.get_running_loop()
    on_shutdown(lambda: loop.call_soon_threadsafe(leaving.ask))
    return leaving


def must_not_be_open(settings: Settings, access: Access) -> None:
    """Raises `SettingsError` where other machines could come in and nobody said so."""
    if not access.keys and not settings.gateway.open_to_all:
        refuse_without_key(listening_host())


def listening_host() -> str:
    """The address that Serve's proxies listen on: behind HAProxy a gateway sees no other peer than this machine."""
    from ray.serve.context import _get_global_client  # Ray 2.60 has no public way

    client = _get_global_client()
    return "127.0.0.1" if client is None else str(client.http_config.host)
