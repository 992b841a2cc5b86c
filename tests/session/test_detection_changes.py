"""A client changes turn_detection while its user speaks, or while the buffer holds audio: all that was said is heard."""

import asyncio

import numpy as np
import pytest

from serve_app.engines import HEARING_RATE
from tests.session.line import Line, eventually
from tests.session.test_heard_samples import Tape, noise, place, resampled, sends, session

FORM = "audio/pcm"
SERVER, SEMANTIC = {"type": "server_vad", "create_response": False}, {"type": "semantic_vad", "eagerness": "high", "create_response": False}
LONGER, STRICTER = {**SERVER, "silence_duration_ms": 700}, {**SERVER, "threshold": 0.6, "prefix_padding_ms": 100}
SPEECH, MORE, QUIET = noise(1.1, FORM, 1), noise(0.9, FORM, 2), noise(3.0, FORM, 3, faint=True)


@pytest.fixture(autouse=True)
def everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the samples are counted: none are left out for holding no speech (tests/test_speech_gate.py)."""
    monkeypatch.setattr("serve_app.speech_gate.LIKELY", 0.0)


def told(line: Line) -> list[str]:
    kinds = [one["type"].split(".") for one in line.seen]
    return [kind[1].removeprefix("speech_") for kind in kinds if kind[0] == "input_audio_buffer"]


async def changes(line: Line, detection: dict[str, object] | None) -> None:
    await eventually(line.unread, 0)
    line.sets(audio={"input": {"turn_detection": detection}})
    await line.gets("session.updated")


async def turn(line: Line, tape: Tape) -> np.ndarray:
    """What speech-to-text was given of the next turn; nothing was dropped before it."""
    item_id = (await line.gets("input_audio_buffer.committed"))["item_id"]
    assert not tape.dropped
    return tape.heard(item_id)


@pytest.mark.parametrize("before", [SERVER, SEMANTIC])
@pytest.mark.parametrize("after", [SERVER, SEMANTIC, LONGER, STRICTER])
@pytest.mark.parametrize("when", ["in mid-speech", "in the pause"])
async def test_to_another_turn_detection(before: dict[str, object], after: dict[str, object], when: str) -> None:
    async with session(**before) as (line, tape):
        tape.house.turns.finished = 0.1  # in that pause
        said = np.concatenate((SPEECH, QUIET[:7200])) if when == "in the pause" else SPEECH
        sends(line, said, FORM, (777,))
        await line.gets("input_audio_buffer.speech_started")
        await changes(line, after)
        tape.house.turns.finished = 1.0
        sends(line, np.concatenate((MORE, QUIET)), FORM, (777,))
        heard = await turn(line, tape)
        assert place(heard, resampled(np.concatenate((said, MORE, QUIET)), FORM), 0) == 0
        assert len(heard) / HEARING_RATE > (len(said) + len(MORE)) / 24_000
        assert told(line) == ["started", "stopped", "committed"]


async def test_to_push_to_talk_in_mid_speech() -> None:
    async with session(**SERVER) as (line, tape):
        sends(line, SPEECH, FORM, (777,))
        await line.gets("input_audio_buffer.speech_started")
        await changes(line, None)
        sends(line, np.concatenate((MORE, QUIET)), FORM, (777,))
        line.says("input_audio_buffer.commit")
        assert len(await turn(line, tape)) == len(resampled(np.concatenate((SPEECH, MORE, QUIET)), FORM))
        assert told(line) == ["started", "stopped", "committed"]


async def test_to_push_to_talk_while_nobody_speaks_keeps_the_buffer() -> None:
    async with session(**SERVER) as (line, tape):
        sends(line, QUIET[:24_000], FORM, (777,))
        await changes(line, None)
        sends(line, SPEECH, FORM, (777,))
        line.says("input_audio_buffer.commit")
        assert len(await turn(line, tape)) == len(resampled(np.concatenate((QUIET[:24_000], SPEECH)), FORM))
        assert told(line) == ["committed"]


@pytest.mark.parametrize("detection", [SERVER, SEMANTIC])
async def test_from_push_to_talk_in_mid_speech(detection: dict[str, object]) -> None:
    async with session() as (line, tape):
        sends(line, SPEECH, FORM, (777,))
        await changes(line, detection)
        await line.gets("input_audio_buffer.speech_started")
        sends(line, np.concatenate((MORE, QUIET)), FORM, (777,))
        heard = await turn(line, tape)
        assert place(heard, resampled(np.concatenate((SPEECH, MORE, QUIET)), FORM), 0) == 0
        assert len(heard) / HEARING_RATE > (len(SPEECH) + len(MORE)) / 24_000
        assert told(line) == ["started", "stopped", "committed"]


@pytest.mark.parametrize("detection", [SERVER, SEMANTIC])
async def test_from_push_to_talk_after_speech_its_end_is_found_in_the_buffer(detection: dict[str, object]) -> None:
    async with session() as (line, tape):
        buffered = np.concatenate((QUIET[:12_345], SPEECH, QUIET))
        sends(line, buffered, FORM, (777,))
        await changes(line, detection)
        heard = await turn(line, tape)
        assert len(heard) == pytest.approx(len(buffered) * 2 / 3, abs=HEARING_RATE * 0.04)
        assert told(line) == ["started", "stopped", "committed"]
        started, stopped = (next(one for one in line.seen if one["type"].endswith(f"speech_{what}")) for what in ("started", "stopped"))
        assert started["audio_start_ms"] == pytest.approx(12_345 / 24 - 300, abs=40)
        assert stopped["audio_end_ms"] == pytest.approx(len(buffered) / 24, abs=40)


async def test_from_push_to_talk_with_silence_in_the_buffer_nothing_happens_until_somebody_speaks() -> None:
    async with session() as (line, tape):
        sends(line, QUIET, FORM, (777,))
        await changes(line, SERVER)
        sends(line, QUIET, FORM, (777,))
        await eventually(line.unread, 0)
        await asyncio.sleep(0)
        assert told(line) == []
        sends(line, np.concatenate((SPEECH, QUIET)), FORM, (777,))
        heard, sent = await turn(line, tape), resampled(np.concatenate((QUIET, QUIET, SPEECH, QUIET)), FORM)
        place(heard, sent, 0)
        assert told(line) == ["started", "stopped", "committed"]


async def test_off_and_on_again_in_mid_speech() -> None:
    async with session(**SERVER) as (line, tape):
        sends(line, SPEECH, FORM, (777,))
        await line.gets("input_audio_buffer.speech_started")
        await changes(line, None)
        await changes(line, SERVER)
        sends(line, np.concatenate((MORE, QUIET)), FORM, (777,))
        heard = await turn(line, tape)
        assert place(heard, resampled(np.concatenate((SPEECH, MORE, QUIET)), FORM), 0) == 0
        assert told(line) == ["started", "stopped", "started", "stopped", "committed"]
