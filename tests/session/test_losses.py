"""Replicas that are lost in mid-work: what nobody has heard is done again, the rest ends as failed, and the session lives."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from serve_app.core.retries import MOST
from serve_app.ears import SessionEar
from serve_app.engines import Sound, Speech
from serve_app.errors import EngineBusy, EngineGone
from tests.session.line import House, Line, eventually

LOST = EngineGone("the replica was lost")
TRANSCRIBED = {"transcription": {"model": "whisper-1"}}
PUSH_TO_TALK = {"turn_detection": None, **TRANSCRIBED}


class LosingEars:
    """A `SpeechToText` whose replicas a test can lose."""

    def __init__(self, house: House, refusals: int = 0) -> None:
        self._listening = house.listening
        self.ears: list[SessionEar] = []
        self.refusals = refusals
        """So many sessions are refused after the first."""

    async def warm(self) -> None: ...

    async def open(self, session_id: str) -> SessionEar:
        if self.ears and self.refusals:
            self.refusals -= 1
            raise EngineBusy("this replica is full")
        self.ears.append(await self._listening.open(session_id))
        return self.ears[-1]

    def lose(self) -> None:
        self.ears[-1].lose("its replica was killed")


class LosingVoice:
    """Speech is lost after so many pieces of it, for the first tries."""

    def __init__(self, house: House, *pieces: int) -> None:
        self.inner = house.voice
        self.sample_rate, self.voices = house.voice.sample_rate, house.voice.voices
        self._losses = list(pieces)
        self.kill = asyncio.Event()
        """The loss waits for it; set until a test clears it."""
        self.kill.set()

    async def warm(self) -> None: ...

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        left = self._losses.pop(0) if self._losses else None
        async for sound in self.inner.speak(speech):
            if left == 0:
                await self.kill.wait()
                raise EngineGone("its replica was killed")
            left = None if left is None else left - 1
            yield sound


def losing_ears(house: House, refusals: int = 0) -> LosingEars:
    ears = LosingEars(house, refusals)
    house.engines = replace(house.engines, speech_to_text=ears)
    return ears


def losing_voice(house: House, *pieces: int) -> LosingVoice:
    voice = LosingVoice(house, *pieces)
    house.engines = replace(house.engines, text_to_speech=voice)
    return voice


async def answered(line: Line) -> dict:
    return (await line.gets("response.done"))["response"]


async def test_an_utterance_is_heard_from_its_first_sample_by_the_next_replica() -> None:
    house = House()
    ears = losing_ears(house)
    async with house.session() as line:
        line.sets(audio={"input": PUSH_TO_TALK})
        line.speaks(1.0)
        await eventually(lambda: house.listening.utterances, 1)
        line.speaks(0.6)
        ears.lose()
        line.speaks(1.0)
        line.says("input_audio_buffer.commit")
        heard = await line.gets("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "heard 2.60 seconds"
        assert len(ears.ears) == 2


async def test_an_utterance_that_waits_for_its_text_gets_it_from_the_next_replica() -> None:
    house = House()
    ears = losing_ears(house, refusals=2)
    async with house.session() as line:
        line.sets(audio={"input": PUSH_TO_TALK})
        house.recogniser.gate.shut()
        line.speaks(1.0)
        line.says("input_audio_buffer.commit")
        await line.gets("conversation.item.done")
        ears.lose()
        house.recogniser.gate.open()
        line.says("response.create")
        assert (await answered(line))["output"][0]["content"][0]["transcript"] == "You said: heard 1.00 seconds"
        assert "conversation.item.input_audio_transcription.failed" not in line.types()
        line.invariants.finish()


async def test_a_turn_goes_on_with_its_guess_when_the_replica_is_lost_in_the_pause() -> None:
    house = House()
    ears = losing_ears(house)
    async with house.session() as line:
        line.sets(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 600}, **TRANSCRIBED}})
        house.recogniser.gate.shut()
        line.speaks(1.0, silence_s=0.4)
        await house.recogniser.gate.reached()
        ears.lose()
        house.recogniser.gate.open()
        await eventually(lambda: len(ears.ears), 2)
        line.speaks(0.0, silence_s=0.6)
        assert (await answered(line))["status"] == "completed"
        assert len(house.model.prompts) == 1 and house.prompt()[-1][1].startswith("heard 1.")


async def test_an_utterance_that_takes_its_replicas_with_it_fails_and_the_next_one_is_heard() -> None:
    house = House()
    ears = losing_ears(house)
    async with house.session() as line:
        line.sets(audio={"input": PUSH_TO_TALK})
        line.speaks(1.0)
        for replica in range(MOST + 1):
            await eventually(lambda: house.listening.utterances, 1)
            ears.lose()
            await eventually(lambda wanted=replica + 2: len(ears.ears), replica + 2)
        line.says("input_audio_buffer.commit")
        await line.gets("conversation.item.input_audio_transcription.failed")
        line.speaks(0.5)
        line.says("input_audio_buffer.commit")
        assert (await line.gets("conversation.item.input_audio_transcription.completed"))["transcript"] == "heard 0.50 seconds"


async def test_a_reply_of_which_nothing_was_written_is_asked_for_again() -> None:
    house = House(["Hello."], [LOST, LOST, "Here I am."])
    async with house.session() as line:
        line.speaks(1.0, silence_s=0.8)
        response = await answered(line)
        assert (response["status"], response["output"][0]["content"][0]["transcript"]) == ("completed", "Here I am.")
        assert sum(one["type"] == "response.created" for one in line.seen) == 1
        line.invariants.finish()


@pytest.mark.parametrize("replies", [[LOST] * (MOST + 1), [("Well, ", LOST)]])
async def test_a_reply_that_was_begun_or_is_lost_each_time_fails_once(replies: list) -> None:
    house = House(["One.", "Two."], [*replies, "Better."])
    async with house.session(eager=lambda: False) as line:
        line.speaks(1.0, silence_s=0.8)
        response = await answered(line)
        assert response["status"] == "failed" and "the replica was lost" in response["status_details"]["error"]["message"]
        line.speaks(1.0, silence_s=0.8)
        assert (await answered(line))["output"][0]["content"][0]["transcript"] == "Better."


async def test_a_clause_of_which_nothing_was_heard_is_said_again_from_its_beginning() -> None:
    house = House(["Hi."], ["One two three four. Five six seven."])
    losing_voice(house, 0, 99, 2)
    async with house.session(lead_s=0.05) as line:
        line.speaks(1.0, silence_s=0.8)
        assert (await answered(line))["status"] == "completed"
        first, _, second = (len(house.voice.spoken[number].text) for number in (0, 1, 2))
        assert [speech.text for speech in house.voice.spoken] == ["One two three four."] * 2 + ["Five six seven."] * 2
        assert line.audio_bytes() == pytest.approx((first + second) * 0.01 * 48_000, rel=0.01), "nothing is heard twice"
        line.invariants.finish()


async def test_a_clause_that_was_heard_in_part_fails_the_response_and_is_not_said_again() -> None:
    house = House(["Hi.", "And?"], ["One two three four five six seven.", "Fine."])
    voice = losing_voice(house, 3)
    voice.kill.clear()
    async with house.session(eager=lambda: False) as line:
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        voice.kill.set()
        assert (await answered(line))["status"] == "failed"
        assert len(house.voice.spoken) == 1
        line.speaks(1.0, silence_s=0.8)
        assert (await answered(line))["status"] == "completed"


async def test_a_session_whose_speech_to_text_is_gone_for_good_still_answers_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.core.retries.Retries.again_in", lambda retries, now: None)
    house = House()
    ears = losing_ears(house, refusals=10**9)
    async with house.session() as line:
        line.sets(audio={"input": PUSH_TO_TALK})
        line.speaks(1.0)
        line.says("input_audio_buffer.commit")
        await eventually(lambda: len(ears.ears), 1)
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})
        ears.lose()
        line.says("response.create")
        assert (await answered(line))["status"] == "completed"
