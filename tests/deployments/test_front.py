"""Who may come in, without Serve."""

import time
from typing import Any, cast

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from deployments.front import Front
from deployments.gateway import served, warming_helps
from deployments.guard import Guard
from serve_app.access import Access, Caller, Key
from serve_app.admission import Admission, Door, Refused, is_loopback, origin_allowed
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.language import Prompt
from serve_app.engines import Engines
from serve_app.pressure import Level
from serve_app.realtime.session_object import Served
from serve_app.session import SessionOptions
from serve_app.settings import Settings


def knock(peer: str, beyond_loopback: bool) -> int:
    guarded = Guard(PlainTextResponse("come in"), beyond_loopback)
    return TestClient(guarded, "http://localhost:8000", client=(peer, 50_000)).get("/").status_code


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7"])
def test_other_machines_stay_outside(peer: str) -> None:
    assert knock(peer, beyond_loopback=False) == 403


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_this_machine_comes_in(peer: str) -> None:
    assert knock(peer, beyond_loopback=False) == 200


def test_other_machines_come_in_where_that_was_said() -> None:
    assert knock("192.0.2.7", beyond_loopback=True) == 200


def test_a_name_is_no_loopback_address() -> None:
    assert not is_loopback("localhost.example")
    assert not is_loopback(None)


def test_places_are_given_back_however_a_session_ends() -> None:
    admission = Admission(1)
    with pytest.raises(KeyError), admission.session():
        raise KeyError
    with admission.session(), pytest.raises(Refused), admission.session():
        pass
    assert admission.sessions == 0


@pytest.mark.parametrize(
    ("origin", "allowed", "comes_in"),
    [
        (None, (), True),
        ("http://here:8000", (), True),
        ("HTTP://Here:8000", (), True),
        ("http://here", (), False),
        ("http://here:8001", (), False),
        ("http://there", (), False),
        ("file://here:8000", (), False),
        ("null", (), False),
        ("http://there", ("http://there",), True),
        ("http://there", ("*",), True),
    ],
)
def test_pages_come_in_from_here_and_from_where_it_is_allowed(origin: str | None, allowed: tuple[str, ...], comes_in: bool) -> None:
    assert origin_allowed(origin, "here:8000", allowed, host_is_known=True) is comes_in


@pytest.mark.parametrize(
    ("origin", "host"), [("https://here", "here:443"), ("https://here:443", "here"), ("http://here", "here:80"), ("http://[::1]", "[::1]")]
)
def test_the_default_port_of_a_page_may_be_written_or_not(origin: str, host: str) -> None:
    assert origin_allowed(origin, host, (), host_is_known=True)


def test_a_page_is_not_from_here_because_its_own_name_points_here() -> None:
    assert not origin_allowed("http://evil.example:8000", "evil.example:8000", ())


def a_client(query: bytes = b"", **options: Any) -> tuple[Door, SessionOptions]:
    """What it is given that connects with this query, by which door."""
    settings = Settings.of({"profile": "fake"})
    door = Door.of(settings, Access(b"secret"))
    served = Served("model", "transcription", "voice", ("voice",), "instructions")
    front = Front(Engines(*[cast("Any", None)] * 5), SessionOptions(served, **options), settings, door)
    scope = {"type": "websocket", "path": "/v1/realtime", "query_string": query, "headers": []}
    return door, front._asked(WebSocket(scope, receive=cast("Any", None), send=cast("Any", None)))


def test_what_is_set_of_the_engines_is_what_sessions_begin_with() -> None:
    own = {"llm.instructions": "Sing.", "tts.voice": "bf_emma", "tts.speed": 1.25, "llm.max_spoken_tokens": 70}
    begins = Served("fake", "fake", "bf_emma", ("bf_emma",), "Sing.", 1.25, ("en", "de"), ("en",), 70)
    assert served(Settings.of({"profile": "fake", **own}), ("bf_emma",), ("en", "de"), ("en",)) == begins


def test_answers_are_not_begun_in_the_pause_while_an_engine_keeps_another_session_waiting() -> None:
    door, options = a_client()
    assert options.eager() and not a_client(b"sparkvox=patient")[1].eager()
    other, asked = options.watch("sess_other"), [cmd.StartReply("resp_1", Prompt(()))]
    other.saw(ev.ClearAsked(), asked, time.monotonic())
    other.saw(ev.ReplyText("resp_1", "Hi"), [], time.monotonic())
    assert options.eager()
    other.saw(ev.ClearAsked(), asked, time.monotonic() - 60)
    assert not options.eager()


def test_reading_ahead_helps_where_one_replica_keeps_what_it_has_read() -> None:
    def helps(**llm: Any) -> bool:
        return warming_helps(Settings.of({"profile": "cpu", "llm": llm}).llm)

    assert helps(engine="vllm") and helps(max_replicas=1)
    assert not helps(replicas=2) and not helps(max_replicas=2)
    assert not helps(engine="openai") and not helps(engine="fake")


def test_a_client_that_wants_no_haste_has_nothing_read_ahead() -> None:
    door, options = a_client()
    assert not options.warms(), "its engine keeps nothing"
    door, options = a_client(warms=lambda: True)
    assert options.warms() and not a_client(b"sparkvox=patient", warms=lambda: True)[1].warms()
    door.shedding.level = Level.NO_SPECULATION
    assert not options.warms()


def test_answers_are_not_begun_in_the_pause_while_memory_is_short() -> None:
    door, options = a_client()
    eager, begun = options.eager, []
    for level in Level:
        door.shedding.level = level
        begun.append(eager())
    assert begun == [True, True, False, False, False]


def test_sessions_are_refused_with_the_reason_while_memory_is_short() -> None:
    door = Door.of(Settings.of({"profile": "fake"}), Access(b"secret"))
    caller = Caller(Key("anybody", "digest"))
    with door.session(caller):
        door.shedding.level, door.shedding.why = Level.NO_NEW_SESSIONS, "1.0 of 121.0 GB are available"
        with pytest.raises(Refused, match=r"memory is short here \(1\.0 of 121\.0 GB are available\)"), door.session(caller):
            pass
        assert door.sessions.sessions == 1
    assert door.sessions.sessions == 0
