"""Speech from endpoints: bare samples cut anywhere, WAV, voices listed in several shapes, failures. Real requests to a real socket."""

import io
import wave
from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest

from deployments.engines.openai_tts import OpenAiSpeech
from deployments.engines.wav_stream import WavStream
from serve_app.engines import Speech
from serve_app.errors import EngineFailed, EngineGone, SettingsError, UnknownVoice
from tests.engines.endpoint_script import DROP, HANG, Script, on_a_port, refusal, stream

RATE = 24_000
TONE = (8000 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)).astype("<i2")
SAMPLES = TONE.tobytes()


@asynccontextmanager
async def voice_at(script, **options):
    async with on_a_port(script.application()) as address:
        engine = OpenAiSpeech(address, "small", **{"voices": ("ann", "bob"), **options})
        try:
            yield engine
        finally:
            await engine.close()


def audio(*parts):
    return stream(*parts, media_type="audio/pcm")


async def said(engine, voice="ann", speed=1.0):
    return [sound.pcm async for sound in engine.speak(Speech("Hello there.", voice, speed))]


def wav(pcm, rate, channels=1):
    file = io.BytesIO()
    with wave.open(file, "wb") as writing:
        writing.setparams((channels, 2, rate, 0, "NONE", ""))
        writing.writeframes(pcm.tobytes())
    return file.getvalue()


async def test_samples_arrive_whole_however_they_are_cut():
    cuts = [0, 1, 4, 777, 20_001, len(SAMPLES)]
    async with voice_at(Script(audio(*(SAMPLES[a:b] for a, b in zip(cuts, cuts[1:], strict=False))))) as engine:
        pieces = await said(engine)
    assert np.array_equal(np.concatenate(pieces), TONE)
    assert all(0 < len(piece) <= RATE // 10 for piece in pieces)


async def test_a_speech_is_asked_for_as_it_is_meant():
    script = Script(audio(SAMPLES), audio(SAMPLES))
    async with voice_at(script, extra={"lang_code": "a"}) as engine:
        await said(engine, "ann+bob", 1.5)
        await said(engine)
    asked = {"model": "small", "input": "Hello there.", "response_format": "pcm", "lang_code": "a"}
    assert script.bodies == [{**asked, "voice": "ann+bob", "speed": 1.5}, {**asked, "voice": "ann"}]


@pytest.mark.parametrize(
    "listed",
    [
        {"voices": ["ann", "bob"]},
        {"voices": [{"id": "ann", "name": "Ann"}, {"name": "bob"}]},
        {"object": "list", "data": [{"id": "ann"}, {"id": "bob"}]},
        ["ann", "bob"],
    ],
    ids=["names", "objects", "a list object", "a bare list"],
)
async def test_voices_are_those_that_the_endpoint_lists(listed):
    script = Script(audio(SAMPLES), voices=listed)
    async with voice_at(script, voices=()) as engine:
        await engine.warm()
        assert engine.voices == ("ann", "bob")
    assert script.bodies[0]["voice"] == "ann"


async def test_an_endpoint_that_lists_no_voices_wants_them_named():
    async with voice_at(Script(), voices=()) as engine:
        with pytest.raises(EngineFailed, match="does not list its voices: name them with options.voices"):
            await engine.warm()


async def test_a_voice_that_is_not_listed_is_never_asked_for():
    script = Script()
    async with voice_at(script, voices="ann,bob") as engine:
        with pytest.raises(UnknownVoice, match="'carol' is not a voice .* there are ann, bob"):
            await said(engine, "ann+carol")
    assert script.asked == 0


async def test_a_wav_is_brought_to_the_rate_that_was_set():
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2")
    file = wav(tone, 16_000)
    async with voice_at(Script(audio(file[:7], file[7:50], file[50:3001], file[3001:])), form="wav") as engine:
        pcm = np.concatenate(await said(engine))
    assert abs(len(pcm) - RATE) <= 2
    middle = pcm[RATE // 4 : -RATE // 4].astype(float)
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(440, abs=3)


def test_a_wav_that_is_still_being_made_says_nothing_true_of_its_length():
    file = bytearray(wav(TONE, RATE))
    file[4:8] = file[40:44] = b"\xff\xff\xff\xff"
    reading = WavStream(RATE)
    assert np.array_equal(np.concatenate([reading.feed(bytes(file)), reading.finish()]), TONE)


@pytest.mark.parametrize(
    ("file", "match"),
    [
        (wav(TONE, RATE, channels=2), "2 channels of 16 bits"),
        (b"ID3" + bytes(100), "no WAV file"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "without a fmt chunk"),
    ],
)
def test_what_is_no_mono_wav_is_refused(file, match):
    with pytest.raises(EngineFailed, match=match):
        WavStream(RATE).feed(file)


def test_a_form_that_there_is_not_is_refused():
    with pytest.raises(SettingsError, match="form is 'mp3'"):
        OpenAiSpeech("http://127.0.0.1:9/v1", form="mp3")


async def test_words_in_place_of_audio_are_not_played():
    script = Script(stream('{"detail": "no such model"}', media_type="application/json"))
    async with voice_at(script) as engine:
        with pytest.raises(EngineFailed, match="sent application/json instead of audio: .*no such model"):
            await said(engine)


async def test_what_is_refused_for_now_is_asked_again():
    script = Script(refusal(503, "Busy", retry_after="0"), audio(SAMPLES))
    async with voice_at(script) as engine:
        assert len(np.concatenate(await said(engine))) == RATE
    assert script.asked == 2


async def test_a_speech_that_breaks_off_is_not_said_again():
    script = Script(audio(SAMPLES[:9600], DROP), audio(SAMPLES))
    async with voice_at(script) as engine:
        heard = 0
        with pytest.raises(EngineGone, match="connection to .* failed"):
            async for sound in engine.speak(Speech("Hello.", "ann")):
                heard += len(sound.pcm)
    assert (heard, script.asked) == (4800, 1)


async def test_closing_a_speech_closes_the_request():
    script = Script(audio(SAMPLES, HANG))
    async with voice_at(script) as engine:
        async with aclosing(engine.speak(Speech("Hello.", "ann"))) as sounds:
            await anext(sounds)
        await script.left.wait()
