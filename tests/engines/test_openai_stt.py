"""Transcription by endpoints, an utterance a request. Real requests to a real socket."""

import asyncio
import io
import wave
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.engines.openai_stt import OpenAiTranscriber
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Failed, Final, Hints, Word
from serve_app.listening_apart import speech_to_text
from tests.engines.endpoint_script import Script, on_a_port, refusal, whole

SECOND = (1000 * np.sin(0.1 * np.arange(HEARING_RATE))).astype(np.int16)


@asynccontextmanager
async def ear_at(script, **options):
    async with on_a_port(script.application()) as address:
        engine = OpenAiTranscriber(address, "small", **options)
        listening = speech_to_text(engine)
        try:
            yield await listening.open("session")
        finally:
            await listening.close()
            await engine.close()


def say(ear, name, pcm=SECOND, hints=None):
    ear.send(Begin(name, hints or Hints()))
    for start in range(0, len(pcm), 1600):
        ear.send(Audio(name, pcm[start : start + 1600]))
    ear.send(End(name))


async def test_an_utterance_goes_out_as_a_wav_file_and_comes_back_as_text():
    script = Script(whole({"text": " Good morning. "}))
    async with ear_at(script) as ear:
        say(ear, "one")
        assert await anext(ear.results()) == Final("one", "Good morning.", 1.0)
    with wave.open(io.BytesIO(script.bodies[0]["bytes"])) as file:
        assert (file.getframerate(), file.getnchannels()) == (HEARING_RATE, 1)
        assert np.array_equal(np.frombuffer(file.readframes(HEARING_RATE), "<i2"), SECOND)


@pytest.mark.parametrize(("whole_tags", "language"), [(False, "de"), (True, "de-AT")])
async def test_hints_are_handed_on(whole_tags, language):
    script = Script(whole({"text": "Servus"}))
    async with ear_at(script, whole_tags=whole_tags, extra={"hotwords": "Wien"}) as ear:
        say(ear, "one", hints=Hints("de-AT", "A talk about coffee.", ("Melange", "Einspänner")))
        await anext(ear.results())
    (body,) = script.bodies
    assert (body["model"], body["language"], body["hotwords"]) == ("small", language, "Wien")
    assert body["prompt"] == "A talk about coffee. Melange, Einspänner"


async def test_word_times_come_where_they_are_asked_for():
    words = [{"word": "Good", "start": 0.1, "end": 0.3}, {"word": "morning", "start": 0.3, "end": 0.8}]
    script = Script(whole({"task": "transcribe", "language": "english", "duration": 1.0, "text": "Good morning", "words": words}))
    async with ear_at(script, words=True) as ear:
        say(ear, "one")
        final = await anext(ear.results())
    assert final.words == (Word("Good", 0.1, 0.3), Word("morning", 0.3, 0.8))
    assert (script.bodies[0]["response_format"], script.bodies[0]["timestamp_granularities[]"]) == ("verbose_json", "word")


async def test_an_utterance_that_waits_for_its_answer_holds_up_no_other():
    script = Script(whole({"text": "slow"}, waits=True), whole({"text": "quick"}))
    async with ear_at(script) as ear:
        say(ear, "first")
        await script.came.wait()
        say(ear, "second")
        results = ear.results()
        assert (await anext(results)).text == "quick"
        script.gate.set()
        assert (await anext(results)).text == "slow"


async def test_an_utterance_that_is_refused_fails_alone():
    script = Script(refusal(400, "Audio could not be decoded"), whole({"text": "fine"}))
    async with ear_at(script) as ear:
        results = ear.results()
        say(ear, "one")
        failed = await anext(results)
        assert isinstance(failed, Failed) and "400: Audio could not be decoded" in failed.reason
        say(ear, "two")
        assert (await anext(results)).text == "fine"


async def test_what_is_refused_for_now_is_asked_again():
    script = Script(refusal(503, "Loading", retry_after="0"), whole({"text": "fine"}))
    async with ear_at(script) as ear:
        say(ear, "one")
        assert (await anext(ear.results())).text == "fine"
    assert script.bodies[0]["bytes"] == script.bodies[1]["bytes"]


async def test_a_dropped_utterance_closes_its_request():
    script = Script(whole({"text": "never"}, waits=True))
    async with ear_at(script) as ear:
        say(ear, "one")
        await script.came.wait()
        ear.send(Drop("one"))
        await script.left.wait()


async def test_a_session_that_ends_closes_its_requests():
    script = Script(whole({"text": "never"}, waits=True))
    async with ear_at(script) as ear:
        say(ear, "one")
        await script.came.wait()
        await ear.close()
        await script.left.wait()


@pytest.mark.parametrize("samples", [0, 1599])
async def test_less_than_a_word_is_no_request(samples):
    script = Script()
    async with ear_at(script) as ear:
        say(ear, "one", SECOND[:samples])
        assert (await anext(ear.results())).text == ""
    assert script.asked == 0


async def test_an_endpoint_that_is_silent_fails_the_utterance():
    script = Script(whole({"text": "never"}, waits=True))
    async with ear_at(script, timeouts={"first_s": 0.2}) as ear:
        say(ear, "one")
        failed = await anext(ear.results())
        assert isinstance(failed, Failed) and "no answer within 0.2 s" in failed.reason
        await asyncio.wait_for(script.left.wait(), 10)
