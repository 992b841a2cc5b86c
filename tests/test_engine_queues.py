"""Answers are begun early only while no engine queues."""

import time
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.config import Config
from serve_app.core.conversation import Conversation
from serve_app.core.language import Prompt
from serve_app.engine_queues import CALM_S, ENGINES, LONGER, REMEMBERED_S, EngineQueues, SessionQuestions
from serve_app.watching import Watchers
from tests.session.line import House


def used_to(least_s: float, limit_s: float = 0.5) -> EngineQueues:
    """Each engine has answered once by 0 s, alone."""
    queues = EngineQueues(limit_s)
    for engine in set(ENGINES.values()):
        queues.asked(engine, "alone", -least_s, size=10)
        queues.answered(engine, "alone", 0.0)
    return queues


def waits(queues: EngineQueues, seconds: float, begins: float) -> bool:
    """One question more. Gives whether there is room when it is answered."""
    queues.asked("writing", "again", begins)
    queues.answered("writing", "again", begins + seconds)
    return queues.room(begins + seconds)


def test_there_is_room_while_nobody_waits_for_long() -> None:
    queues = used_to(0.1)
    assert queues.room(0.0)
    queues.asked("writing", "reply", 0.0)
    assert queues.room(0.5)
    queues.answered("writing", "reply", 0.5)
    assert queues.room(0.6)


def test_there_is_none_while_somebody_waits_for_too_long_and_for_a_while_after() -> None:
    queues = used_to(0.1)
    queues.asked("writing", "one", 0.0)
    queues.asked("writing", "other", 0.3)
    assert not queues.room(0.6)
    queues.answered("writing", "one", 0.7)
    assert not queues.room(0.75) and not queues.room(0.9), "the other one waits too"
    queues.answered("writing", "other", 1.0)
    assert not queues.room(1.0 + CALM_S - 0.01) and queues.room(1.0 + CALM_S)


def test_a_long_wait_counts_also_if_nobody_looked_meanwhile() -> None:
    assert not waits(used_to(0.1), 2.0, begins=0.0)


def test_each_long_wait_begins_the_calm_anew() -> None:
    queues = used_to(0.1)
    for start in (0.0, 4.0):
        waits(queues, 1.0, start)
    assert not queues.room(1.0 + CALM_S) and queues.room(5.0 + CALM_S)


def test_an_answer_that_is_not_wanted_any_more_is_not_waited_for() -> None:
    queues = used_to(0.1)
    queues.asked("writing", "reply", 0.0)
    queues.forget("writing", "reply")
    queues.answered("writing", "reply", 9.0)
    queues.answered("writing", "never asked", 9.0)
    assert queues.room(9.0)


@pytest.mark.parametrize("seconds", [1.0, 3.0, LONGER - 0.1])
def test_an_engine_that_takes_its_usual_time_does_not_queue_however_slow_it_is(seconds: float) -> None:
    queues = used_to(1.0)
    assert all(waits(queues, seconds, begins=10.0 * turn) for turn in range(1, 9))
    assert not waits(queues, LONGER + 0.1, begins=100.0)


def test_a_voice_may_take_longer_for_more_to_say() -> None:
    queues = EngineQueues(limit_s=0.5)
    for number, (size, seconds) in enumerate([(5, 0.3), (40, 2.0)]):
        queues.asked("speaking", number, 10.0, size)
        queues.answered("speaking", number, 10.0 + seconds)
        assert queues.room(10.0 + seconds)
    queues.asked("speaking", "long", 20.0, 40)
    assert queues.room(20.0 + LONGER * 2.0)
    queues.asked("speaking", "short", 20.0, 5)
    assert not queues.room(20.1 + LONGER * 0.3)


def test_a_quick_engine_may_take_up_to_the_limit() -> None:
    assert waits(used_to(0.01), 0.4, begins=0.0)
    assert not waits(used_to(0.01), 0.6, begins=0.0)


def test_an_engine_that_has_answered_nobody_is_not_judged() -> None:
    queues = EngineQueues(limit_s=0.5)
    queues.asked("speaking", "sound", 0.0)
    assert queues.room(9.0)
    queues.answered("speaking", "sound", 9.0)
    assert queues.room(9.0)


def test_a_lasting_queue_does_not_become_usual_for_some_minutes() -> None:
    queues = used_to(0.1)
    busy = [waits(queues, 1.0, begins=float(at)) for at in range(0, int(REMEMBERED_S) - 1, 2)]
    assert not any(busy)


def test_an_engine_that_has_become_slower_is_found_out() -> None:
    queues = used_to(0.1)
    for at in range(0, 2 * int(REMEMBERED_S) + 20, 10):
        waits(queues, 1.0, begins=float(at))
    assert waits(queues, 1.0, begins=2 * REMEMBERED_S + 30)


def test_a_quick_failure_says_nothing_about_the_usual_time() -> None:
    queues = used_to(1.0)
    queues.asked("writing", "lost", 1.0)
    queues.failed("writing", "lost", 1.01)
    assert waits(queues, 3.0, begins=2.0)


class Watched:
    """A conversation of which a `SessionQuestions` sees everything."""

    def __init__(self, queues: EngineQueues) -> None:
        numbers = count(1)
        self.conversation = Conversation(Config(), lambda kind: f"{kind}_{next(numbers)}")
        self.questions = SessionQuestions(queues)

    def happens(self, now: float, *events: ev.Event) -> None:
        for event in events:
            self.questions.saw(event, self.conversation.handle(event, now), now)


def pausing(queues: EngineQueues) -> Watched:
    """At 0 s of the clock, after a second of speech."""
    one = Watched(queues)
    one.happens(0.0, ev.SpeechStarted(0.0), ev.SpeechPaused(1.0, 1.2, eager=True))
    return one


SLOW = 0.7
GUESS = ev.TranscriptGuessed("item_1", "Hello.", 1.2, 1.0)
STEPS = [
    [ev.SpeechStopped(1.5, 1.0), GUESS],
    [GUESS, ev.ReplyText("resp_2", "Hi there. ")],
    [GUESS, ev.ReplyText("resp_2", "Hi there. "), ev.SoundMade("resp_2", 0)],
]


@pytest.mark.parametrize("steps", STEPS, ids=["the guess", "the reply", "the sound"])
def test_whatever_step_waits_it_is_seen(steps: list[ev.Event]) -> None:
    queues = used_to(0.1)
    one = pausing(queues)
    one.happens(0.1, *steps[:-1])
    assert queues.room(0.2)
    one.happens(0.1 + SLOW, steps[-1])
    assert not queues.room(0.1 + SLOW)


@pytest.mark.parametrize("steps", STEPS, ids=["the guess", "the reply", "the sound"])
def test_quick_steps_leave_room_and_nothing_that_is_waited_for(steps: list[ev.Event]) -> None:
    queues = used_to(0.1)
    one = pausing(queues)
    one.happens(0.1, *steps, ev.SpeechResumed())
    one.happens(0.2, ev.SpeechStopped(4.0, 3.0), ev.TranscriptFinished("item_1", "Hello. You.", 3.0), ev.ResponseCancelled())
    assert queues.room(99.0)


def test_what_a_session_waits_for_when_it_ends_is_forgotten() -> None:
    queues = used_to(0.1)
    one, other = SessionQuestions(queues), SessionQuestions(queues)
    for session in (one, other):
        session.saw(ev.ClearAsked(), [cmd.StartReply("resp_1", Prompt(()))], 0.0)
    one.closed()
    other.saw(ev.ReplyText("resp_1", "Hi"), [], 0.1)
    assert queues.room(99.0)


class Clock:
    """Runs with the machine's, and is set forward by the test."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


class Guesses:
    """How often a session asked what was said before its turn was over."""

    def __init__(self) -> None:
        self.count = 0

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        self.count += sum(isinstance(command, cmd.GuessTranscript) for command in commands)

    def closed(self) -> None: ...


async def test_a_language_model_that_keeps_others_waiting_ends_eagerness_and_calm_brings_it_back() -> None:
    house, clock, guesses, queues = House(), Clock(), Guesses(), used_to(0.1, limit_s=60.0)
    options: dict[str, Any] = {
        "eager": lambda: queues.room(clock()),
        "watch": lambda session_id: Watchers(SessionQuestions(queues), guesses),
    }
    async with house.session(**options) as one, house.session(**options) as other:
        house.model.gate.clear()
        one.says("response.create")
        await one.gets("response.created")
        clock.ahead_s = 61.0
        other.speaks(1.0, silence_s=0.8)
        await other.gets("response.created")
        assert guesses.count == 0
        house.model.gate.set()
        await one.gets("response.done")
        await other.gets("response.done")

        other.speaks(1.0, silence_s=0.8)
        await other.gets("response.done")
        assert guesses.count == 0, "the wait has only just ended"

        clock.ahead_s += CALM_S + 1.0
        other.speaks(1.0, silence_s=0.8)
        await other.gets("response.done")
        assert guesses.count == 1
