"""Spans out of the clock times of a session."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Tracer, set_span_in_context

Attributes = Mapping[str, str | bool | int | float | tuple[str, ...]]
NO_ATTRIBUTES: Attributes = {}

DISCARDED = "sparkvox.discarded"
"""Work on a guess that was wrong: nobody saw it."""
STOPPED = "sparkvox.stopped"
"""Broken off before its end."""


@dataclass(frozen=True, slots=True)
class Session:
    """What the spans of a session say of it."""

    id: str
    model: str
    provider: str
    """The engine of the language model."""
    span: SpanContext
    """Its own span, which the roots of its turns link to."""


class Recorder:
    def __init__(self, tracer: Tracer, session: Session) -> None:
        self.session = session
        self._tracer = tracer
        self._zero_ns = time.time_ns() - time.monotonic_ns()
        self._common = {"session.id": session.id, "gen_ai.conversation.id": session.id}

    def ns(self, at: float) -> int:
        """Clock seconds (time.monotonic) as the nanoseconds since 1970 that spans are made of."""
        return self._zero_ns + round(at * 1e9)

    def root(self, name: str, at: float) -> Span:
        """In a trace of its own, with a link to the session's span."""
        links = (Link(self.session.span),)
        return self._tracer.start_span(name, Context(), attributes=self._common, links=links, start_time=self.ns(at))

    def begin(
        self, name: str, within: Span, at: float, attributes: Attributes = NO_ATTRIBUTES, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span:
        context = set_span_in_context(within, Context())
        return self._tracer.start_span(name, context, kind, {**self._common, **attributes}, start_time=self.ns(at))

    def record(self, name: str, within: Span, start: float, end: float, attributes: Attributes = NO_ATTRIBUTES) -> None:
        """One that is over already."""
        self.begin(name, within, start, attributes).end(self.ns(max(start, end)))


class Steps:
    """Spans within another that follow each other without a gap; each is recorded when it is over."""

    def __init__(self, recorder: Recorder, within: Span, name: str, at: float) -> None:
        self.name: str | None = name
        """Of the step under way; None after the last."""
        self._recorder = recorder
        self._within = within
        self._since = at

    def next(self, name: str | None, at: float, attributes: Attributes = NO_ATTRIBUTES) -> None:
        """The step under way is over; `attributes` are its."""
        if self.name is not None:
            self._recorder.record(self.name, self._within, self._since, at, attributes)
        self.name, self._since = name, at

    def end(self, at: float, attributes: Attributes = NO_ATTRIBUTES) -> None:
        self.next(None, at, attributes)
