"""In which format a client gets the sound of an answer: the session's when the answer began, or the one that was asked for."""

import base64

import numpy as np
import pytest

from serve_app import audio
from serve_app.codec import WIRE_RATES
from tests.session.line import Event, House, Line

FORMATS = tuple(WIRE_RATES)
LONG = "one two three four five six seven eight nine ten " * 3


def asks(line: Line, form: str | None = None, **body: object) -> None:
    output = {} if form is None else {"audio": {"output": {"format": {"type": form}}}}
    line.says("response.create", response={**output, **body})


def of(line: Line, response_id: str) -> bytes:
    deltas = [one for one in line.seen if one["type"] == "response.output_audio.delta" and one["response_id"] == response_id]
    return b"".join(base64.b64decode(one["delta"]) for one in deltas)


def told(response: Event) -> str:
    form = response["audio"]["output"]["format"]
    assert form.get("rate", 24_000) == 24_000
    return str(form["type"])


def seconds(encoded: bytes, form: str) -> float:
    return len(audio.decode(encoded, form)) / WIRE_RATES[form]


@pytest.mark.parametrize("session", FORMATS)
@pytest.mark.parametrize("asked", [*FORMATS, None])
async def test_a_response_comes_in_the_format_that_was_asked_for(session: str, asked: str | None) -> None:
    house = House(replies=["Hello there, my friend.", "Hello there, my friend."])
    async with house.session() as line:
        line.sets(audio={"output": {"format": {"type": session}}})
        asks(line, asked)
        created, done = await line.gets("response.created"), await line.gets("response.done")
        assert told(created["response"]) == told(done["response"]) == (asked or session)
        said_s = sum(len(speech.text) for speech in house.voice.spoken) * 0.01
        assert seconds(of(line, done["response"]["id"]), asked or session) == pytest.approx(said_s, abs=0.005)
        asks(line)
        assert told((await line.gets("response.created"))["response"]) == session, "it held for that response alone"
        await line.gets("response.done")


async def test_a_change_in_mid_answer_holds_from_the_next_one_on() -> None:
    house = House(replies=[LONG, LONG])
    async with house.session(lead_s=0.2) as line:
        asks(line)
        await line.gets("response.output_audio.delta")
        line.sets(audio={"output": {"format": {"type": "audio/pcmu"}}})
        await line.gets("session.updated")
        done = (await line.gets("response.done"))["response"]
        said_s = sum(len(speech.text) for speech in house.voice.spoken) * 0.01
        assert told(done) == "audio/pcm" and seconds(of(line, done["id"]), "audio/pcm") == pytest.approx(said_s, abs=0.001)
        asks(line)
        await line.gets("response.output_audio.delta")
        line.says("response.cancel")
        done = (await line.gets("response.done"))["response"]
        assert told(done) == "audio/pcmu"


async def test_several_at_once_each_have_their_own_and_lose_nothing() -> None:
    """Their sound is made and sent in turns."""
    house = House(replies=[LONG] * 4)
    async with house.session(lead_s=1e9) as line:
        forms = ["audio/pcm", "audio/pcmu", "audio/pcma", "audio/pcmu"]
        for number, form in enumerate(forms):
            asks(line, form, **({"conversation": "none"} if number else {}))
        done = [(await line.gets("response.done"))["response"] for _ in forms]
        assert sorted(told(one) for one in done) == sorted(forms)
        said_s = sum(len(speech.text) for speech in house.voice.spoken) * 0.01 / len(forms)
        for one in done:
            assert seconds(of(line, one["id"]), told(one)) == pytest.approx(said_s, abs=0.005)
        order = [one["response_id"] for one in line.seen if one["type"] == "response.output_audio.delta"]
        assert sum(one != other for one, other in zip(order, order[1:], strict=False)) > len(forms), "they were not spoken at once"


@pytest.mark.parametrize("form", ["audio/pcmu", "audio/pcma"])
async def test_two_at_once_sound_as_each_alone(form: str) -> None:
    async def sounds(count: int) -> list[bytes]:
        house = House(replies=[LONG] * count)
        async with house.session(lead_s=1e9) as line:
            line.sets(audio={"output": {"format": {"type": form}}})
            for _ in range(count):
                asks(line, conversation="none")
            done = [(await line.gets("response.done"))["response"]["id"] for _ in range(count)]
            return [of(line, one) for one in done]

    (alone,) = await sounds(1)
    for together in await sounds(2):
        one, other = (audio.decode(sound, form).astype(float) for sound in (alone, together))
        assert len(one) == len(other)
        assert np.square(one - other).mean() < 1e-4 * np.square(one).mean(), "but for the rounding of the resampler"


BAD_RATES = [
    ("audio/pcm", 8_000), ("audio/pcm", 16_000), ("audio/pcm", 48_000), ("audio/pcm", 0), ("audio/pcmu", 24_000), ("audio/pcma", 16_000)
]  # fmt: skip


@pytest.mark.parametrize(("form", "rate"), BAD_RATES)
@pytest.mark.parametrize("place", ["session.audio.input.format", "session.audio.output.format", "response.audio.output.format"])
async def test_a_rate_that_a_format_has_not_is_refused_by_name(form: str, rate: int, place: str) -> None:
    async with House().session() as line:
        body: dict[str, object] = {"type": form, "rate": rate}
        for name in reversed(place.split(".")[1:]):
            body = {name: body}
        if place.startswith("session"):
            line.sets(**body)
        else:
            line.says("response.create", response=body)
        error = (await line.gets("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", f"{place}.rate")
        assert form in error["message"] and str(rate) in error["message"]


@pytest.mark.parametrize(("form", "rate"), [("audio/pcm", 24_000), ("audio/pcm", None), ("audio/pcmu", 8_000), ("audio/pcma", None)])
async def test_the_rate_of_a_format_may_be_named(form: str, rate: int | None) -> None:
    async with House().session() as line:
        line.sets(audio={"input": {"format": {"type": form, "rate": rate}}})
        assert (await line.gets("session.updated"))["session"]["audio"]["input"]["format"]["type"] == form


async def test_in_a_transcription_session_too() -> None:
    async with House().session(transcription_only=True) as line:
        body = {"type": "transcription", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8_000}}}}
        line.says("session.update", session=body)
        assert (await line.gets("error"))["error"]["param"] == "session.audio.input.format.rate"


