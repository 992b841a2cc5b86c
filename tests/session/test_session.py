"""Turns of a conversation, through the whole session with fakes for engines."""

import asyncio
import base64
import json

import numpy as np
import pytest

from serve_app.core.language import ToolCall
from tests.session.line import PATIENCE_S, House, a_spoken_turn, eventually

OTHER_TASKS = 50
"""Turns of the loop in which whatever can run has run."""


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


@pytest.mark.parametrize("reply", ["...", "\U0001f642", "\u2605\u2605\u2605 ***", "```\nx = 1\n```"])
async def test_a_reply_in_which_nothing_can_be_said_completes_without_sound(reply: str) -> None:
    house = House([], [reply])
    async with house.session() as line:
        line.says("response.create", response={"instructions": "Say nothing."})
        done = await line.gets("response.done")
        assert done["response"]["status"] == "completed"
        assert done["response"]["output"][0]["content"][0]["transcript"] == reply
        assert line.audio_bytes() == 0 and not house.voice.spoken
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
    async with house.session(lead_s=0.3, barge_in_s=PATIENCE_S) as line:  # its words decide, not how long it lasts
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        line.speaks(0.3, silence_s=0.3)
        await eventually(line.unread, 0)
        for _ in range(OTHER_TASKS):  # the guess in the pause is answered, and the conversation has heard of it
            await house.listening.idle()
            await asyncio.sleep(0)
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


async def test_telephone_audio_goes_both_ways() -> None:
    house = House()
    async with house.session() as line:
        line.sets(audio={"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}, "output": {"format": {"type": "audio/pcmu"}}})
        await line.gets("session.updated")
        line.says("input_audio_buffer.append", audio=base64.b64encode((b"\x8f" * 10 + b"\x0f" * 10) * 400).decode())
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


async def test_a_sound_that_comes_in_one_piece_is_sent_in_messages_that_every_client_takes() -> None:
    """A clause at the slowest speed is a minute of sound, which some engines give at once."""
    house = House([], ["a" * 200])
    async with house.session(lead_s=100.0) as line:
        line.sets(audio={"output": {"speed": 0.25}})
        line.says("response.create", response={"instructions": "Say a."})
        await line.gets("response.done")
        assert line.audio_bytes() == 200 * 0.04 * 24_000 * 2
        deltas = [one["delta"] for one in line.seen if one["type"] == "response.output_audio.delta"]
        assert len(deltas) == 4 and max(map(len, deltas)) <= 2.0 * 24_000 * 2 * 4 / 3 + 4


async def test_what_others_say_after_the_speaker_is_no_part_of_the_turn() -> None:
    """A television speaks on, 20 dB below the user."""
    house = House()
    async with house.session(transcription_only=True) as line:
        at = np.arange(8 * 24_000) / 24_000
        sound = np.sin(2 * np.pi * 300 * at) * np.where(at < 2.0, 9000, 900)
        line.sends_audio(sound.astype("<i2").tobytes())
        stopped = await line.gets("input_audio_buffer.speech_stopped")
        assert 4000 < stopped["audio_end_ms"] < 5000
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert float(heard["transcript"].split()[1]) == pytest.approx(2.0, abs=0.4)
        line.says("input_audio_buffer.clear")
        await line.gets("input_audio_buffer.cleared")
    assert [one["type"] for one in line.seen].count("input_audio_buffer.speech_started") == 1
