"""The official client has texts spoken."""

import base64
import io
from collections.abc import AsyncIterator

import av
import numpy as np
import pytest
import soundfile
from openai import AsyncOpenAI, BadRequestError
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from serve_app.engines import HEARING_RATE, Engines, Sound, Speech
from serve_app.http.decoding import decoded
from serve_app.http.encoders import RATE, encoder
from serve_app.speaking import SILENCE_S
from tests.fake_server import S_PER_LETTER
from tests.http.conftest import Connect
from tests.http.test_shapes import events, post

OPUS_RATE = 48_000
"""Of all Opus, whatever went in."""
TEXT = "The first sentence is here. And a second one follows it."


def read(audio: bytes) -> np.ndarray:
    """What it decodes to, at the rate that was heard."""
    with av.open(io.BytesIO(audio)) as file:
        assert file.streams.audio[0].rate in (RATE, OPUS_RATE)
    return decoded(io.BytesIO(audio), longest_s=60.0)


def spoken_s(engines: Engines) -> float:
    return sum(len(speech.text) for speech in engines.text_to_speech.spoken) * S_PER_LETTER


async def speak(client: AsyncOpenAI, text: str = TEXT, voice: str = "af_heart", **more: object) -> bytes:
    return (await client.audio.speech.create(model="tts-1", voice=voice, input=text, **more)).content


@pytest.mark.parametrize("form", ["wav", "flac", "opus", "mp3", "aac"])
async def test_each_format_holds_all_of_the_speech(form: str, client: AsyncOpenAI, engines: Engines) -> None:
    samples = read(await speak(client, response_format=form))
    codec_s = 0.15
    assert len(samples) / HEARING_RATE == pytest.approx(spoken_s(engines), abs=codec_s)
    assert np.sqrt(np.mean(samples.astype(float) ** 2)) == pytest.approx(8000 / np.sqrt(2), rel=0.1)


async def test_pcm_is_the_samples_alone(client: AsyncOpenAI, engines: Engines) -> None:
    assert len(await speak(client, response_format="pcm")) == pytest.approx(spoken_s(engines) * RATE * 2, abs=100)


async def test_mp3_where_nothing_else_is_asked_for(client: AsyncOpenAI) -> None:
    assert soundfile.info(io.BytesIO(await speak(client))).format == "MP3"


async def test_a_text_is_spoken_clause_by_clause_and_in_words(client: AsyncOpenAI, engines: Engines) -> None:
    await speak(client, "**First**, it costs $5. Then there is more of it.", response_format="pcm")
    assert [speech.text for speech in engines.text_to_speech.spoken] == ["First, it costs five dollars.", "Then there is more of it."]


@pytest.mark.parametrize(
    ("asked", "spoken"), [("bf_emma", "bf_emma"), ("af_heart+bf_emma", "af_heart+bf_emma"), ("marin", "af_heart"), ("default", "af_heart")]
)
async def test_voices_are_mixed_and_those_of_others_mapped(asked: str, spoken: str, client: AsyncOpenAI, engines: Engines) -> None:
    await speak(client, voice=asked, response_format="pcm")
    assert {speech.voice for speech in engines.text_to_speech.spoken} == {spoken}


async def test_twice_the_speed_takes_half_the_time(client: AsyncOpenAI) -> None:
    slow, fast = [len(await speak(client, speed=speed, response_format="pcm")) for speed in (1.0, 2.0)]
    assert fast == pytest.approx(slow / 2, abs=100)


async def test_a_manner_of_speaking_changes_nothing(client: AsyncOpenAI) -> None:
    assert await speak(client, instructions="Whisper.", response_format="pcm") == await speak(client, response_format="pcm")


async def test_events_carry_the_file(client: AsyncOpenAI) -> None:
    asked = {"model": "tts-1", "voice": "af_heart", "input": TEXT, "response_format": "pcm"}
    *deltas, done = events(await post(client, "audio/speech", json={**asked, "stream_format": "sse"}))
    assert len(deltas) > 2
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(event["audio"]) for event in deltas) == await speak(client, response_format="pcm")
    assert done == {"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}}


NOTHING = ["...", "\U0001f642", "\u2605\u2605\u2605\u2606\u2606", "   ", "***", "```\nx = 1\n```"]


@pytest.mark.parametrize("text", NOTHING)
@pytest.mark.parametrize("form", ["wav", "pcm", "flac", "opus", "mp3", "aac"])
async def test_where_nothing_can_be_said_a_little_silence_plays(form: str, text: str, client: AsyncOpenAI, engines: Engines) -> None:
    audio = await speak(client, text, response_format=form)
    assert read_any(audio, form) == pytest.approx(SILENCE_S, abs=0.15)
    assert not engines.text_to_speech.spoken
    if form != "pcm":
        assert np.abs(read(audio)).max() < 10


async def test_events_carry_the_silence_too(client: AsyncOpenAI) -> None:
    asked = {"model": "tts-1", "voice": "af_heart", "input": "...", "response_format": "mp3", "stream_format": "sse"}
    *deltas, done = events(await post(client, "audio/speech", json=asked))
    assert done["type"] == "speech.audio.done"
    assert read_any(b"".join(base64.b64decode(event["audio"]) for event in deltas), "mp3") == pytest.approx(SILENCE_S, abs=0.15)


async def test_an_engine_that_has_no_sound_for_the_words_is_silent_too(
    client: AsyncOpenAI, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mute(speech: Speech) -> AsyncIterator[Sound]:
        for sound in ():
            yield sound

    monkeypatch.setattr(engines.text_to_speech, "speak", mute)
    assert len(await speak(client, response_format="pcm")) == SILENCE_S * RATE * 2


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"text": "a" * 4097}, "input"),
        ({"text": ""}, "input"),
        ({"speed": 9.0}, "speed"),
        ({"response_format": "amr"}, "response_format"),
        ({"voice": "af_heart+nobody"}, "voice"),
        ({"voice": "nobody"}, "voice"),
        ({"voice": {"id": "de_thorsten"}}, "voice"),
    ],
)
async def test_what_cannot_be_done_is_said(wrong: dict[str, object], param: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await speak(client, **wrong)
    assert (refused.value.param, refused.value.type) == (param, "invalid_request_error")


@pytest.mark.parametrize("form", ["wav", "pcm", "flac", "opus", "mp3", "aac"])
def test_a_file_comes_while_it_is_made(form: str) -> None:
    into, second = encoder(form), np.full(RATE, 1000, np.int16)
    pieces = [into.feed(second) for _ in range(4)]
    assert all(pieces[1:])
    assert read_any(b"".join(pieces) + into.finish(), form) == pytest.approx(4.0, abs=0.15)


def read_any(audio: bytes, form: str) -> float:
    return len(audio) / 2 / RATE if form == "pcm" else len(read(audio)) / HEARING_RATE


async def test_the_servers_own_speed_holds_where_the_client_names_none(connect: Connect, engines: Engines) -> None:
    client = connect(**{"tts.speed": 1.5})
    await speak(client)
    await speak(client, speed=0.5)
    assert [speech.speed for speech in engines.text_to_speech.spoken] == [1.5, 1.5, 0.5, 0.5]


async def test_a_session_begins_with_the_servers_own_speed_and_may_have_another(connect: Connect, engines: Engines) -> None:
    async with connect(**{"tts.speed": 1.5}).realtime.connect(model="small") as session:
        created = await session.recv()
        assert created.session.audio.output.speed == 1.5
        await one_word(session)
        await session.session.update(session={"type": "realtime", "audio": {"output": {"speed": 0.5}}})
        await one_word(session)
    assert [speech.speed for speech in engines.text_to_speech.spoken] == [1.5, 0.5]


async def one_word(session: AsyncRealtimeConnection) -> None:
    await session.response.create(response={"max_output_tokens": 1})
    while (await session.recv()).type != "response.done":
        pass


async def test_numbers_are_read_in_the_language_that_the_client_says(client: AsyncOpenAI, engines: Engines) -> None:
    engines.text_to_speech.languages = ("en", "de")
    await speak(client, "Es kostet 3,50 €.", extra_body={"language": "de"})
    await speak(client, "It costs $3.50.")
    assert [speech.text for speech in engines.text_to_speech.spoken] == [
        "Es kostet drei Euro fünfzig.",
        "It costs three dollars and fifty cents.",
    ]
