"""The remote forms of the engines against real replicas."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest

from deployments.remote import RemoteLanguageModel, RemoteSpeechToText, RemoteTextToSpeech
from serve_app.engines import Audio, Begin, ChatMessage, Ear, End, Final, Prompt, ReplyEnd, Speech, TextDelta
from serve_app.errors import EngineBusy, EngineFailed, EngineGone, PromptTooLong, UnknownVoice
from tests.deployments.conftest import FAKE, PATIENCE_S, Parts, eventually
from tests.deployments.watched import WatchedLanguageModel

HELLO = Prompt((ChatMessage("user", "hello there"),))
SECOND = np.zeros(16_000, np.int16)
NOBODY = {"sessions": 0, "utterances": 0}


@pytest.fixture
async def language_model(parts: Parts) -> AsyncIterator[RemoteLanguageModel]:
    remote = RemoteLanguageModel(parts.llm, PATIENCE_S)
    yield remote
    await remote.close()


@pytest.fixture
async def text_to_speech(parts: Parts) -> AsyncIterator[RemoteTextToSpeech]:
    remote = RemoteTextToSpeech(parts.tts, PATIENCE_S)
    yield remote
    await remote.close()


async def heard(ear: Ear, utterance: str, seconds: int) -> str:
    ear.send(Begin(utterance))
    for _ in range(seconds):
        ear.send(Audio(utterance, SECOND))
    ear.send(End(utterance))
    async for result in ear.results():
        if isinstance(result, Final):
            return result.text
    raise AssertionError("the results ended without a final")


async def test_what_is_said_on_a_lease_comes_back_as_text_and_nothing_stays(parts: Parts) -> None:
    speech_to_text = RemoteSpeechToText(parts.stt, PATIENCE_S)
    await speech_to_text.warm()
    ear = await speech_to_text.open("one")
    assert await heard(ear, "a", 2) == "heard 2.00 seconds"
    await ear.close()
    await eventually(speech_to_text.counts, NOBODY)


async def test_two_leases_at_once_hear_their_own(parts: Parts) -> None:
    speech_to_text = RemoteSpeechToText(parts.stt, PATIENCE_S)
    one, two = await speech_to_text.open("one"), await speech_to_text.open("two")
    assert await asyncio.gather(heard(one, "a", 1), heard(two, "a", 3)) == ["heard 1.00 seconds", "heard 3.00 seconds"]
    await asyncio.gather(one.close(), two.close())
    await eventually(speech_to_text.counts, NOBODY)


async def test_a_full_replica_is_busy(parts: Parts) -> None:
    speech_to_text = RemoteSpeechToText(parts.stt, PATIENCE_S)
    ears = [await speech_to_text.open(str(number)) for number in range(FAKE.stt.max_sessions)]
    with pytest.raises(EngineBusy):
        await speech_to_text.open("one too many")
    await asyncio.gather(*(ear.close() for ear in ears))
    await eventually(speech_to_text.counts, NOBODY)


async def test_a_reply_streams_and_ends(language_model: RemoteLanguageModel) -> None:
    pieces = [piece async for piece in language_model.reply(HELLO)]
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == "You said: hello there"
    assert pieces[-1] == ReplyEnd("stop", 2, 4)


async def test_closing_a_reply_stops_the_engine(parts: Parts, language_model: RemoteLanguageModel) -> None:
    await parts.llm.hold_after.remote(1)
    async with aclosing(language_model.reply(HELLO)) as reply:
        assert await anext(reply) == TextDelta("You")
        assert await parts.llm.live.remote() == 1
    await eventually(parts.llm.live.remote, 0)
    await parts.llm.let_go.remote()


async def test_cancelling_the_reader_of_a_reply_stops_the_engine(parts: Parts, language_model: RemoteLanguageModel) -> None:
    await parts.llm.hold_after.remote(0)

    async def read() -> None:
        async with aclosing(language_model.reply(HELLO)) as reply:
            await anext(reply)

    reader = asyncio.create_task(read())
    await eventually(parts.llm.live.remote, 1)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    await eventually(parts.llm.live.remote, 0)
    await parts.llm.let_go.remote()


async def test_the_engines_own_errors_come_through(language_model: RemoteLanguageModel, text_to_speech: RemoteTextToSpeech) -> None:
    long = Prompt((ChatMessage("user", "word " * 5000),))
    with pytest.raises(PromptTooLong, match="5000 tokens"):
        await anext(language_model.reply(long))
    with pytest.raises(UnknownVoice, match="nobody"):
        await anext(text_to_speech.speak(Speech("hello", "nobody")))


async def test_an_error_in_the_middle_of_a_speech_comes_through(parts: Parts, text_to_speech: RemoteTextToSpeech) -> None:
    await parts.tts.fail_with.remote("no breath")
    with pytest.raises(EngineFailed, match="no breath"):
        _ = [sound async for sound in text_to_speech.speak(Speech("hello there", "af_heart"))]
    await parts.tts.fail_with.remote(None)


async def test_speech_has_the_engines_rate_voices_and_samples(text_to_speech: RemoteTextToSpeech) -> None:
    await text_to_speech.warm()
    assert (text_to_speech.sample_rate, text_to_speech.voices) == (24_000, ("af_heart", "af_bella"))
    sounds = [sound async for sound in text_to_speech.speak(Speech("hello there", "af_heart"))]
    assert [sound.words[0].text for sound in sounds] == ["hello", "there"]
    assert {sound.pcm.dtype for sound in sounds} == {np.dtype(np.int16)}


async def test_closing_a_speech_stops_the_engine(parts: Parts, text_to_speech: RemoteTextToSpeech) -> None:
    await parts.tts.hold_after.remote(1)
    async with aclosing(text_to_speech.speak(Speech("hello there", "af_heart"))) as speech:
        await anext(speech)
        assert await parts.tts.live.remote() == 1
    await eventually(parts.tts.live.remote, 0)
    await parts.tts.let_go.remote()


async def test_a_killed_replica_is_noticed_and_the_next_session_gets_another(parts: Parts) -> None:
    speech_to_text = RemoteSpeechToText(parts.stt, PATIENCE_S)
    ear = await speech_to_text.open("one")
    ear.send(Begin("a"))
    os.kill(await parts.stt.pid.remote(), signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(EngineGone):
            await heard(ear, "a", 1)
        with pytest.raises(EngineGone):
            ear.send(End("a"))
    await ear.close()

    async def opens() -> bool:
        try:
            again = await speech_to_text.open("again")
        except EngineGone:
            return False
        assert await heard(again, "b", 1) == "heard 1.00 seconds"
        await again.close()
        return True

    await eventually(opens, True)


async def test_a_reply_of_a_killed_replica_ends_with_an_error_and_the_next_one_is_written_by_another(
    parts: Parts, language_model: RemoteLanguageModel
) -> None:
    await parts.llm.hold_after.remote(0)
    async with aclosing(language_model.reply(HELLO)) as reply:
        first = asyncio.create_task(anext(reply))
        await eventually(parts.llm.live.remote, 1)
        os.kill(await parts.llm.pid.remote(), signal.SIGKILL)
        with pytest.raises(EngineGone, match="the language model was lost"):
            await first
    async with aclosing(language_model.reply(HELLO)) as reply:
        assert await anext(reply) == TextDelta("You")


async def test_a_replica_that_serve_takes_away_writes_its_reply_to_the_end(cluster: int) -> None:
    """The reply takes longer than Serve waits for a replica without calls (`graceful_shutdown_wait_loop_s`, 2 s)."""
    from ray import serve

    slow = FAKE.llm.model_copy(update={"options": {"step_s": 0.4}})
    deployment = serve.deployment(WatchedLanguageModel, ray_actor_options={"num_cpus": 0.05}, graceful_shutdown_timeout_s=PATIENCE_S)
    handle = serve.run(deployment.bind(slow), name="Leaving", route_prefix=None)
    language_model, said = RemoteLanguageModel(handle, PATIENCE_S), "one two three four five six seven eight nine ten"
    async with aclosing(language_model.reply(Prompt((ChatMessage("user", said),)))) as reply:
        pieces = [await anext(reply)]
        await asyncio.to_thread(serve.delete, "Leaving", _blocking=False)
        pieces += [piece async for piece in reply]
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == f"You said: {said}"
    await language_model.close()
