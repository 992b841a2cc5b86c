"""The scheduler between sessions and a model, with the fake model."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, Hints, Hypothesis, Partial
from serve_app.errors import EngineBusy, EngineFailed, EngineGone
from serve_app.listening import Limits, Listening


def seconds(count):
    return np.ones(int(count * HEARING_RATE), np.int16)


@asynccontextmanager
async def listening_to(recogniser, **limits):
    listening = Listening(recogniser, Limits(gather_s=0, **limits))
    try:
        yield listening
    finally:
        if isinstance(recogniser, FakeRecogniser):
            recogniser.gate.open()
        await listening.close()


def say(ear, name, audio_s=1.0):
    ear.send(Begin(name))
    ear.send(Audio(name, seconds(audio_s)))
    ear.send(End(name))


async def next_of(ear):
    return await anext(ear.results())


async def a_step_is_held(listening, recogniser):
    """The worker stands at the gate with an utterance of another session."""
    recogniser.gate.shut()
    ear = await listening.open("holding")
    say(ear, "held")
    await recogniser.gate.reached()
    return ear


async def test_an_utterance_is_answered_with_a_final():
    async with listening_to(FakeRecogniser(["hello there"])) as listening:
        ear = await listening.open("s")
        say(ear, "u", 1.5)
        assert await next_of(ear) == Final("u", "hello there", 1.5)
        assert listening.utterances == 0


async def test_a_partial_comes_with_each_step_of_new_audio_and_not_before():
    recogniser = FakeRecogniser(["one two three"], step_s=0.5)
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.4)))
        assert not listening.busy
        ear.send(Audio("u", seconds(0.1)))
        assert listening.busy
        assert await next_of(ear) == Partial("u", "one", 3)
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "one two", 7)


async def test_a_partial_that_says_nothing_new_is_not_sent():
    async with listening_to(FakeRecogniser(["word"])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "word", 4)
        ear.send(Audio("u", seconds(0.5)))
        await listening.idle()
        assert len(ear.unread) == 0
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "word", 1.0)


async def test_a_guess_is_as_final_as_the_end_and_the_utterance_goes_on():
    async with listening_to(FakeRecogniser(["one two three four"])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "one", 3)
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 7.5))
        assert await next_of(ear) == Guessed("u", "one two three four", 7.5, 0.75)
        ear.send(Audio("u", seconds(0.25)))
        assert await next_of(ear) == Partial("u", "one two", 7)
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "one two three four", 1.0)


async def test_a_guess_before_the_first_step_takes_nothing_from_the_utterance():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 1.0))
        assert await next_of(ear) == Guessed("u", "heard 0.25 seconds", 1.0, 0.25)
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "heard 0.25 seconds", 0.25)


async def test_a_guess_that_fails_fails_the_utterance():
    async with listening_to(FakeRecogniser([EngineFailed("broken")])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 1.0))
        assert await next_of(ear) == Failed("u", "broken")


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


async def test_hints_reach_the_model():
    recogniser = FakeRecogniser()
    hints = Hints("en", "A talk about ships", ("bosun",))
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u", hints))
        ear.send(End("u"))
        assert (await next_of(ear)).text == ""
        assert recogniser.hints == [hints]


async def test_a_drop_during_the_step_leaves_no_answer():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await a_step_is_held(listening, recogniser)
        ear.send(Drop("held"))
        assert listening.utterances == 0
        recogniser.gate.open()
        await listening.idle()
        assert len(ear.unread) == 0


async def test_an_utterance_of_the_same_name_is_not_given_the_answer_of_the_dropped_one():
    recogniser = FakeRecogniser(["old", "new"])
    async with listening_to(recogniser) as listening:
        ear = await a_step_is_held(listening, recogniser)
        ear.send(Drop("held"))
        say(ear, "held", 0.5)
        recogniser.gate.open()
        assert await next_of(ear) == Final("held", "new", 0.5)


async def test_a_drop_before_the_step_spares_the_model_the_work():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        say(ear, "u")
        ear.send(Drop("u"))
        await listening.idle()
        assert recogniser.batches == []


async def test_a_drop_takes_back_an_answer_that_was_not_read():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        say(ear, "u")
        await listening.idle()
        ear.send(Drop("u"))
        assert len(ear.unread) == 0


async def test_a_second_begin_starts_afresh():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        say(ear, "u", 0.3)
        say(ear, "u", 0.2)
        assert await next_of(ear) == Final("u", "heard 0.20 seconds", 0.2)
        assert recogniser.batches == [1]
        assert listening.utterances == 0


async def test_messages_about_utterances_that_are_not_open_are_ignored():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        ear.send(Audio("never begun", seconds(1)))
        ear.send(End("never begun"))
        say(ear, "u")
        ear.send(Audio("u", seconds(5)))
        assert await next_of(ear) == Final("u", "heard 1.00 seconds", 1.0)


async def test_an_utterance_without_end_fails_and_its_audio_is_let_go():
    async with listening_to(FakeRecogniser(step_s=0), longest_s=10) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        for _ in range(11):
            ear.send(Audio("u", seconds(1)))
        assert await next_of(ear) == Failed("u", "an utterance may have 10 s of audio")
        assert listening.utterances == 0


async def test_a_reader_that_never_reads_stores_one_partial_and_does_not_hold_up_others():
    recogniser = FakeRecogniser([" ".join("word" for _ in range(100)), "hello"])
    async with listening_to(recogniser) as listening:
        slow, quick = await listening.open("slow"), await listening.open("quick")
        slow.send(Begin("u"))
        for _ in range(20):
            slow.send(Audio("u", seconds(1)))
            await listening.idle()
        assert len(slow.unread) == 1
        say(quick, "v")
        assert (await next_of(quick)).text == "hello"


async def test_a_session_that_reads_nothing_is_lost_before_it_fills_the_memory():
    async with listening_to(FakeRecogniser(), open_utterances=3) as listening:
        ear = await listening.open("s")
        for number in range(3):
            say(ear, f"u{number}")
            await listening.idle()
        with pytest.raises(EngineGone, match="unread"):
            ear.send(Begin("one too many"))
        with pytest.raises(EngineGone, match="unread"):
            await next_of(ear)
        assert listening.sessions == 0


async def test_closing_drops_everything_and_ends_the_results():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await a_step_is_held(listening, recogniser)
        ear.send(Begin("another"))
        reader = asyncio.create_task(collect(ear))
        await asyncio.sleep(0)
        await ear.close()
        await ear.close()
        assert await reader == []
        assert (listening.sessions, listening.utterances) == (0, 0)
        ear.send(Begin("after the end"))
        assert listening.utterances == 0


async def collect(ear):
    return [result async for result in ear.results()]


async def test_shutting_down_is_told_to_those_who_listen():
    listening = Listening(FakeRecogniser())
    ear = await listening.open("s")
    reader = asyncio.create_task(collect(ear))
    await asyncio.sleep(0)
    await listening.close()
    with pytest.raises(EngineGone, match="shut down"):
        await reader
    with pytest.raises(EngineGone, match="shut down"):
        ear.send(Begin("u"))


async def test_no_more_sessions_than_allowed():
    async with listening_to(FakeRecogniser(), sessions=1) as listening:
        ear = await listening.open("first")
        with pytest.raises(EngineBusy):
            await listening.open("second")
        await ear.close()
        assert await listening.open("third")


async def test_the_model_is_called_from_one_thread_and_never_twice_at_once():
    import threading

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
