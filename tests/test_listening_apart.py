"""Utterances that are heard each by itself: what one does concerns no other. (What every ear promises is in tests/engines.)"""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from serve_app.ears import Limits
from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, Hints, Hypothesis, Partial
from serve_app.errors import EngineBusy, EngineFailed, EngineGone
from serve_app.listening_apart import ListeningApart

PCM = np.ones(1600, np.int16)


class Transcribes:
    """Tells how many samples it has; says so at the end, or raises what it was given."""

    def __init__(self, error=None):
        self.error = error
        self.gate = asyncio.Event()
        self.gate.set()
        self.hints = []
        self.live = 0

    async def warm(self): ...

    async def transcribe(self, hints, audio, tell):
        self.hints.append(hints)
        self.live += 1
        samples = 0
        try:
            async for pcm in audio:
                samples += len(pcm)
                tell(Hypothesis(f"{samples}"))
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return Hypothesis(f"{samples} in all")
        finally:
            self.live -= 1


@asynccontextmanager
async def listening_to(transcriber, **limits):
    listening = ListeningApart(transcriber, Limits(**limits))
    try:
        yield listening
    finally:
        await listening.close()
        assert transcriber.live == 0


def say(ear, name, chunks=2, hints=None):
    ear.send(Begin(name, hints or Hints()))
    for _ in range(chunks):
        ear.send(Audio(name, PCM))
    ear.send(End(name))


async def test_samples_are_heard_while_they_come():
    async with listening_to(Transcribes()) as listening:
        ear = await listening.open("session")
        results = ear.results()
        ear.send(Begin("one"))
        for samples in (1600, 3200):
            ear.send(Audio("one", PCM))
            assert await anext(results) == Partial("one", f"{samples}")
        ear.send(End("one"))
        assert await anext(results) == Final("one", "3200 in all", 0.2)


async def test_a_guess_hears_all_that_came_and_the_utterance_goes_on():
    async with listening_to(Transcribes()) as listening:
        ear = await listening.open("session")
        results = ear.results()
        ear.send(Begin("one"))
        ear.send(Audio("one", PCM))
        assert await anext(results) == Partial("one", "1600")
        ear.send(Guess("one", 7.5))
        assert await anext(results) == Guessed("one", "1600 in all", 7.5, 0.1)
        ear.send(Audio("one", PCM))
        assert await anext(results) == Partial("one", "3200")
        ear.send(End("one"))
        assert await anext(results) == Final("one", "3200 in all", 0.2)


async def test_a_drop_ends_the_guess_too():
    transcriber = Transcribes()
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        results = ear.results()
        transcriber.gate.clear()
        ear.send(Begin("one"))
        ear.send(Audio("one", PCM))
        ear.send(Guess("one", 7.5))
        assert await anext(results) == Partial("one", "1600")
        assert transcriber.live == 2
        ear.send(Drop("one"))
        say(ear, "two")
        transcriber.gate.set()
        assert (await anext(results)).utterance == "two"
        assert transcriber.live <= 1


async def test_hints_are_handed_on():
    transcriber = Transcribes()
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        say(ear, "one", hints=Hints("de", "Coffee"))
        await anext(ear.results())
    assert transcriber.hints == [Hints("de", "Coffee")]


@pytest.mark.parametrize("error", [EngineFailed("no such model"), EngineGone("no such model"), RuntimeError("no such model")])
async def test_an_utterance_that_cannot_be_heard_fails_and_the_next_is_heard(error):
    transcriber = Transcribes(error)
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        results = ear.results()
        say(ear, "one")
        assert await anext(results) == Failed("one", "no such model")
        transcriber.error = None
        say(ear, "two")
        assert (await anext(results)).text == "3200 in all"


async def test_a_dropped_utterance_is_worked_on_no_more():
    transcriber = Transcribes()
    transcriber.gate.clear()
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        say(ear, "one")
        await anext(ear.results())
        assert (transcriber.live, listening.utterances) == (1, 1)
        ear.send(Drop("one"))
        await asyncio.sleep(0)
        assert (transcriber.live, listening.utterances) == (0, 0)


async def test_an_utterance_begun_again_starts_afresh():
    transcriber = Transcribes()
    transcriber.gate.clear()
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        say(ear, "one", chunks=5)
        await asyncio.sleep(0)
        say(ear, "one", chunks=1)
        transcriber.gate.set()
        finals = [result async for result in until_final(ear)]
        assert finals == ["1600 in all"]


async def until_final(ear):
    async for result in ear.results():
        if isinstance(result, Final):
            yield result.text
            return


async def test_an_utterance_that_grows_too_long_is_worked_on_no_more():
    transcriber = Transcribes()
    async with listening_to(transcriber, longest_s=0.15) as listening:
        ear = await listening.open("session")
        say(ear, "one")
        assert isinstance(await anext(ear.results()), Failed)
        await asyncio.sleep(0)
        assert transcriber.live == 0


async def test_no_more_sessions_are_taken_than_there_may_be():
    async with listening_to(Transcribes(), sessions=1) as listening:
        ear = await listening.open("one")
        with pytest.raises(EngineBusy):
            await listening.open("two")
        await ear.close()
        await listening.open("two")


async def test_a_shut_down_ends_every_session():
    transcriber = Transcribes()
    transcriber.gate.clear()
    async with listening_to(transcriber) as listening:
        ear = await listening.open("session")
        say(ear, "one")
        await listening.close()
        with pytest.raises(EngineGone, match="shut down"):
            await anext(ear.results())
