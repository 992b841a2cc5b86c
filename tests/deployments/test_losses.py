"""Sessions whose engines' replicas are killed in mid-work, one replica of each: what nobody has heard is done by the next one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from deployments.engines.fake import FakeTurnDetector, FakeVoiceActivity
from deployments.remote import RemoteLanguageModel, RemoteSpeechToText, RemoteTextToSpeech
from serve_app.engines import Engines
from serve_app.session import SessionOptions, drive
from tests.deployments.conftest import PATIENCE_S, Parts, eventually
from tests.session.line import SERVED, Line

NOBODY = {"sessions": 0, "utterances": 0}
PUSH_TO_TALK = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica of Ray takes seconds to come back, on a busy machine many."""
    monkeypatch.setattr("tests.session.line.PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr("serve_app.core.retries.Retries.__init__.__defaults__", (2, PATIENCE_S, 0))


@asynccontextmanager
async def session(parts: Parts) -> AsyncIterator[Line]:
    speech_to_text = RemoteSpeechToText(parts.stt, PATIENCE_S)
    model, voice = RemoteLanguageModel(parts.llm, PATIENCE_S), RemoteTextToSpeech(parts.tts, PATIENCE_S)
    await voice.warm()
    engines = Engines(FakeVoiceActivity(), FakeTurnDetector(), speech_to_text, model, voice)
    line = Line()
    driving = asyncio.create_task(drive(line, engines, SessionOptions(SERVED, lead_s=0.2)))
    try:
        await line.gets("session.created")
        yield line
    finally:
        line.hangs_up()
        await driving
        await asyncio.gather(model.close(), voice.close())
    await eventually(speech_to_text.counts, NOBODY)
    await eventually(parts.llm.live.remote, 0)
    await eventually(parts.tts.live.remote, 0)


async def kill(part: Any) -> None:
    os.kill(await part.pid.remote(), signal.SIGKILL)


async def test_an_utterance_outlives_the_replica_that_heard_it(parts: Parts) -> None:
    async with session(parts) as line:
        line.sets(audio=PUSH_TO_TALK)
        line.speaks(1.0)
        await eventually(RemoteSpeechToText(parts.stt, PATIENCE_S).counts, {"sessions": 1, "utterances": 1})
        await kill(parts.stt)
        line.speaks(1.0)
        line.says("input_audio_buffer.commit")
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "heard 2.00 seconds"
        line.says("response.create")
        assert (await line.gets("response.done"))["response"]["status"] == "completed"


async def test_a_reply_of_which_nothing_was_written_outlives_its_replica(parts: Parts) -> None:
    await parts.llm.hold_after.remote(0)
    async with session(parts) as line:
        line.says("response.create")
        await eventually(parts.llm.live.remote, 1)
        await kill(parts.llm)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
        line.invariants.finish()


async def test_a_reply_outlives_the_replica_that_was_to_say_its_next_clause(parts: Parts) -> None:
    await parts.tts.hold_after.remote(0)
    async with session(parts) as line:
        line.says("response.create")
        await eventually(parts.tts.live.remote, 1)
        await kill(parts.tts)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
        assert line.audio_bytes() == len("Hello.") * 0.06 * 48_000
        line.invariants.finish()


async def test_a_clause_that_was_heard_in_part_fails_with_its_replica_and_the_next_reply_is_spoken(parts: Parts) -> None:
    async with session(parts) as line:
        text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
        line.says("conversation.item.create", item=text)
        await parts.tts.hold_after.remote(1)
        line.says("response.create")
        await line.gets("response.output_audio.delta")
        await kill(parts.tts)
        assert (await line.gets("response.done"))["response"]["status"] == "failed"
        line.says("response.create")
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
