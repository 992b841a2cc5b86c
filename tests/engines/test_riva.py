"""Riva by gRPC: the real client package against services made of its own messages. No NIM was asked."""

from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest

from deployments.engines.riva import RivaSpeech, RivaTranscriber
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Failed, Final, Hints, Partial, Speech, Word
from serve_app.errors import EngineFailed, EngineGone, UnknownVoice
from serve_app.listening_apart import speech_to_text

SECOND = (1000 * np.sin(0.1 * np.arange(HEARING_RATE))).astype(np.int16)


@pytest.fixture
def riva():
    from tests.engines.riva_server import RivaServer

    with RivaServer() as server:
        yield server


@asynccontextmanager
async def ear_to(address, **options):
    engine = RivaTranscriber(address, **options)
    listening = speech_to_text(engine)
    try:
        yield await listening.open("session")
    finally:
        await listening.close()
        await engine.close()


@asynccontextmanager
async def voice_of(address, **options):
    engine = RivaSpeech(address, **options)
    try:
        yield engine
    finally:
        await engine.close()


def say(ear, name, seconds=2, hints=None):
    ear.send(Begin(name, hints or Hints()))
    for _ in range(10 * seconds):
        ear.send(Audio(name, SECOND[:1600]))
    ear.send(End(name))


async def outcome(ear):
    partials = []
    async for result in ear.results():
        if not isinstance(result, Partial):
            return partials, result
        partials.append(result)


async def test_an_utterance_is_heard_with_its_words_times(riva):
    async with ear_to(riva.address) as ear:
        say(ear, "one")
        _, final = await outcome(ear)
    assert final == Final("one", "heard 2.00 seconds", 2.0, (Word("heard", 0.0, 2.0),))


async def test_what_riva_has_ended_is_stable_and_the_rest_is_not():
    from tests.engines.riva_server import Recognition, RivaServer

    with RivaServer(Recognition(piece_s=1.0)) as server:
        async with ear_to(server.address) as ear:
            ear.send(Begin("one", Hints()))
            results, heard = ear.results(), []
            for _ in range(3):
                ear.send(Audio("one", SECOND[: HEARING_RATE // 2]))
                heard.append(await anext(results))
            ear.send(End("one"))
            _, final = await outcome(ear)
    piece = len("heard 1.00 seconds")
    assert [(partial.text, partial.stable_chars) for partial in heard] == [
        ("heard 0.50 seconds", 0),
        ("heard 1.00 seconds", piece),
        ("heard 1.00 seconds heard 0.50 seconds", piece),
    ]
    assert final.text == "heard 1.00 seconds heard 0.50 seconds"


async def test_hints_become_language_and_boosted_phrases(riva):
    async with ear_to(riva.address, model="parakeet", boost=15.0) as ear:
        say(ear, "one", hints=Hints("de-DE", "", ("Melange", "Wien")))
        await outcome(ear)
    (asked,) = riva.recognition.configs
    assert asked.interim_results
    assert (asked.config.language_code, asked.config.model, asked.config.sample_rate_hertz) == ("de-DE", "parakeet", HEARING_RATE)
    assert [(list(context.phrases), context.boost) for context in asked.config.speech_contexts] == [(["Melange", "Wien"], 15.0)]


async def test_the_key_and_the_metadata_go_with_each_call(riva, monkeypatch):
    monkeypatch.setenv("HOUSE_KEY", "secret")
    async with ear_to(riva.address, api_key_env="HOUSE_KEY", metadata={"function-id": "f1"}) as ear:
        say(ear, "one")
        await outcome(ear)
    assert {"authorization": "Bearer secret", "function-id": "f1"}.items() <= riva.recognition.metadata[0].items()


async def test_a_refusal_fails_the_utterance_with_what_riva_says(riva):
    import grpc

    riva.recognition.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "no model for xx-XX")
    async with ear_to(riva.address) as ear:
        say(ear, "one")
        _, failed = await outcome(ear)
    assert isinstance(failed, Failed) and "INVALID_ARGUMENT: no model for xx-XX" in failed.reason


async def test_no_server_is_gone():
    async with voice_of("127.0.0.1:9", timeouts={"connect_s": 0.3}, voices=("ann",)) as engine:
        with pytest.raises(EngineGone, match="127.0.0.1:9 does not answer"):
            await engine.warm()


async def test_voices_are_those_that_riva_lists(riva):
    async with voice_of(riva.address) as engine:
        await engine.warm()
        assert engine.voices == ("Magpie.EN-US.af_heart", "Magpie.EN-US.af_bella")
        with pytest.raises(UnknownVoice, match="'nobody'"):
            await anext(engine.speak(Speech("Hello.", "nobody")))


async def test_a_speech_has_the_rate_that_was_asked_for(riva):
    async with voice_of(riva.address, sample_rate=44_100, voices=("ann",)) as engine:
        pieces = [sound.pcm async for sound in engine.speak(Speech("Hello there.", "ann"))]
    assert sum(map(len, pieces)) == pytest.approx(12 * 0.06 * 44_100, abs=1)
    assert max(map(len, pieces)) <= 4410
    (asked,) = riva.synthesis.requests
    assert (asked.text, asked.voice_name, asked.language_code, asked.sample_rate_hz) == ("Hello there.", "ann", "en-US", 44_100)


async def test_speed_is_written_into_the_text_where_the_voice_reads_it(riva):
    async with voice_of(riva.address, ssml=True, voices=("ann",)) as engine:
        async for _ in engine.speak(Speech("A < B", "ann", 1.25)):
            pass
    assert riva.synthesis.requests[0].text == '<speak><prosody rate="125%">A &lt; B</prosody></speak>'


async def test_closing_a_speech_ends_the_call_and_the_next_is_served(riva):
    riva.synthesis.endless = True
    async with voice_of(riva.address, voices=("ann",)) as engine:
        async with aclosing(engine.speak(Speech("Hello.", "ann"))) as sounds:
            await anext(sounds)
        riva.synthesis.endless = False
        assert [sound async for sound in engine.speak(Speech("Hello.", "ann"))]


async def test_a_dropped_utterance_ends_its_call(riva):
    async with ear_to(riva.address) as ear:
        ear.send(Begin("one", Hints()))
        ear.send(Audio("one", SECOND))
        await anext(ear.results())
        ear.send(Drop("one"))
        say(ear, "two")
        _, final = await outcome(ear)
    assert final.utterance == "two"


async def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    with pytest.raises(EngineFailed, match="HOUSE_KEY is not set"):
        await RivaTranscriber("127.0.0.1:9", api_key_env="HOUSE_KEY").warm()
