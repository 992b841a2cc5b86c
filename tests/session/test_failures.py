"""What goes wrong, and what a client may not do: it is told, and the session goes on or ends in order."""

from typing import Any

import pytest

from serve_app.errors import EngineBusy, EngineFailed
from serve_app.session import SessionOptions, drive
from tests.session.line import SERVED, House, Line, a_spoken_turn


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        ("{", "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        ("[]", "invalid_event", None),
        ('{"type": "no.such.event", "event_id": "mine"}', "invalid_event", "type"),
        ('{"type": "input_audio_buffer.append", "audio": "%%%", "event_id": "mine"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "mine"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "event_id": "mine"}', "missing_required_parameter", "audio"),
        ('{"type": "session.update", "session": {"nonsense": 1}, "event_id": "mine"}', "unknown_parameter", "session.nonsense"),
        (
            '{"type": "session.update", "session": {"tools": [{"name": "a"}, {"name": "b", "meta": 1}]}, "event_id": "mine"}',
            "unknown_parameter",
            "session.tools[1].meta",
        ),
        ('{"type": "session.update", "session": {"output_modalities": ["audio", "text"]}}', "invalid_value", "session.output_modalities"),
        ('{"type": "input_audio_buffer.commit", "event_id": "mine"}', "input_audio_buffer_commit_empty", None),
        ('{"type": "output_audio_buffer.clear"}', "invalid_event", "type"),
        (
            '{"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": "input_image"}]}}',
            "unsupported_content_type",
            "item.content[0].type",
        ),
    ],
)  # fmt: skip
async def test_bad_input_is_answered_by_an_error_and_the_session_goes_on(raw: str | bytes, code: str, param: str | None) -> None:
    house = House(["Hello."])
    async with house.session() as line:
        line.raw(raw)
        error = (await line.gets("error"))["error"]
        assert (error["code"], error["param"]) == (code, param)
        if b"mine" in (raw if isinstance(raw, bytes) else raw.encode()):
            assert error["event_id"] == "mine"
        await a_spoken_turn(line)


@pytest.mark.parametrize(
    "image",
    [
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "input_image", "file_id": "file_1"},
    ],
)
@pytest.mark.parametrize("brought", ["item", "response"])
async def test_an_image_is_refused_as_one(image: dict[str, Any], brought: str) -> None:
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is it?"}, image]}
    async with House(["Hello."]).session() as line:
        if brought == "item":
            line.says("conversation.item.create", item=message)
        else:
            line.says("response.create", response={"input": [message]})
        error = (await line.gets("error"))["error"]
        assert error["code"] == "unsupported_content_type"
        assert error["param"].endswith("content[1].type")
        assert error["message"].startswith("Images cannot be seen here")
        await a_spoken_turn(line)


async def test_an_unknown_name_in_include_is_refused_with_its_place() -> None:
    async with House().session() as line:
        line.sets(include=["item.input_audio_transcription.logprobs", "sparkvox.everything"])
        error = (await line.gets("error"))["error"]
        assert (error["code"], error["param"]) == ("invalid_value", "session.include[1]")


async def test_the_voice_is_fixed_once_it_has_been_heard() -> None:
    house = House()
    async with house.session() as line:
        line.sets(audio={"output": {"voice": "af_bella"}})
        assert (await line.gets("session.updated"))["session"]["audio"]["output"]["voice"] == "af_bella"
        await a_spoken_turn(line)
        assert house.voice.spoken[0].voice == "af_bella"
        line.sets(audio={"output": {"voice": "af_heart"}})
        assert (await line.gets("error"))["error"]["code"] == "cannot_update_voice"


async def test_a_failing_engine_fails_its_response_and_the_next_one_works() -> None:
    house = House(["One.", "Two.", "Three."], [("Well, ", EngineFailed("out of memory")), "A fine answer.", "Another one."])
    async with house.session(eager=lambda: False) as line:
        line.speaks(1.0, silence_s=0.8)
        failed = (await line.gets("response.done"))["response"]
        assert failed["status"] == "failed" and "out of memory" in failed["status_details"]["error"]["message"]
        house.voice.error = EngineFailed("no breath")
        line.speaks(1.0, silence_s=0.8)
        failed = (await line.gets("response.done"))["response"]
        assert failed["status"] == "failed" and "no breath" in failed["status_details"]["error"]["message"]
        house.voice.error = None
        line.speaks(1.0, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"


async def test_a_failed_transcription_is_told_and_does_not_end_the_session() -> None:
    house = House([EngineFailed("too quiet"), "Hello."])
    async with house.session() as line:
        line.sets(audio={"input": {"transcription": {"model": "whisper-1"}}})
        line.speaks(1.0, silence_s=0.8)
        failed = await line.gets("conversation.item.input_audio_transcription.failed")
        assert "too quiet" in failed["error"]["message"]
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
        await a_spoken_turn(line)
        assert house.prompt()[-1][1].endswith("Hello.")


async def test_a_client_that_vanishes_in_mid_answer_leaves_nothing_behind() -> None:
    house = House(["Count."], ["one two three " * 100])
    async with house.session() as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        assert house.listening.sessions == 1
    assert (house.listening.sessions, house.listening.utterances) == (0, 0)


async def test_a_session_at_its_longest_is_told_and_closed_with_1001() -> None:
    async with House().session(longest_s=0.05) as line:
        assert (await line.gets("error"))["error"]["code"] == "session_expired"
    assert line.closed is not None and line.closed[0] == 1001


async def test_a_full_server_refuses_with_1013_after_saying_why() -> None:
    class Full:
        async def warm(self) -> None: ...

        async def open(self, session_id: str) -> None:
            raise EngineBusy("all seats are taken")

    house = House()
    house.engines = type(house.engines)(house.engines.voice_activity, house.turns, Full(), house.model, house.voice)
    line = Line()
    await drive(line, house.engines, SessionOptions(SERVED))
    assert line.seen[0]["error"]["code"] == "server_busy"
    assert line.closed is not None and line.closed[0] == 1013
