"""Traces across the direct socket, which knows no headers: what waits for a text says so itself in the message that asks for it (`End`,
`Guess`), and the replica of speech-to-text makes a span of the wait.

Without tracing the messages carry nothing, and no span is made."""

from collections.abc import AsyncIterator
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serve_app.engines import Drop, Ear, End, Failed, Final, Guess, Guessed, HearingMessage, HearingResult
from serve_app.work import Work

W3C = TraceContextTextMapPropagator()


def traceparent() -> str:
    """Of the current span, where it is recorded; else nothing."""
    if not trace.get_current_span().get_span_context().trace_flags.sampled:
        return ""
    carrier: dict[str, str] = {}
    W3C.inject(carrier)
    return carrier["traceparent"]


def traced(message: HearingMessage) -> HearingMessage:
    """With the traceparent of the current span, where it is recorded."""
    if isinstance(message, End | Guess) and (parent := traceparent()):
        return replace(message, trace=parent)
    return message


class RecordedEar:
    """The ear of one session in the replica, with a span `recognise` for each question that comes with a traceparent."""

    def __init__(self, ear: Ear, session_id: str) -> None:
        self._ear = ear
        self._session_id = session_id
        self._open: dict[tuple[str, float | None], Span] = {}
        """By utterance, and the name of the guess."""

    def send(self, message: HearingMessage) -> None:
        match message:
            case End(utterance, parent) if parent:
                self._begin((utterance, None), parent)
            case Guess(utterance, at_s, parent) if parent:
                self._begin((utterance, at_s), parent)
            case Drop(utterance):
                self._forget(utterance)
        self._ear.send(message)

    async def results(self) -> AsyncIterator[HearingResult]:
        async for result in self._ear.results():
            self._answered(result)
            yield result

    async def close(self) -> None:
        for span in self._open.values():
            span.end()
        self._open.clear()
        await self._ear.close()

    def _answered(self, result: HearingResult) -> None:
        match result:
            case Final(utterance):
                self._end((utterance, None), result.work)
            case Guessed(utterance):
                self._end((utterance, result.at_s), result.work)
            case Failed(utterance, reason):
                self._forget(utterance, reason)

    def _begin(self, name: tuple[str, float | None], parent: str) -> None:
        about = {"session.id": self._session_id, "sparkvox.item.id": name[0]}
        within = W3C.extract({"traceparent": parent})
        self._open[name] = trace.get_tracer(__name__).start_span("recognise", within, SpanKind.SERVER, about)

    def _end(self, name: tuple[str, float | None], work: Work) -> None:
        if (span := self._open.pop(name, None)) is not None:
            span.set_attribute("sparkvox.queue_s", work.queue_s)
            span.set_attribute("sparkvox.step_s", work.step_s)
            span.set_attribute("sparkvox.batch", work.batch)
            span.end()

    def _forget(self, utterance: str, failure: str | None = None) -> None:
        for name in [name for name in self._open if name[0] == utterance]:
            span = self._open.pop(name)
            if failure is not None:
                span.set_status(StatusCode.ERROR, failure)
            span.end()
