"""Somebody who hesitates, heard by the real ears: Silero, Smart Turn and Moonshine. The language model echoes what it was asked, so its
prompts show what was drafted and what was answered.

Audio comes when the ears have done with what came before, as on a machine that is never late: so each pause is thought about to its end.
"""

import asyncio
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from serve_app.engines import Pcm, Recogniser, TurnDetector, VoiceActivity
from serve_app.listening import Listening
from tests.engines.every import warmed
from tests.recordings import AUDIO, Recording, word_error_rate
from tests.session.line import WIRE_RATE, Event, House, Line

pytestmark = pytest.mark.weights

PARIS = Recording("hesitating_paris.wav", "I would like to go to Paris.")
CAPITAL = Recording("hesitating_capital.wav", "Can you tell me what the capital of France is?")
NAME = Recording("hesitating_name.wav", "My name is Anna, and I am from Berlin.")  # Moonshine leaves the "um" out
Ears = tuple[VoiceActivity, TurnDetector, Recogniser]
EVERY = pytest.mark.parametrize("said", [PARIS, CAPITAL, NAME], ids=lambda said: said.file)
SEMANTIC = {"type": "semantic_vad", "eagerness": "auto"}
LONGER_THAN_ANY_PAUSE = {"type": "server_vad", "silence_duration_ms": 1500}
OTHER_TASKS = 50
"""Turns of the loop in which whatever can run has run: the fakes wait for nothing."""


class SmartTurn:
    def __init__(self, detector: TurnDetector) -> None:
        self._detector = detector
        self.idle = asyncio.Event()
        self.idle.set()

    async def warm(self) -> None: ...

    async def score(self, pcm: Pcm) -> float:
        self.idle.clear()
        try:
            return await self._detector.score(pcm)
        finally:
            self.idle.set()


class Unhurried(Line):
    def __init__(self, turns: SmartTurn, listening: Listening) -> None:
        super().__init__()
        self._turns = turns
        self._listening = listening

    async def receive(self) -> str | bytes:
        for _ in range(OTHER_TASKS):
            await asyncio.sleep(0)
            await self._turns.idle.wait()
            await self._listening.idle()
        return await super().receive()

    def hears(self, recording: Recording) -> None:
        with wave.open(str(AUDIO / recording.file)) as file:
            assert file.getframerate() == WIRE_RATE
            self.sends_audio(file.readframes(file.getnframes()) + bytes(5 * WIRE_RATE))


@pytest.fixture(scope="module")
def ears() -> Ears:
    return warmed("voice_activity", "silero"), warmed("turn_detector", "smart-turn"), warmed("recogniser", "moonshine")


@asynccontextmanager
async def session(ears: Ears, detection: dict[str, Any]) -> AsyncIterator[tuple[House, Unhurried]]:
    house, turns, listening = House(), SmartTurn(ears[1]), Listening(ears[2])
    house.engines = replace(house.engines, voice_activity=ears[0], turn_detector=turns, speech_to_text=listening)
    try:
        async with house.session(Unhurried(turns, listening)) as line:
            line.sets(audio={"input": {"turn_detection": detection, "transcription": {"model": "x"}}})
            await line.gets("session.updated")
            yield house, line
    finally:
        await listening.close()


def of(line: Line, kind: str) -> list[Event]:
    return [event for event in line.seen if event["type"] == kind]


def asked(house: House) -> list[str]:
    """What the user said, as each prompt has it."""
    return [prompt.messages[-1].content for prompt in house.model.prompts]


@EVERY
@pytest.mark.parametrize("detection", [SEMANTIC, LONGER_THAN_ANY_PAUSE], ids=lambda detection: detection["type"])
async def test_the_whole_sentence_is_answered_once_and_what_was_drafted_in_its_pauses_never_happened(
    ears: Ears, said: Recording, detection: dict[str, Any]
) -> None:
    async with session(ears, detection) as (house, line):
        line.hears(said)
        done = (await line.gets("response.done"))["response"]
        typed = [{"type": "input_text", "text": "Hi"}]
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": typed})
        line.says("response.create")
        await line.gets("response.done")

    *drafts, answered, _ = asked(house)
    (transcript,) = of(line, "conversation.item.input_audio_transcription.completed")
    assert word_error_rate(said.words, answered) == 0 and answered == transcript["transcript"]
    assert drafts and all(len(draft.split()) < len(answered.split()) for draft in drafts), "no pause was thought about"
    assert done["output"][0]["content"][0]["transcript"] == f"You said: {answered}"
    assert done["usage"]["input_tokens"] == sum(len(content.split()) for _, content in house.prompt(-2))
    assert house.prompt() == [*house.prompt(-2), ("assistant", f"You said: {answered}"), ("user", "Hi")]
    kinds = [event["type"] for event in line.seen]
    assert kinds.count("response.created") == 2 and kinds.index("response.created") > kinds.index("input_audio_buffer.committed")


@EVERY
async def test_while_the_speaker_hesitates_the_client_is_told_nothing_but_what_was_heard(ears: Ears, said: Recording) -> None:
    async with session(ears, SEMANTIC) as (_, line):
        line.hears(said)
        await line.gets("response.done")
    kinds = line.types()
    hesitating = kinds[kinds.index("input_audio_buffer.speech_started") + 1 : kinds.index("input_audio_buffer.speech_stopped")]
    assert set(hesitating) <= {"conversation.item.input_audio_transcription.delta"}
    assert kinds.count("input_audio_buffer.speech_started") == kinds.count("input_audio_buffer.speech_stopped") == 1


@EVERY
async def test_half_a_second_of_silence_takes_the_same_hesitation_for_the_end(ears: Ears, said: Recording) -> None:
    async with session(ears, {"type": "server_vad", "silence_duration_ms": 500, "create_response": False}) as (_, line):
        line.hears(said)
        await line.gets("input_audio_buffer.committed")
        await line.gets("input_audio_buffer.committed")
