"""Whoever is not let in is counted once, with the reason."""

import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from deployments.engines.fake import FakeRecogniser
from deployments.guard import KeyCheck
from deployments.metrics import CountedRecogniser
from serve_app.access import Access, Caller, Key
from serve_app.admission import Admission, Door, Refused
from serve_app.ears import Limits as EarLimits
from serve_app.engines import Due, Hints
from serve_app.limits import LimitReached, Limits
from serve_app.measures import REFUSALS, STEP_SECONDS, STREAMS_IN_STEP, Tally
from serve_app.pressure import Level
from serve_app.session import drive
from serve_app.session_options import SessionOptions
from serve_app.settings import Settings
from tests.session.line import SERVED, House, Line

ANYBODY = Caller(Key("anybody", "digest"))


def refusals(tally: Tally) -> dict[str, float]:
    return {reason: count for (name, reason), count in tally.counts.items() if name == REFUSALS.name}


def door(tally: Tally) -> Door:
    return Door.of(Settings.of({"profile": "fake", "session.max_sessions": 1}), Access(b"secret"), tally)


def test_a_session_for_which_there_is_no_place() -> None:
    tally = Tally()
    one = door(tally)
    with one.session(ANYBODY), pytest.raises(Refused), one.session(ANYBODY):
        pass
    assert refusals(tally) == {"places": 1}


def test_a_request_for_which_there_is_no_place() -> None:
    tally = Tally()
    requests = Admission(1, tally)
    with requests.session("a"), pytest.raises(Refused), requests.session("b"):
        pass
    assert refusals(tally) == {"places": 1}


def test_a_key_that_has_all_that_it_may() -> None:
    tally = Tally()
    admission = Admission(5, tally)
    with admission.session("a", 1), pytest.raises(LimitReached), admission.session("a", 1):
        pass
    assert refusals(tally) == {"key_places": 1}


def test_a_session_while_memory_is_short() -> None:
    tally = Tally()
    one = door(tally)
    one.shedding.level = Level.NO_NEW_SESSIONS
    with pytest.raises(Refused), one.session(ANYBODY):
        pass
    assert refusals(tally) == {"memory": 1}


def test_audio_beyond_the_limit() -> None:
    tally = Tally()
    allowance = door(tally).allowance(Caller(Key("phone", "digest", Limits(audio_s_a_minute=60))))
    allowance.take(50)
    with pytest.raises(LimitReached):
        allowance.take(50)
    assert refusals(tally) == {"audio": 1}


def test_a_wrong_key() -> None:
    tally = Tally()
    checked = KeyCheck(PlainTextResponse("come in"), Access(b"secret", (Key("phone", "digest"),)), tally)
    assert TestClient(checked).get("/", headers={"authorization": "Bearer sk-wrong"}).status_code == 401
    assert refusals(tally) == {"key": 1}


async def test_a_session_for_which_speech_to_text_has_no_place() -> None:
    tally, house = Tally(), House()
    house.listening.limits = EarLimits(sessions=0)
    await drive(Line(), house.engines, SessionOptions(SERVED, no_ear=lambda: tally.count(REFUSALS, of="engine")))
    assert refusals(tally) == {"engine": 1}


def test_who_comes_in_is_not_counted() -> None:
    tally = Tally()
    with door(tally).session(ANYBODY):
        pass
    assert refusals(tally) == {}


def test_each_step_of_a_recogniser_is_counted_with_its_utterances() -> None:
    tally = Tally()
    counted = CountedRecogniser(FakeRecogniser(["one", "two"]), tally)
    due = [Due(counted.begin(Hints()), np.zeros(160, np.int16), True) for _ in range(2)]
    assert [answer.text for answer in counted.step(due)] == ["one", "two"]  # type: ignore[union-attr]
    counted.step(due[:1])
    assert tally.seen[STREAMS_IN_STEP.name, ""] == [2, 1]
    assert len(tally.seen[STEP_SECONDS.name, ""]) == 2
