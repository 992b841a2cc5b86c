import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from serve_app.core.language import ToolCall
from serve_app.errors import EngineBusy, EngineFailed
from tests.session.line import PATIENCE_S, House, Line


async def a_spoken_turn(line: Line, seconds: float = 1.0) -> None:
    line.speaks(seconds, silence_s=0.8)
    await line.gets("response.done")


async def test_a_spoken_turn_follows_the_order_of_the_recorded_one() -> None:
    house = House(["What is the capital of France?"], ["Paris."])
    async with house.session() as line:
        line.sets(audio={"input": {"transcription": {"model": "whisper-1"}}})
        await line.gets("session.updated")
        since = len(line.seen)
        await a_spoken_turn(line)
        await line.gets("rate_limits.updated")
        told = line.types(since)
        heard = [kind for kind in told if kind.startswith("conversation.item.input_audio_transcription.")]
        assert heard[-1].endswith(".completed") and {kind.rpartition(".")[2] for kind in heard[:-1]} == {"delta"}
        assert [kind for kind in told if kind not in heard] == [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed",
            "conversation.item.added", "conversation.item.done", "response.created",
            "response.output_item.added", "conversation.item.added", "response.content_part.added",
            "response.output_audio_transcript.delta", "response.output_audio.delta", "response.output_audio.done",
            "response.output_audio_transcript.done", "response.content_part.done", "conversation.item.done",
            "response.output_item.done", "response.done", "rate_limits.updated",
        ]  # fmt: skip
        assert house.prompt() == [("system", "Be brief."), ("user", "What is the capital of France?")]
        line.invariants.finish()


async def test_the_audio_that_is_sent_is_what_was_spoken() -> None:
    house = House(["Hi."], ["Hello there, my friend."])
    async with house.session() as line:
        await a_spoken_turn(line)
        assert [speech.text.strip(" ,") for speech in house.voice.spoken] == ["Hello there", "my friend."]
        characters = sum(len(speech.text) for speech in house.voice.spoken)
        assert line.audio_bytes() == pytest.approx(characters * 0.01 * 24_000 * 2, rel=0.001)


async def test_speech_to_text_hears_the_whole_utterance_with_its_padding() -> None:
    house = House()
    async with house.session(eager=lambda: False) as line:
        line.speaks(0.0, silence_s=1.0)
        await a_spoken_turn(line, seconds=2.0)
        started = next(one for one in line.seen if one["type"] == "input_audio_buffer.speech_started")
        stopped = next(one for one in line.seen if one["type"] == "input_audio_buffer.speech_stopped")
        heard_s = float(house.prompt()[-1][1].split()[1])
        assert started["audio_start_ms"] == pytest.approx(700, abs=60)
        assert heard_s == pytest.approx((stopped["audio_end_ms"] - started["audio_start_ms"]) / 1000, abs=0.05)


async def test_push_to_talk() -> None:
    house = House(["Hello."])
    async with house.session() as line:
        line.sets(audio={"input": {"turn_detection": None}})
        line.speaks(1.0, silence_s=1.0)
        line.says("input_audio_buffer.commit")
        await line.gets("conversation.item.done")
        assert "input_audio_buffer.speech_started" not in line.types()
        assert not house.model.prompts
        line.says("response.create")
        await line.gets("response.done")
        assert house.prompt()[-1] == ("user", "Hello.")


async def test_semantic_turn_detection_ends_a_finished_turn_early_and_waits_for_an_unfinished_one() -> None:
    house = House(["Yes.", "And then"])
    async with house.session() as line:
        line.sets(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high"}}})
        line.speaks(1.0, silence_s=0.4)
        await line.gets("input_audio_buffer.committed")
        await line.gets("response.done")
        house.turns.finished = 0.1
        line.speaks(1.0, silence_s=2.5)
        stopped = await line.gets("input_audio_buffer.speech_stopped")
        assert stopped["audio_end_ms"] == pytest.approx(1000 + 400 + 1000 + 2000, abs=80)
        assert len(house.turns.asked_s) >= 3


async def test_a_text_turn_with_audio_out_and_one_with_text_out() -> None:
    house = House(replies=["Spoken.", "Written."])
    async with house.session() as line:
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})
        line.says("response.create")
        spoken = await line.gets("response.done")
        line.says("response.create", response={"output_modalities": ["text"]})
        written = await line.gets("response.done")
    assert spoken["response"]["output"][0]["content"] == [{"type": "output_audio", "transcript": "Spoken."}]
    assert written["response"]["output"][0]["content"] == [{"type": "output_text", "text": "Written."}]
    assert len(house.voice.spoken) == 1


async def test_a_tool_call_and_its_result() -> None:
    house = House(["Weather?"], [ToolCall("", "get_weather", '{"city": "London"}'), "It is foggy."])
    async with house.session() as line:
        line.sets(tools=[{"type": "function", "name": "get_weather", "description": "Weather.", "parameters": {"type": "object"}}])
        line.speaks(1.0, silence_s=0.8)
        done = await line.gets("response.done")
        call = done["response"]["output"][0]
        assert (call["type"], call["name"], call["arguments"]) == ("function_call", "get_weather", '{"city": "London"}')
        line.says("conversation.item.create", item={"type": "function_call_output", "call_id": call["call_id"], "output": "fog"})
        line.says("response.create")
        await line.gets("response.done")
    assert house.prompt()[-1] == ("tool", "fog")
    assert house.model.prompts[0].tools[0].name == "get_weather"


async def test_an_interruption_stops_the_audio_and_the_next_prompt_holds_only_what_was_played() -> None:
    house = House(["Count.", "Stop."], ["one two three four five six seven eight nine ten " * 20])
    async with house.session(lead_s=0.5) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        line.speaks(0.5)
        await line.gets("input_audio_buffer.speech_started")
        done = await line.gets("response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        after = len(line.seen)
        line.speaks(0.5, silence_s=0.8)
        await line.gets("response.done")
        second = [one for one in line.seen[after:] if one["type"] == "response.output_audio.delta"]
        assert all(one["response_id"] != done["response"]["id"] for one in second)
        item = done["response"]["output"][0]
        line.says("conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=0)
        assert (await line.gets("conversation.item.truncated"))["audio_end_ms"] == 0
    answer = next((text for role, text in house.prompt(1) if role == "assistant"), "")
    assert len(answer) < len(item["content"][0]["transcript"])


@pytest.mark.parametrize(("text", "goes_on"), [("Mm-hm.", True), ("Stop.", False)])
async def test_a_sign_of_listening_leaves_the_answer_alone_and_a_word_ends_it(text: str, goes_on: bool) -> None:
    house = House(["Count.", text], ["one two three four five six seven eight nine ten " * 4])
    async with house.session(lead_s=0.3, barge_in_s=0.6) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        heard_before = len(house.recogniser.batches)
        line.speaks(0.3, silence_s=0.3)
        async with asyncio.timeout(PATIENCE_S):
            while len(house.recogniser.batches) == heard_before:  # noqa: ASYNC110  the guess in the pause
                await asyncio.sleep(0.01)
        line.speaks(0.0, silence_s=0.8)
        done = await line.gets("response.done")
        assert done["response"]["status"] == ("completed" if goes_on else "cancelled")
        assert line.types().count("input_audio_buffer.speech_started") == (1 if goes_on else 2)


async def test_audio_never_runs_further_ahead_of_playback_than_allowed() -> None:
    house = House(["Count."], ["one two three four five six seven eight nine ten " * 40])
    async with house.session(lead_s=0.3) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        line.says("input_audio_buffer.clear")
        await line.gets("input_audio_buffer.cleared")
        assert line.audio_bytes() / 48_000 < 1.5, "the whole answer takes 20 s"


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


async def test_a_client_that_vanishes_in_mid_answer_leaves_nothing_behind() -> None:
    house = House(["Count."], ["one two three " * 100])
    async with house.session() as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        assert house.listening.sessions == 1
    assert (house.listening.sessions, house.listening.utterances) == (0, 0)


async def test_two_sessions_do_not_mix() -> None:
    house = House()
    async with house.session() as one, house.session() as other:
        one.speaks(1.0, silence_s=0.8)
        other.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "red"}]})
        other.raw("nonsense")
        other.says("response.create")
        first, second = await asyncio.gather(one.gets("response.done"), other.gets("response.done"))
    assert "heard" in first["response"]["output"][0]["content"][0]["transcript"]
    assert second["response"]["output"][0]["content"][0]["transcript"] == "You said: red"
    assert "error" not in one.types() and "error" in other.types()


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
    from serve_app.session import SessionOptions, drive
    from tests.session.line import SERVED

    await drive(line, house.engines, SessionOptions(SERVED))
    assert line.seen[0]["error"]["code"] == "server_busy"
    assert line.closed is not None and line.closed[0] == 1013


async def test_timings_ride_in_the_metadata_of_a_client_that_asked() -> None:
    async with House(["Hi."]).session(timings=True) as line:
        line.speaks(1.0, silence_s=0.8)
        metadata = (await line.gets("response.done"))["response"]["metadata"]
        assert '"endpoint_ms":5' in metadata["sparkvox.timings"]
    async with House(["Hi."]).session() as line:
        line.speaks(1.0, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["metadata"] is None


async def test_a_client_may_ask_for_timings_in_its_session_and_take_that_back() -> None:
    async with House(["Hi.", "Hi."]).session(eager=lambda: False) as line:
        line.sets(include=["sparkvox.timings"])
        assert (await line.gets("session.updated"))["session"]["include"] is None, "the protocol's type has no such value"
        line.speaks(1.0, silence_s=0.8)
        told = json.loads((await line.gets("response.done"))["response"]["metadata"]["sparkvox.timings"])
        assert told["endpoint_ms"] == pytest.approx(500, abs=40) and (told["drafted"], told["saved_ms"]) == (False, None)
        names = [name for name, start, end in told["stages"]]
        assert names == ["endpointing", "transcription", "first_token", "first_clause", "synthesis", "first_audio"]
        line.sets(include=[])
        await line.gets("session.updated")
        line.speaks(1.0, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["metadata"] is None


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


async def test_telephone_audio_goes_both_ways() -> None:
    house = House()
    async with house.session() as line:
        line.sets(audio={"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}, "output": {"format": {"type": "audio/pcmu"}}})
        await line.gets("session.updated")
        line.says("input_audio_buffer.append", audio=base64.b64encode(b"\xff" * 8000).decode())
        line.says("input_audio_buffer.commit")
        line.says("response.create")
        await line.gets("response.done")
        spoken_s = len(house.voice.spoken[0].text) * 0.01
        assert house.prompt()[-1] == ("user", "heard 1.00 seconds")
        assert line.audio_bytes() == pytest.approx(spoken_s * 8000, rel=0.01)


async def test_a_minute_of_silence_makes_no_turn() -> None:
    house = House()
    async with house.session() as line:
        line.sends_audio(bytes(60 * 48_000), frame_bytes=48_000)
        line.says("input_audio_buffer.clear")
        await line.gets("input_audio_buffer.cleared")
        assert line.types() == ["session.created", "input_audio_buffer.cleared"]
        assert house.recogniser.batches == []


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
        audio = base64.b64encode(bytes(48_000)).decode()
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


PAUSED = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 600}, "transcription": {"model": "whisper-1"}}


async def test_the_answer_is_written_and_begun_to_be_spoken_while_the_silence_is_still_waited_for() -> None:
    house = House(["What is it?"], ["A tree. I think so."])
    async with house.session() as line:
        line.sets(audio={"input": PAUSED})
        line.speaks(1.0, silence_s=0.4)
        await eventually(lambda: [speech.text for speech in house.voice.spoken], ["A tree."])
        assert not [one for one in line.seen if one["type"].startswith("response.")]
        line.speaks(0.0, silence_s=0.4)
        response = (await line.gets("response.done"))["response"]
        assert response["output"][0]["content"][0]["transcript"] == "A tree. I think so."
        assert len(house.model.prompts) == 1
        line.invariants.finish()


async def test_a_speaker_who_goes_on_is_not_answered_twice() -> None:
    house = House([], ["A tree.", "An oak."])
    async with house.session() as line:
        line.sets(audio={"input": PAUSED})
        line.speaks(1.0, silence_s=0.4)
        await eventually(lambda: len(house.model.prompts), 1)
        line.speaks(1.0, silence_s=0.8)
        response = (await line.gets("response.done"))["response"]
        assert response["output"][0]["content"][0]["transcript"] == "An oak."
        assert sum(one["type"] == "response.created" for one in line.seen) == 1
        first, second = (float(house.prompt(number)[-1][1].split()[1]) for number in (0, 1))
        assert second > first + 1.0, "the second answer is to all that was said"


async def eventually(what: Callable[[], Any], expected: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while what() != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
