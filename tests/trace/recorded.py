"""A conversation whose turns are recorded, at times that the test owns."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, TraceFlags

from serve_app.core.commands import Command
from serve_app.core.config import Config
from serve_app.core.events import Event
from serve_app.trace.recorder import DISCARDED, Recorder, Session
from serve_app.trace.turns import Turns
from tests.core.talk import Talk

CALLER = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1))


class RecordedTalk(Talk):
    def __init__(self, config: Config | None = None, barge_in_s: float = 0.0) -> None:
        super().__init__(config, barge_in_s=barge_in_s)
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.recorder = Recorder(provider.get_tracer("test"), Session("sess_1", "small", "fake", CALLER))
        self.turns = Turns(self.recorder, lambda at, call: self.timers.append((at, call)), lambda: self.now)
        self.timers: list = []

    def watched(self, event: Event, commands: list[Command]) -> None:
        self.turns.saw(event, commands, self.now)

    def passes(self, seconds: float) -> None:
        """Timers fire at their time."""
        self.now += seconds
        due, self.timers = [one for one in self.timers if one[0] <= self.now], [one for one in self.timers if one[0] > self.now]
        for _, call in due:
            call()

    # --- what was recorded --------------------------------------------------------------------------------------------------------------

    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def turn(self, number: int = 0) -> "Recorded":
        roots = sorted((span for span in self.spans() if span.name == "turn"), key=lambda span: span.start_time or 0)
        mine = [span for span in self.spans() if _trace(span) == _trace(roots[number])]
        return Recorded(mine, self.recorder.ns(0.0))


class Recorded:
    """One trace."""

    def __init__(self, spans: list[ReadableSpan], zero_ns: int) -> None:
        self.spans = spans
        self._zero_ns = zero_ns
        self._names = {_id(span): span.name for span in spans}

    def one(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.spans if span.name == name)
        return span

    def tree(self) -> dict[str, list[str]]:
        """Names of the children of each, in the order in which they began; nothing of what was discarded."""
        children: dict[str, list[str]] = {}
        for span in sorted(self.spans, key=lambda span: (span.start_time, span.end_time)):
            if span.parent is not None and not self._discarded(span):
                children.setdefault(self._names[span.parent.span_id], []).append(span.name)
        return children

    def discarded(self) -> list[str]:
        return sorted(span.name for span in self.spans if span.attributes and span.attributes.get(DISCARDED))

    def times(self, name: str) -> tuple[float, float]:
        span = self.one(name)
        return self._s(span.start_time), self._s(span.end_time)

    def unexplained(self) -> float:
        """Share of the turn in which none of its steps was under way; those around others do not count."""
        around = {span.parent.span_id for span in self.spans if span.parent is not None}
        steps = sorted(self.times_of(span) for span in self.spans if _id(span) not in around)
        start, end = self.times("turn")
        covered, reached = 0.0, start
        for begins, ends in steps:
            covered += max(0.0, min(ends, end) - max(begins, reached))
            reached = max(reached, ends)
        return 1 - covered / (end - start) if end > start else 0.0

    def times_of(self, span: ReadableSpan) -> tuple[float, float]:
        return self._s(span.start_time), self._s(span.end_time)

    def _s(self, ns: int | None) -> float:
        assert ns is not None
        return round((ns - self._zero_ns) / 1e9, 6)

    def _discarded(self, span: ReadableSpan) -> bool:
        by_id = {_id(one): one for one in self.spans}
        above: ReadableSpan | None = span
        while above is not None:
            if above.attributes and above.attributes.get(DISCARDED):
                return True
            above = by_id.get(above.parent.span_id) if above.parent else None
        return False


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


def _trace(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.trace_id
