"""Random conversations, looked on: what is always true of their traces."""

from collections import Counter
from typing import Any

from hypothesis import settings
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from serve_app.core.commands import Command
from serve_app.core.conversation import Conversation
from serve_app.core.events import Event
from serve_app.trace.recorder import Recorder, Session
from serve_app.trace.turns import Turns
from tests.realtime.test_invariants import RandomConversation
from tests.trace.recorded import CALLER, Recorded

ONCE = ("endpointing", "speech", "answer", "prompt", "first_token", "first_clause", "first_audio", "playback", "writing", "chat small")


class Counted(SpanProcessor):
    def __init__(self) -> None:
        self.begun = 0
        self.ended: list[ReadableSpan] = []

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self.begun += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


class LookedOn:
    """A conversation that shows what it does."""

    def __init__(self, conversation: Conversation) -> None:
        self.spans = Counted()
        provider = TracerProvider()
        provider.add_span_processor(self.spans)
        self.recorder = Recorder(provider.get_tracer("test"), Session("sess_1", "small", "fake", CALLER))
        self.turns = Turns(self.recorder, lambda at, call: self._timers.append((at, call)), lambda: self._now)
        self._conversation = conversation
        self._timers: list[tuple[float, Any]] = []
        self._now = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conversation, name)

    def handle(self, event: Event, now: float) -> list[Command]:
        self._now = now
        for _, call in [one for one in self._timers if one[0] <= now]:
            call()
        self._timers = [one for one in self._timers if one[0] > now]
        commands = self._conversation.handle(event, now)
        self.turns.saw(event, commands, now)
        for command in commands:
            with self.turns.during(command):
                pass
        return commands


class RecordedConversation(RandomConversation):
    def happens(self, event: Event) -> None:
        if not isinstance(self.conversation, LookedOn):
            self.conversation = LookedOn(self.conversation)  # type: ignore[assignment]
        super().happens(event)

    def teardown(self) -> None:
        super().teardown()
        if isinstance(conversation := getattr(self, "conversation", None), LookedOn):
            conversation.turns.closed()
            spans = conversation.spans
            assert spans.begun == len(spans.ended), "a span never ended"
            for trace_id in {span.context.trace_id for span in spans.ended if span.context}:
                holds([span for span in spans.ended if span.context and span.context.trace_id == trace_id], conversation.recorder.ns(0.0))


def holds(spans: list[ReadableSpan], zero_ns: int) -> None:
    """Of one trace."""
    trace = Recorded(spans, zero_ns)
    assert [span.name for span in spans if span.parent is None] == ["turn"]
    by_id = {span.context.span_id: span for span in spans if span.context}
    for span in spans:
        if span.parent is not None:
            parent, (start, end) = trace.times_of(by_id[span.parent.span_id]), trace.times_of(span)
            assert parent[0] <= start <= end <= parent[1], f"{span.name} {start, end} is not within its parent {parent}"
    kept = Counter(name for names in trace.tree().values() for name in names)
    assert all(kept[name] <= 1 for name in (*ONCE, "transcription")), kept
    if (trace.one("turn").attributes or {})["sparkvox.outcome"] == "completed":
        assert trace.unexplained() < 0.05


RecordedConversation.TestCase.settings = settings(RandomConversation.TestCase.settings, max_examples=60)
TestRecordedConversations = RecordedConversation.TestCase
