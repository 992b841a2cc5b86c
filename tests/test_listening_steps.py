"""The steps that the scheduler has a model take: what is in one, in which order, and what fails with it."""

import threading

import pytest

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import Audio, Begin, End, Failed, Final, Hypothesis, Partial
from serve_app.errors import EngineFailed
from tests.listener import a_step_is_held, listening_to, next_of, say, seconds


async def test_all_that_is_due_takes_one_step():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ears = [await listening.open(f"s{number}") for number in range(5)]
        for ear in ears:
            say(ear, "u")
        for ear in ears:
            assert isinstance(await next_of(ear), Final)
        assert recogniser.batches == [5]


async def test_finals_go_before_partials():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        await a_step_is_held(listening, recogniser)
        talking, finished = await listening.open("talking"), await listening.open("finished")
        talking.send(Begin("u"))
        talking.send(Audio("u", seconds(3)))
        say(finished, "v")
        recogniser.gate.open()
        assert isinstance(await next_of(finished), Final)
        assert len(talking.unread) == 0
        assert isinstance(await next_of(talking), Partial)
        assert recogniser.batches == [1, 1, 1]


async def test_partials_are_shared_out_in_turn_when_the_model_takes_few_at_once():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser, partials_at_once=2) as listening:
        await a_step_is_held(listening, recogniser)
        ears = [await listening.open(f"s{number}") for number in range(5)]
        for ear in ears:
            ear.send(Begin("u"))
            ear.send(Audio("u", seconds(1)))
        recogniser.gate.open()
        for ear in ears:
            assert isinstance(await next_of(ear), Partial)
        assert recogniser.batches == [1, 2, 2, 1]


async def test_audio_that_comes_during_a_step_is_in_the_next():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        recogniser.gate.shut()
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(1)))
        await recogniser.gate.reached()
        ear.send(Audio("u", seconds(0.25)))
        ear.send(End("u"))
        recogniser.gate.open()
        assert isinstance(await next_of(ear), Partial)
        assert await next_of(ear) == Final("u", "heard 1.25 seconds", 1.25)


async def test_silent_sessions_cost_nothing():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ears = [await listening.open(f"s{number}") for number in range(100)]
        for ear in ears:
            ear.send(Begin("u"))
        assert not listening.busy
        assert recogniser.batches == []
        say(ears[0], "v")
        await next_of(ears[0])
        await listening.idle()
        assert recogniser.batches == [1]


async def test_a_failing_utterance_harms_no_other_in_its_step():
    recogniser = FakeRecogniser([EngineFailed("no such sound"), "fine"])
    async with listening_to(recogniser) as listening:
        one, other = await listening.open("one"), await listening.open("other")
        say(one, "u")
        say(other, "u")
        assert await next_of(one) == Failed("u", "no such sound")
        assert await next_of(other) == Final("u", "fine", 1.0)
        assert recogniser.batches == [2]
        assert listening.utterances == 0


class Breaking(FakeRecogniser):
    """Breaks as a whole once, in the place that is named."""

    def __init__(self, where):
        super().__init__(["first", "second"])
        self.where = where

    def begin(self, hints):
        if self.where == "begin" and not self.hints:
            self.hints.append(hints)
            raise RuntimeError("no memory")
        return super().begin(hints)

    def step(self, due):
        answers = super().step(due)
        if len(self.batches) == 1 and self.where == "step":
            raise RuntimeError("no memory")
        return answers[1:] if len(self.batches) == 1 and self.where == "answers" else answers


@pytest.mark.parametrize(
    ("where", "reason"), [("begin", "no memory"), ("step", "no memory"), ("answers", "gave 0 answers for 1 utterances")]
)
async def test_a_model_that_breaks_fails_the_utterance_and_hears_the_next(where, reason):
    async with listening_to(Breaking(where)) as listening:
        ear = await listening.open("s")
        say(ear, "u")
        failed = await next_of(ear)
        assert isinstance(failed, Failed)
        assert reason in failed.reason
        say(ear, "v")
        assert isinstance(await next_of(ear), Final)


async def test_the_model_is_called_from_one_thread_and_never_twice_at_once():
    class Watched(FakeRecogniser):
        threads: set[int] = set()
        inside = 0

        def begin(self, hints):
            self.threads.add(threading.get_ident())
            return super().begin(hints)

        def step(self, due):
            self.threads.add(threading.get_ident())
            self.inside += 1
            assert self.inside == 1
            answers = [Hypothesis("x") for _ in due]
            self.inside -= 1
            return answers

    recogniser = Watched()
    async with listening_to(recogniser) as listening:
        for number in range(10):
            ear = await listening.open(f"s{number}")
            say(ear, "u")
            await next_of(ear)
    assert len(recogniser.threads) == 1
    assert threading.get_ident() not in recogniser.threads
