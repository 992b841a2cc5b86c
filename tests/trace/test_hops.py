"""How a trace comes to other processes, and what decides whether there is one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, Tracer

from deployments import recognitions
from deployments.engines.fake import FakeLanguageModel
from deployments.recognitions import RecordedEar, traced
from deployments.tracing import UNRECORDED, Tracing, synthesis
from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, HearingMessage, HearingResult, Sound, Speech
from serve_app.errors import EngineFailed, EngineGone, SettingsError
from serve_app.serving import needed
from serve_app.session_options import SessionOptions, as_it_is
from serve_app.settings import Settings
from serve_app.trace.export import environment
from serve_app.trace.turns import within
from serve_app.work import Work
from tests.deployments.calling import HELLO, all_of, lines_to, serving, value
from tests.deployments.conftest import eventually
from tests.session.line import SERVED, House

CALLER = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1)))
TRACEPARENT = f"00-{0xABC:032x}-{0xDEF:016x}-01"
SILENCE = np.zeros(160, np.int16)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Tracer:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(recognitions.trace, "get_tracer", provider.get_tracer)
    return provider.get_tracer("test")


class ScriptedEar:
    def __init__(self, *answers: HearingResult) -> None:
        self.sent: list[HearingMessage] = []
        self._answers = answers

    def send(self, message: HearingMessage) -> None:
        self.sent.append(message)

    async def results(self) -> AsyncIterator[HearingResult]:
        for answer in self._answers:
            yield answer

    async def close(self) -> None: ...


# --- the direct socket ------------------------------------------------------------------------------------------------------------------


def test_a_question_on_the_socket_carries_the_current_span_and_other_messages_nothing() -> None:
    with within(CALLER):
        assert traced(End("u")) == End("u", TRACEPARENT)
        assert traced(Guess("u", 1.5)) == Guess("u", 1.5, TRACEPARENT)
        assert traced(Begin("u")) == Begin("u")


def test_what_is_not_recorded_is_not_told() -> None:
    assert traced(End("u")) == End("u")
    with within(UNRECORDED):
        assert traced(End("u")) == End("u")


async def test_the_replica_makes_a_span_of_each_question_with_its_queue_and_step(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    answers = Guessed("u", "one", 1.5, 1.5, Work(0.1, 0.2, 3)), Final("u", "one two", 2.0, work=Work(0.3, 0.4, 1))
    ear = RecordedEar(ScriptedEar(*answers), "sess_1")
    ear.send(Guess("u", 1.5, TRACEPARENT))
    ear.send(End("u", TRACEPARENT))
    assert [result.utterance async for result in ear.results()] == ["u", "u"]
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["recognise", "recognise"]
    assert [(span.attributes or {})["sparkvox.queue_s"] for span in spans] == [0.1, 0.3]
    assert [(span.attributes or {})["sparkvox.step_s"] for span in spans] == [0.2, 0.4]
    assert {(span.parent.trace_id, span.parent.span_id) for span in spans if span.parent} == {(0xABC, 0xDEF)}


async def test_questions_that_fail_or_are_dropped_end_their_spans(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    ear = RecordedEar(ScriptedEar(Failed("u", "too long")), "sess_1")
    ear.send(Guess("v", 1.0, TRACEPARENT))
    ear.send(Drop("v"))
    ear.send(End("u", TRACEPARENT))
    assert [type(result) async for result in ear.results()] == [Failed]
    dropped, failed = exporter.get_finished_spans()
    assert (dropped.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)


async def test_without_a_traceparent_there_is_no_span(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    ear = RecordedEar(ScriptedEar(Final("u", "one", 1.0)), "sess_1")
    ear.send(End("u"))
    assert [type(result) async for result in ear.results()] == [Final]
    await ear.close()
    assert not exporter.get_finished_spans()


async def test_speech_to_text_says_how_long_an_utterance_waited_and_was_worked_on() -> None:
    house = House(["Hello.", "There."])
    ear = await house.listening.open("sess_1")
    house.recogniser.gate.shut()
    for message in (Begin("u"), Audio("u", SILENCE), End("u")):
        ear.send(message)
    await house.recogniser.gate.reached()
    for message in (Begin("late"), Audio("late", SILENCE), End("late")):
        ear.send(message)
    house.recogniser.gate.open()
    results = ear.results()
    first, second = await anext(results), await anext(results)
    assert isinstance(first, Final) and isinstance(second, Final)
    assert first.work.step_s > 0 and first.work.batch == 1
    assert first.work.queue_s > 0 and second.work.queue_s > 0, "each waits for its step to begin"
    await ear.close()


# --- calls of the language model and of text-to-speech -----------------------------------------------------------------------------------


async def test_a_call_has_a_span_in_the_replica_within_that_of_the_gateway(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    async with serving() as server, lines_to(server) as lines:
        with within(CALLER):
            await all_of(lines.call(HELLO))
    (span,) = exporter.get_finished_spans()
    assert span.name == "reply" and "sparkvox.queue_s" in (span.attributes or {})
    assert span.parent is not None and (span.parent.trace_id, span.parent.span_id) == (0xABC, 0xDEF)


async def test_a_call_that_is_not_recorded_has_none(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    async with serving() as server, lines_to(server) as lines:
        await all_of(lines.call(HELLO))
        with within(UNRECORDED):
            await all_of(lines.call(HELLO))
    assert not exporter.get_finished_spans()


async def test_calls_that_fail_or_are_stopped_say_so_in_their_spans(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    engine = FakeLanguageModel([EngineFailed("no words")])
    async with serving(engine) as server, lines_to(server) as lines:
        with within(CALLER):
            with pytest.raises(EngineFailed):
                await all_of(lines.call(HELLO))
            engine.gate.clear()
            unwanted = asyncio.create_task(all_of(lines.call(HELLO)))
            await eventually(value(lambda: engine.live), 1)
            unwanted.cancel()
            await eventually(value(lambda: len(exporter.get_finished_spans())), 2)
    failed, stopped = exporter.get_finished_spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert stopped.status.status_code is StatusCode.UNSET and (stopped.attributes or {})["sparkvox.stopped"] is True


# --- speech -----------------------------------------------------------------------------------------------------------------------------


async def sounds(*, fails: bool = False) -> AsyncGenerator[Sound, None]:
    seen_by_the_call.append(trace.get_current_span().get_span_context().span_id)
    yield Sound(np.zeros(2400, np.int16))
    if fails:
        raise EngineGone("lost")
    yield Sound(np.zeros(1200, np.int16))


seen_by_the_call: list[int] = []


async def test_each_speech_has_a_span_in_which_the_replica_is_called(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    with within(CALLER):
        made = synthesis(tracer, Speech("Hello.", "af_heart"), sounds(), 24_000)
        assert len([sound async for sound in made]) == 2
        assert trace.get_current_span() is CALLER
    (span,) = exporter.get_finished_spans()
    assert span.context is not None and span.parent is not None
    assert span.parent.span_id == 0xDEF and seen_by_the_call[-1] == span.context.span_id
    attributes = dict(span.attributes or {})
    assert attributes.pop("sparkvox.first_sound_s") >= 0  # type: ignore[operator]
    assert attributes == {"sparkvox.characters": 6, "sparkvox.voice": "af_heart", "sparkvox.audio_s": pytest.approx(0.15)}


async def test_a_lost_speech_is_an_error_and_one_that_nobody_wants_is_stopped(tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    with pytest.raises(EngineGone):
        _ = [sound async for sound in synthesis(tracer, Speech("Hello.", "af_heart"), sounds(fails=True), 24_000)]
    unwanted = synthesis(tracer, Speech("Hello.", "af_heart"), sounds(), 24_000)
    await anext(unwanted)
    await unwanted.aclose()
    lost, stopped = exporter.get_finished_spans()
    assert lost.status.status_code is StatusCode.ERROR
    assert stopped.status.status_code is StatusCode.UNSET and (stopped.attributes or {})["sparkvox.stopped"] is True


# --- sessions ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tracing(tracer: Tracer) -> Tracing:
    return Tracing("fake", tracer)


async def test_a_session_is_recorded_in_its_clients_trace_with_a_trace_of_its_own_for_each_turn(
    tracing: Tracing, exporter: InMemorySpanExporter
) -> None:
    house = House(["Hello."], ["Hi."])
    with tracing.session({"traceparent": TRACEPARENT}) as watched:
        options = watched(SessionOptions(SERVED))
        async with house.session(watch=options.watch, during=options.during) as line:
            line.speaks(1.0, silence_s=0.8)
            await line.gets("response.done")
    spans = {span.name: span for span in exporter.get_finished_spans()}
    session, turn = spans["session"], spans["turn"]
    assert session.context is not None and turn.context is not None and session.parent is not None
    assert (session.parent.span_id, session.context.trace_id) == (0xDEF, 0xABC)
    assert turn.context.trace_id != 0xABC and [link.context.span_id for link in turn.links] == [session.context.span_id]
    assert (session.attributes or {})["session.id"] == (turn.attributes or {})["session.id"] == line.seen[0]["session"]["id"]


@pytest.mark.parametrize("headers", [{}, {"traceparent": TRACEPARENT[:-2] + "00"}])
def test_a_session_that_was_not_chosen_is_not_watched_and_tells_all_calls_so(
    tracing: Tracing, exporter: InMemorySpanExporter, headers: dict[str, str]
) -> None:
    with tracing.session(headers) as watched:
        assert watched is as_it_is
        inside = trace.get_current_span().get_span_context()
        assert inside.is_valid and not inside.trace_flags.sampled
    assert not exporter.get_finished_spans()


def test_a_session_that_serve_has_chosen_belongs_to_its_call(tracing: Tracing, exporter: InMemorySpanExporter) -> None:
    with within(CALLER), tracing.session({}):
        pass
    (session,) = exporter.get_finished_spans()
    assert session.parent is not None and session.parent.span_id == 0xDEF


# --- settings ---------------------------------------------------------------------------------------------------------------------------


def test_off_no_process_is_told_anything() -> None:
    assert environment(Settings.of({"profile": "fake"}).tracing, "sparkvox-gateway", 1.0) == {}


def test_on_every_process_is_told_where_spans_go_and_how_many() -> None:
    settings = Settings.of({"profile": "fake", "tracing.endpoint": "http://collector:4318/", "tracing.ratio": "0.25"})
    wanted = environment(settings.tracing, "sparkvox-gateway", settings.tracing.ratio)
    assert wanted["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "http://collector:4318/v1/traces"
    assert wanted["RAY_SERVE_TRACING_SAMPLING_RATIO"] == "0.25"
    assert wanted["OTEL_SERVICE_NAME"] == "sparkvox-gateway"


def test_every_node_is_told_for_its_proxies_and_without_a_collector_none_is() -> None:
    on, off = (Settings.of({"profile": "fake", **more}) for more in ({"tracing.endpoint": "http://collector:4318"}, {}))
    assert environment(on.tracing, "sparkvox-proxy", 1.0).items() <= needed(on, "ray").items()
    assert not [name for name in needed(off, "ray") if name.startswith("OTEL_") or "TRACING" in name]


@pytest.mark.parametrize(("name", "value"), [("tracing.endpoint", "collector:4318"), ("tracing.ratio", "2")])
def test_what_is_no_address_or_share_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.of({"profile": "fake", name: value})
