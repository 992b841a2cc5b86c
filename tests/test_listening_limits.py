"""What the scheduler holds at the most, and how it ends."""

import asyncio

import pytest

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import Audio, Begin, Failed
from serve_app.errors import EngineBusy, EngineGone
from serve_app.listening import Listening
from tests.listener import a_step_is_held, collect, listening_to, next_of, say, seconds


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
