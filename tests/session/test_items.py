"""Items with their sound: retrieved, brought by the client, cut."""

import base64
import gc
import json
import tracemalloc

import numpy as np
import pytest

from tests.session.line import House, a_spoken_turn

KIB = 1024


def content(event: dict, index: int = 0) -> dict:
    return event["item"]["content"][index]


async def test_what_was_said_is_retrieved_with_its_sound_from_both_sides() -> None:
    house = House(["Hi."], ["Hello there, my friend."])
    async with house.session() as line:
        await a_spoken_turn(line, seconds=1.0)
        items = [one["item"] for one in line.seen if one["type"] == "conversation.item.done"]
        for item in items:
            line.says("conversation.item.retrieve", item_id=item["id"])
        user, agent = [content(await line.gets("conversation.item.retrieved")) for _ in items]
        started = next(one for one in line.seen if one["type"] == "input_audio_buffer.speech_started")
        stopped = next(one for one in line.seen if one["type"] == "input_audio_buffer.speech_stopped")
        said_s = len(base64.b64decode(user["audio"])) / 2 / 24_000
        assert said_s == pytest.approx((stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000, abs=0.05)
        assert len(base64.b64decode(agent["audio"])) == line.audio_bytes()
        assert (user["transcript"], agent["transcript"]) == ("Hi.", "Hello there, my friend.")


async def test_of_an_interrupted_answer_only_the_sound_that_was_played_is_retrieved() -> None:
    house = House(["Count."], ["One two three four five six seven eight nine ten."])
    async with house.session() as line:
        await a_spoken_turn(line)
        item_id = next(one for one in line.seen if one["type"] == "response.output_item.done")["item"]["id"]
        line.says("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=200)
        line.says("conversation.item.retrieve", item_id=item_id)
        retrieved = await line.gets("conversation.item.retrieved")
        assert len(base64.b64decode(content(retrieved)["audio"])) == 0.2 * 24_000 * 2


async def test_the_sound_of_a_session_goes_with_it_before_its_objects_do() -> None:
    """They refer to each other, so that they go when Python next looks for such, which in a process of many objects is seldom."""
    async with House(["Hi."]).session() as line:
        await a_spoken_turn(line)  # what is loaded with the first session stays
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        async with House(["Hi."]).session() as line:
            await a_spoken_turn(line, seconds=6.0)
            assert taken() > 1024 * KIB
        assert taken() < 256 * KIB
    finally:
        tracemalloc.stop()
        gc.enable()


def tone(seconds: float) -> bytes:
    """24 kHz; the fake voice activity takes it for speech."""
    return (9000 * np.sin(np.arange(int(seconds * 24_000)) / 12)).astype("<i2").tobytes()


def taken() -> int:
    """Bytes, since tracemalloc started."""
    return tracemalloc.get_traced_memory()[0]


async def test_a_long_utterance_is_retrieved_in_a_message_below_a_mebibyte() -> None:
    house = House(["A long story."])
    async with house.session(transcription_only=True) as line:
        line.speaks(25.0, silence_s=0.8)
        done = await line.gets("conversation.item.done")
        line.says("conversation.item.retrieve", item_id=done["item"]["id"])
        retrieved = await line.gets("conversation.item.retrieved")
        assert 900_000 < len(json.dumps(retrieved)) < 1024 * 1024


async def test_audio_in_an_item_is_transcribed_before_the_model_is_asked() -> None:
    house = House(["What is the capital of France?"], ["Paris."])
    async with house.session() as line:
        line.sets(output_modalities=["text"], audio={"input": {"transcription": {"model": "whisper-1", "keywords": ["France"]}}})
        audio = base64.b64encode(tone(1.0)).decode()
        parts = [{"type": "input_text", "text": "Answer this:"}, {"type": "input_audio", "audio": audio}]
        line.says("conversation.item.create", item={"type": "message", "role": "user", "id": "brought", "content": parts})
        line.says("response.create")
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert (heard["item_id"], heard["content_index"], heard["transcript"]) == ("brought", 1, "What is the capital of France?")
        assert heard["usage"]["seconds"] == pytest.approx(1.0, abs=0.01)
        await line.gets("response.done")
        assert house.prompt()[-1] == ("user", "Answer this: What is the capital of France?")
        assert house.recogniser.hints[-1].keywords == ("France",)
        line.says("conversation.item.retrieve", item_id="brought")
        assert len(base64.b64decode(content(await line.gets("conversation.item.retrieved"), 1)["audio"])) == pytest.approx(48_000, abs=100)


async def test_audio_without_speech_has_no_words_however_it_comes() -> None:
    house = House(["You."])
    async with house.session() as line:
        line.sets(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
        part = {"type": "input_audio", "audio": base64.b64encode(bytes(3 * 48_000)).decode()}
        line.says("conversation.item.create", item={"type": "message", "role": "user", "id": "brought", "content": [part]})
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert (heard["item_id"], heard["transcript"]) == ("brought", "")
        assert heard["usage"]["seconds"] == pytest.approx(3.0, abs=0.01)
        line.sends_audio(bytes(2 * 48_000))
        line.says("input_audio_buffer.commit")
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "" and heard["usage"]["seconds"] == pytest.approx(2.0, abs=0.01)
    assert house.recogniser.batches == []


async def test_silence_around_what_is_said_by_hand_is_not_recognised_and_counts() -> None:
    house = House()
    async with house.session() as line:
        line.sets(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
        for seconds in (5.0, 1.0, 5.0):
            line.sends_audio(tone(seconds) if seconds == 1.0 else bytes(int(seconds * 48_000)))
        line.says("input_audio_buffer.commit")
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        recognised_s = float(heard["transcript"].split()[1])
        assert 1.0 <= recognised_s < 2.5 and heard["usage"]["seconds"] == pytest.approx(11.0, abs=0.01)
        line.says("conversation.item.retrieve", item_id=heard["item_id"])
        kept = base64.b64decode(content(await line.gets("conversation.item.retrieved"), 0)["audio"])
        assert len(kept) / 48_000 == pytest.approx(11.0, abs=0.05), "the silence is part of the item"


async def test_an_item_that_is_deleted_while_it_is_looked_at_is_not_transcribed() -> None:
    house = House()
    async with house.session() as line:
        part = {"type": "input_audio", "audio": base64.b64encode(tone(60.0)).decode()}
        line.says("conversation.item.create", item={"type": "message", "role": "user", "id": "brought", "content": [part]})
        line.says("conversation.item.delete", item_id="brought")
        await line.gets("conversation.item.deleted")
        line.says("conversation.item.create", item={"type": "message", "role": "user", "id": "brought", "content": [part]})
        line.sets(audio={"input": {"transcription": {"model": "whisper-1"}}})
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert heard["usage"]["seconds"] == pytest.approx(60.0, abs=0.01)


async def test_audio_in_an_item_that_is_refused_is_not_transcribed() -> None:
    house = House(["Hello."])
    async with house.session() as line:
        item = {"type": "message", "role": "user", "id": "once", "content": [{"type": "input_text", "text": "Hi."}]}
        line.says("conversation.item.create", item=item)
        item["content"] = [{"type": "input_audio", "audio": base64.b64encode(bytes(48_000)).decode()}]
        line.says("conversation.item.create", item=item)
        assert (await line.gets("error"))["error"]["code"] == "item_create_duplicate_item_id"
        line.says("response.create")
        await line.gets("response.done")
        assert house.prompt()[-1] == ("user", "Hi.") and house.listening.utterances == 0


@pytest.mark.parametrize(
    ("content", "code", "param"),
    [
        ([{"type": "input_audio"}], "missing_required_parameter", "item.content[0].transcript"),
        ([{"type": "input_audio", "audio": "%%%"}], "invalid_value", "item.content[0].audio"),
        ([{"type": "input_audio", "audio": "AAA="}] * 2, "unsupported_content_type", "item.content"),
        ([{"type": "input_audio", "audio": "AAAA"}], "invalid_value", "item.content"),
    ],
)
async def test_audio_in_an_item_that_cannot_be_read_is_refused(content: list, code: str, param: str) -> None:
    async with House().session() as line:
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        error = (await line.gets("error"))["error"]
        assert (error["code"], error["param"]) == (code, param)


@pytest.mark.parametrize(("words", "cut_by"), [(True, "words"), (False, "proportion")])
async def test_a_client_that_asks_is_told_how_an_answer_was_cut(words: bool, cut_by: str) -> None:
    house = House(["Count."], ["One two three four."])
    house.voice.times_words = words
    async with house.session(timings=True) as line:
        await a_spoken_turn(line)
        item_id = next(one for one in line.seen if one["type"] == "response.output_item.done")["item"]["id"]
        line.says("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
        assert (await line.gets("conversation.item.truncated"))["sparkvox.cut_by"] == cut_by
