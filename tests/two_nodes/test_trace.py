"""One spoken turn through an application on two nodes, as it comes to a collector of traces."""

import asyncio
import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from serve_app.profiles import ROLE
from serve_app.settings import Settings
from serve_app.trace.recorder import DISCARDED
from tests.trace.collector import Collector, Received, collecting
from tests.two_nodes.conftest import Nodes

# Ray Serve's own modules, at their import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FAKE: dict[str, Any] = {
    "profile": "fake",
    "topology": "two_sparks_split",
    **{f"{part}.num_cpus": 0.05 for part in ("gateway", "stt", "llm", "tts")},
    "stt.prefer": {ROLE: "language"},
    "llm.options": {"first_s": 0.05},
    "tts.options": {"speech_s": 0.05},
    "session.drain_s": 0,
}
"""The gateway and the voice on the head, the ear and the model on the other node."""
CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STEPS = ("speech", "endpointing", "transcription", "prompt", "first_token", "first_clause", "first_audio", "playback")
RATE, FRAME = 24_000, 480
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    with collecting() as both:
        yield both


@pytest.fixture(scope="module")
def application(nodes: Nodes, collector: tuple[Collector, str]) -> Iterator[str]:
    """Its address; recorded."""
    from ray import serve

    deploy(**{"tracing.endpoint": collector[1]})
    yield nodes.server
    serve.delete("traced")


async def spoken_turn(address: str, flags: str = "01") -> str:
    """Says one second of a tone at the pace of speech, hears the answer, hangs up when it has been played. The session's id."""
    headers = {"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-{flags}"}
    async with connect(f"ws://{address}/v1/realtime", additional_headers=headers, proxy=None) as line:
        created = await gets(line, "session.created")
        speaking = asyncio.create_task(speaks(line))
        await gets(line, "response.done")
        await speaking
        return str(created["session"]["id"])


async def speaks(line: ClientConnection) -> None:
    """A microphone: a tone, then silence for as long as an answer may take."""
    at = np.arange(RATE) / RATE
    samples = np.concatenate(((9000 * np.sin(2 * np.pi * 300 * at)).astype("<i2"), np.zeros(4 * RATE, "<i2")))
    began = time.monotonic()
    for start in range(0, len(samples), FRAME):
        audio = base64.b64encode(samples[start : start + FRAME].tobytes()).decode()
        await line.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await asyncio.sleep(max(0.0, began + (start + FRAME) / RATE - time.monotonic()))


async def gets(line: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (event := json.loads(await line.recv()))["type"] != kind:
            pass
    found: dict[str, Any] = event
    return found


def deploy(**settings: Any) -> None:
    from ray import serve

    from serve_app import graph

    serve.run(graph(Settings.of({**FAKE, **settings})), name="traced", route_prefix="/")


class Trace:
    """The turn's, of what came to the collector; what was discarded left out."""

    def __init__(self, spans: list[Received]) -> None:
        (self.turn,) = (span for span in spans if span.name == "turn")
        self._by_id = {span.id: span for span in spans if span.trace == self.turn.trace}
        self.spans = [span for span in self._by_id.values() if not any(one.attributes.get(DISCARDED) for one in self.above(span))]

    def above(self, span: Received) -> list[Received]:
        """It and what it is in, up to the turn."""
        line = [span]
        while line[-1].parent:
            line.append(self._by_id[line[-1].parent])
        return line

    def path(self, name: str) -> str:
        """Of the only span of that name."""
        (span,) = (span for span in self.spans if span.name == name)
        return " < ".join(one.name for one in self.above(span))

    def one(self, name: str) -> Received:
        (span,) = (span for span in self.spans if span.name == name)
        return span

    def unexplained(self) -> float:
        reached, covered = self.turn.start, 0.0
        for step in sorted((span for span in self.spans if span.name in STEPS), key=lambda span: span.start):
            covered += max(0.0, min(step.end, self.turn.end) - max(step.start, reached))
            reached = max(reached, step.end)
        return 1 - covered / (self.turn.end - self.turn.start)


@pytest.fixture(scope="module")
def came(application: str, collector: tuple[Collector, str]) -> list[Received]:
    """What came of one spoken turn."""
    asyncio.run(spoken_turn(application))
    wanted = {"turn", "session", "recognise", "reply", "speak", "replica_handle_request Gateway __call__"}
    return collector[0].until(lambda spans: wanted <= {span.name for span in spans})


def test_every_step_of_the_turn_is_there_once_in_its_place(came: list[Received]) -> None:
    trace = Trace(came)
    model = "chat fake"
    for name in ("speech", "endpointing", "transcription"):
        assert trace.path(name) == f"{name} < turn"
    for name in ("prompt", "first_token", "first_clause", "first_audio", "playback", model):
        assert trace.path(name) == f"{name} < answer < turn"
    synthesis = [span for span in trace.spans if span.name == "synthesis"]
    assert synthesis and all(trace.above(span)[1].name == "answer" for span in synthesis)
    assert trace.path("recognise") == "recognise < transcription < turn"
    assert trace.path("reply") == f"reply < {model} < answer < turn"
    spoken = [span for span in trace.spans if span.name == "speak"]
    assert [trace.above(span)[1].name for span in spoken] == ["synthesis"] * len(synthesis)


def test_nothing_but_a_twentieth_of_the_turn_is_unexplained(came: list[Received]) -> None:
    assert Trace(came).unexplained() < 0.05


def test_the_turn_is_linked_to_its_session_which_is_in_the_clients_trace(came: list[Received]) -> None:
    (session,) = (span for span in came if span.name == "session")
    trace = Trace(came)
    assert trace.turn.parent == ""
    assert trace.turn.links == ((session.trace, session.id),)
    assert session.trace == CLIENT_TRACE != trace.turn.trace
    above = {span.id: span.parent for span in came if span.trace == CLIENT_TRACE}
    while session.parent in above:
        session = next(span for span in came if span.id == session.parent)
    assert session.parent == CLIENT_SPAN


def test_each_process_says_who_and_where_it_is(came: list[Received], nodes: Nodes) -> None:
    trace = Trace(came)
    expected = {
        "turn": ("sparkvox-gateway", nodes.head),
        "recognise": ("sparkvox-speech-to-text", nodes.other),
        "reply": ("sparkvox-language-model", nodes.other),
    }
    for name, (service, node) in expected.items():
        about = trace.one(name).resource
        assert (about["service.namespace"], about["service.name"], about["ray.node.id"]) == ("sparkvox", service, node)
    assert len({span.resource["service.instance.id"] for span in trace.spans}) == 4


def test_the_ear_tells_how_long_it_waited_and_worked(came: list[Received]) -> None:
    heard = Trace(came).one("recognise")
    assert heard.attributes["sparkvox.batch"] == 1
    parts_s = heard.attributes["sparkvox.queue_s"] + heard.attributes["sparkvox.step_s"]
    assert 0 < parts_s <= heard.end - heard.start + 0.001


async def test_a_client_that_does_not_want_to_be_recorded_is_not(application: str, collector: tuple[Collector, str]) -> None:
    """Its turn comes first: what would be sent of it is there before what is sent of the second."""
    unwanted, wanted = await spoken_turn(application, flags="00"), await spoken_turn(application)
    ended = {("turn", wanted), ("session", wanted)}
    spans = await asyncio.to_thread(collector[0].until, lambda spans: ended <= {of(span) for span in spans})
    assert unwanted not in {span.attributes.get("session.id") for span in spans}


def of(span: Received) -> tuple[str, str | None]:
    return span.name, span.attributes.get("session.id")


async def test_off_there_are_neither_spans_nor_a_provider(application: str, collector: tuple[Collector, str]) -> None:
    """What is recorded is called last: what would be sent of the others is there before."""
    deploy()
    began = time.time()
    await spoken_turn(application)
    assert await provider() == "ProxyTracerProvider"
    assert await provider(**{"tracing.endpoint": collector[1]}) == "TracerProvider"
    asked = "replica_handle_request Asked provider"
    spans = await asyncio.to_thread(collector[0].until, lambda spans: asked in {span.name for span in spans})
    assert [span.name for span in spans if span.start > began] == [asked]


class Asked:
    async def provider(self) -> str:
        from opentelemetry import trace

        return type(trace.get_tracer_provider()).__name__


async def provider(**settings: Any) -> str:
    """Of tracers, in a process that is given what the application's are."""
    from ray import serve

    from serve_app.wiring import _environment

    options = {"num_cpus": 0.05, **_environment(Settings.of({**FAKE, **settings}), "gateway")}
    handle = serve.run(serve.deployment(Asked, ray_actor_options=options).bind(), name="asked", route_prefix=None)
    return str(await handle.provider.remote())
