"""The very samples that speech-to-text is given: all of them, once, in order, however a client cuts its audio into messages. The audio is
noise, so that no two stretches of it are alike; its pauses are noise too faint for speech."""

import asyncio
import base64
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from serve_app import audio
from serve_app.codec import WIRE_RATES, Codec
from serve_app.engines import HEARING_RATE, Audio, Drop, Ear, End, HearingMessage, Pcm
from serve_app.incoming import Incoming
from serve_app.live_resampler import LiveResampler
from serve_app.session import SessionOptions, drive
from tests.session.line import SERVED, House, Line, eventually

FORMATS = tuple(WIRE_RATES)
NEAR = 2
"""Steps of 16 bits by which a resampler's rounding may differ between one cut of a stream and another."""


@pytest.fixture(autouse=True)
def everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the samples are counted: none are left out for holding no speech (tests/test_speech_gate.py)."""
    monkeypatch.setattr("serve_app.speech_gate.LIKELY", 0.0)


class Tape:
    """Speech-to-text that keeps what each utterance was given, and answers as the fakes do."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._listening = house.listening
        self.utterances: dict[str, list[Pcm]] = {}
        self.over: list[str] = []
        self.dropped: list[str] = []
        house.engines = replace(house.engines, speech_to_text=self)

    async def warm(self) -> None: ...

    async def open(self, session_id: str) -> Ear:
        ear, send = (opened := await self._listening.open(session_id)), opened.send

        def kept(message: HearingMessage) -> None:
            match message:
                case Audio(name, pcm):
                    self.utterances.setdefault(name, []).append(pcm.copy())
                case End(name):
                    self.over.append(name)
                case Drop(name):
                    self.dropped.append(name)
            send(message)

        ear.send = kept  # type: ignore[method-assign]
        return ear

    def heard(self, item_id: str) -> Pcm:
        return np.concatenate(self.utterances[item_id])


@asynccontextmanager
async def session(form: str = "audio/pcm", **detection: object) -> AsyncIterator[tuple[Line, Tape]]:
    house = House()
    tape = Tape(house)
    async with house.session(eager=lambda: False) as line:
        line.sets(audio={"input": {"format": {"type": form}, "turn_detection": detection or None}})
        await line.gets("session.updated")
        yield line, tape


def noise(seconds: float, form: str, seed: int, faint: bool = False) -> Pcm:
    """At the rate of the format, through its coding."""
    level = 24 if faint else 9000
    samples = np.random.default_rng(seed).integers(-level, level, int(seconds * WIRE_RATES[form])).astype(np.int16)
    return audio.decode(audio.encode(samples, form), form)


def sends(line: Line, pcm: Pcm, form: str, sizes: Sequence[int]) -> None:
    """In messages of these many samples, again and again."""
    start, number = 0, 0
    while start < len(pcm):
        end = start + sizes[number % len(sizes)]
        encoded = base64.b64encode(audio.encode(pcm[start:end], form)).decode()
        line.says("input_audio_buffer.append", audio=encoded)
        start, number = end, number + 1


def resampled(pcm: Pcm, form: str) -> Pcm:
    resampler = LiveResampler(WIRE_RATES[form], HEARING_RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush()))


def same(one: Pcm, other: Pcm) -> bool:
    return len(one) == len(other) and bool(np.abs(one.astype(int) - other).max(initial=0) <= NEAR)


def place(heard: Pcm, whole: Pcm, near: int) -> int:
    """Where in the whole the stretch lies; times that clients are told are whole milliseconds."""
    found = [at for at in range(max(0, near - 32), near + 33) if same(heard, whole[at : at + len(heard)])]
    assert len(found) == 1, f"what was heard is no stretch of what was sent near sample {near}"
    return found[0]


SIZES = [(1,), (480,), (7, 4801, 333), (100_000,), (999_999,)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("sizes", SIZES[1:])
async def test_turns_hold_what_was_sent_whatever_the_messages(form: str, sizes: tuple[int, ...]) -> None:
    parts = [noise(s, form, n, faint) for n, (s, faint) in enumerate([(0.7, True), (1.1, False), (0.9, True), (0.8, False), (1.3, True)])]
    whole = np.concatenate(parts)
    async with session(form, type="server_vad", silence_duration_ms=500, create_response=False) as (line, tape):
        sends(line, whole, form, sizes)
        committed = [(await line.gets("input_audio_buffer.committed"))["item_id"] for _ in range(2)]
        started = {one["item_id"]: one["audio_start_ms"] for one in line.seen if one["type"].endswith("speech_started")}
        stopped = {one["item_id"]: one["audio_end_ms"] for one in line.seen if one["type"].endswith("speech_stopped")}
        sent, end = resampled(whole, form), 0
        for item_id in committed:
            heard = tape.heard(item_id)
            at = place(heard, sent, round(started[item_id] * HEARING_RATE / 1000))
            assert at >= end, "two turns share samples"
            end = at + len(heard)
            assert end == pytest.approx(stopped[item_id] * HEARING_RATE / 1000, abs=32)
        assert tape.over == committed and not tape.dropped


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("sizes", SIZES)
async def test_what_is_committed_by_hand_is_all_that_was_sent_since_the_last_commit(form: str, sizes: tuple[int, ...]) -> None:
    seconds = 0.15 if sizes == (1,) else 0.777
    async with session(form) as (line, tape):
        for turn in range(3):
            pcm = noise(seconds, form, turn)
            sends(line, pcm, form, sizes)
            line.says("input_audio_buffer.commit")
            item_id = (await line.gets("input_audio_buffer.committed"))["item_id"]
            assert same(tape.heard(item_id), resampled(pcm, form))


@pytest.mark.parametrize("form", FORMATS)
async def test_nothing_of_what_was_cleared_is_heard(form: str) -> None:
    async with session(form) as (line, tape):
        sends(line, noise(0.5031, form, 1), form, (777,))
        line.says("input_audio_buffer.clear")
        await line.gets("input_audio_buffer.cleared")
        pcm = noise(0.4567, form, 2)
        sends(line, pcm, form, (777,))
        line.says("input_audio_buffer.commit")
        assert same(tape.heard((await line.gets("input_audio_buffer.committed"))["item_id"]), resampled(pcm, form))


async def test_a_commit_that_is_refused_keeps_what_little_there_was() -> None:
    form, pcm = "audio/pcm", noise(0.6, "audio/pcm", 1)
    async with session() as (line, tape):
        sends(line, pcm[:600], form, (600,))
        line.says("input_audio_buffer.commit")
        assert (await line.gets("error"))["error"]["code"] == "input_audio_buffer_commit_empty"
        sends(line, pcm[600:], form, (4800,))
        line.says("input_audio_buffer.commit")
        heard = tape.heard((await line.gets("input_audio_buffer.committed"))["item_id"])
        assert len(heard) == len(resampled(pcm, form))


@pytest.mark.parametrize("by", ["commit", "clear"])
async def test_after_a_commit_or_a_clear_in_mid_speech_the_rest_is_another_utterance(by: str) -> None:
    form = "audio/pcm"
    first, rest = noise(1.03, form, 1), np.concatenate((noise(0.9, form, 2), noise(1.0, form, 3, faint=True)))
    async with session(type="server_vad", create_response=False) as (line, tape):
        sends(line, first, form, (999,))
        line.says(f"input_audio_buffer.{by}")
        await line.gets(f"input_audio_buffer.{'committed' if by == 'commit' else 'cleared'}")
        sends(line, rest, form, (999,))
        item_id = (await line.gets("input_audio_buffer.committed"))["item_id"]
        heard, sent = tape.heard(item_id), resampled(rest, form)
        assert len(tape.utterances) == 2
        place(heard, sent, 0)
        told = [one["type"].removeprefix("input_audio_buffer.") for one in line.seen if one["type"].startswith("input_audio_buffer.")]
        over = ["committed"] if by == "commit" else ["cleared"]
        assert told == ["speech_started", "speech_stopped", *over, "speech_started", "speech_stopped", "committed"]


@pytest.mark.parametrize("form", FORMATS)
async def test_a_change_of_format_in_mid_stream_loses_nothing(form: str) -> None:
    other = "audio/pcmu" if form == "audio/pcm" else "audio/pcm"
    async with session(form) as (line, tape):
        one, two = noise(0.5, form, 1), noise(0.5, other, 2)
        sends(line, one, form, (801,))
        line.sets(audio={"input": {"format": {"type": other}}})
        sends(line, two, other, (801,))
        line.says("input_audio_buffer.commit")
        heard = tape.heard((await line.gets("input_audio_buffer.committed"))["item_id"])
        assert same(heard, np.concatenate((resampled(one, form), resampled(two, other))))


@pytest.mark.parametrize("form", FORMATS)
async def test_audio_that_an_item_brings_is_heard_whole_in_messages_of_bounded_size(form: str) -> None:
    pcm = noise(31.4, form, 1)
    async with session(form) as (line, tape):
        content = [{"type": "input_audio", "audio": base64.b64encode(audio.encode(pcm, form)).decode()}]
        line.says("conversation.item.create", item={"id": "mine", "type": "message", "role": "user", "content": content})
        await eventually(lambda: tape.over, ["mine"])
        assert same(tape.heard("mine"), resampled(pcm, form))
        assert max(len(one) for one in tape.utterances["mine"]) <= 10 * HEARING_RATE


async def test_the_sound_of_an_item_that_was_brought_is_kept_on_its_tape_alone() -> None:
    house = House()
    async with house.session(kept_audio_bytes=0) as line:
        content = [{"type": "input_audio", "audio": base64.b64encode(bytes(48_000 * 20)).decode()}]
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": content})
        line.says("response.create")
        await line.gets("response.done")
        assert house.prompt()[-1] == ("user", "heard 20.00 seconds")
        kept = [len(one.brought) for one in gc.get_objects() if type(one) is Incoming]  # isinstance would wake proxies of other libraries
        assert kept and not any(kept)


async def test_ids_may_be_64_characters_of_any_script() -> None:
    name, house = "😀" * 64, House(["Hello."])
    async with house.session() as line:
        content = [{"type": "input_audio", "audio": base64.b64encode(bytes(48_000)).decode()}]
        line.says("conversation.item.create", item={"id": name, "type": "message", "role": "user", "content": content})
        line.says("response.create")
        await line.gets("response.done")
        assert house.prompt()[-1] == ("user", "Hello.")


@pytest.mark.parametrize("form", FORMATS)
def test_the_longest_message_is_resampled_in_blocks(form: str) -> None:
    encoded = audio.encode(noise(33.3, form, 1), form)
    blocks = list(Codec().heard(encoded, form))
    assert max(len(block) for block in blocks) <= 0.25 * HEARING_RATE
    assert same(np.concatenate(blocks), resampled(audio.decode(encoded, form), form)[: sum(map(len, blocks))])


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("how", ["appended", "brought"])
async def test_others_have_their_turns_while_a_long_message_is_taken(form: str, how: str) -> None:
    turns, seconds = 0, 60

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with session(form) as (line, _):
        encoded = base64.b64encode(bytes(seconds * WIRE_RATES[form] * audio.sample_bytes(form))).decode()
        other = asyncio.create_task(others())
        if how == "appended":
            line.says("input_audio_buffer.append", audio=encoded)
            line.says("input_audio_buffer.clear")
            await line.gets("input_audio_buffer.cleared")
        else:
            content = [{"type": "input_audio", "audio": encoded}]
            line.says("conversation.item.create", item={"type": "message", "role": "user", "content": content})
            await line.gets("conversation.item.added")
        assert turns >= 4 * seconds, "a message is taken in steps of a quarter of a second at most"
        other.cancel()


async def test_the_place_at_speech_to_text_is_given_back_when_a_session_cannot_begin() -> None:
    def broken(session_id: str) -> None:
        raise RuntimeError("no watcher")

    house = House()
    with pytest.raises(RuntimeError):
        await drive(Line(), house.engines, SessionOptions(SERVED, watch=broken))  # type: ignore[arg-type]
    await eventually(lambda: house.listening.sessions, 0)
