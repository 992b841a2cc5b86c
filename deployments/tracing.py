"""A gateway's part in traces: the session's span, the watcher that makes those of its turns, and one for each speech that is made.

A session is recorded with all its turns, or not at all. Serve's sampler decides, on the call that it comes in with; where the client sends
a traceparent, its flag. Each turn is a trace of its own, with a link to the session's span. What is not recorded is known as such to all
calls within: Serve's sampler would draw again for each.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from opentelemetry import context as open_telemetry
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, Status, StatusCode, TraceFlags, Tracer

from deployments.recognitions import W3C
from deployments.remote import RemoteTextToSpeech
from serve_app.core.commands import Command
from serve_app.engines import Sound, Speech
from serve_app.errors import SparkvoxError
from serve_app.session_options import SessionOptions, Watched, as_it_is
from serve_app.streams import closable
from serve_app.trace.export import processor
from serve_app.trace.recorder import STOPPED, Recorder, Session
from serve_app.trace.turns import Turns, within
from serve_app.watching import Watcher, Watchers

UNRECORDED = NonRecordingSpan(SpanContext(trace_id=1, span_id=1, is_remote=False, trace_flags=TraceFlags(0)))
"""Valid, so that what is called in it is not taken for the root of a trace."""


class Tracing:
    def __init__(self, provider: str, tracer: Tracer | None = None) -> None:
        """`provider`: the engine of the language model."""
        self._provider = provider
        self._tracer = tracer or _tracer()

    @contextmanager
    def session(self, headers: Mapping[str, str]) -> Iterator[Watched]:
        """Around a session, whose request has those headers."""
        parent = _parent(headers)
        recorded = parent.get_span_context().trace_flags.sampled
        span = self._tracer.start_span("session", trace.set_span_in_context(parent)) if recorded else UNRECORDED
        try:
            with within(span):
                yield _SessionTrace(self._tracer, span, self._provider).watched if recorded else as_it_is
        finally:
            span.end()


class _SessionTrace:
    def __init__(self, tracer: Tracer, span: Span, provider: str) -> None:
        self._tracer = tracer
        self._span = span
        self._provider = provider
        self._turns: Turns | None = None

    def watched(self, options: SessionOptions) -> SessionOptions:
        def watch(session_id: str) -> Watcher:
            self._turns = self._watch(session_id, options.served.model)
            return Watchers(options.watch(session_id), self._turns)

        return replace(options, watch=watch, during=self._during)

    def _watch(self, session_id: str, model: str) -> Turns:
        self._span.set_attributes({"session.id": session_id, "gen_ai.conversation.id": session_id})
        recorder = Recorder(self._tracer, Session(session_id, model, self._provider, self._span.get_span_context()))
        loop = asyncio.get_running_loop()
        return Turns(recorder, lambda at, call: loop.call_later(max(0.0, at - time.monotonic()), call))

    def _during(self, command: Command) -> AbstractContextManager[None]:
        return nullcontext() if self._turns is None else self._turns.during(command)


class TracedTextToSpeech(RemoteTextToSpeech):
    """A span for each speech, in which the replica is called."""

    def __init__(self, handle: Any, warm_s: float) -> None:
        super().__init__(handle, warm_s)
        self._tracer = _tracer()

    def speak(self, speech: Speech) -> AsyncGenerator[Sound, None]:
        sounds = closable(super().speak(speech))
        recorded = trace.get_current_span().get_span_context().trace_flags.sampled
        return synthesis(self._tracer, speech, sounds, self.sample_rate) if recorded else sounds


async def synthesis(tracer: Tracer, speech: Speech, sounds: AsyncGenerator[Sound, None], rate: int) -> AsyncGenerator[Sound, None]:
    """The sounds, with a span within the current one from the question to the last of them."""
    span = tracer.start_span("synthesis", attributes={"sparkvox.characters": len(speech.text), "sparkvox.voice": speech.voice})
    began, audio_s = time.monotonic(), 0.0
    complete = False
    try:
        async with aclosing(sounds):
            while (sound := await _next(span, sounds)) is not None:
                if not audio_s:
                    span.set_attribute("sparkvox.first_sound_s", time.monotonic() - began)
                audio_s += len(sound.pcm) / rate
                yield sound
        complete = True
    except SparkvoxError as error:
        span.set_status(Status(StatusCode.ERROR, str(error)))
        raise
    finally:
        span.set_attribute("sparkvox.audio_s", audio_s)
        if not complete:
            span.set_attribute(STOPPED, True)
        span.end()


async def _next(span: Span, sounds: AsyncGenerator[Sound, None]) -> Sound | None:
    """The call is made with the first."""
    with within(span):
        return await anext(sounds, None)


def _tracer() -> Tracer:
    """Records whatever it is asked to."""
    provider = TracerProvider(sampler=ParentBased(ALWAYS_ON))
    provider.add_span_processor(processor())
    return provider.get_tracer("sparkvox")


def _parent(headers: Mapping[str, str]) -> Span:
    """Serve's span of the call, unless it does not belong to the client's trace: Serve's own proxy passes that on only where it is told to
    trace, too. Without either Serve's sampler has decided against the session."""
    serves = trace.get_current_span()
    clients = trace.get_current_span(W3C.extract(dict(headers), open_telemetry.Context()))
    known, wanted = serves.get_span_context(), clients.get_span_context()
    return clients if wanted.is_valid and known.trace_id != wanted.trace_id else serves
