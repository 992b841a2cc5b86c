"""`sparkvox talk`: speak WAV files, or through the microphone, to a server and hear what it says."""

import argparse
import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from serve_app.client import DEFAULT_URL, RealtimeClient, connect, spoken_session
from serve_app.client_speaker import WIRE_RATE
from serve_app.client_turns import Dialogue, Timings, Turn
from serve_app.engines import Pcm
from serve_app.errors import SparkvoxError

FRAME_S = 0.02
FRAME_SAMPLES = int(WIRE_RATE * FRAME_S)
BETWEEN_ANSWERS_S = 0.5


class RecordingError(SparkvoxError):
    """A sound file cannot be used."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wavs", metavar="WAV", nargs="*", type=Path, help="what to say, a turn each; without any, the microphone")
    parser.add_argument("--out", type=Path, metavar="WAV", help="where to write the answers, as far as they were heard")
    parser.add_argument("--url", default=DEFAULT_URL, help="the server's Realtime endpoint (default: %(default)s)")
    parser.add_argument("--key", default=os.environ.get("SPARKVOX_API_KEY"), help="an API key (default: SPARKVOX_API_KEY)")
    parser.add_argument("--voice", help="the voice that answers, like af_heart")
    parser.add_argument("--instructions", help="what the assistant is told about itself")
    parser.add_argument(
        "--interrupt-after", type=float, metavar="S", help="speak the next WAV when so many seconds of an answer have been heard"
    )


def run(args: argparse.Namespace) -> int:
    """The exit code: 0, or 1 after one sentence on what went wrong."""
    try:
        asyncio.run(_talk_by_microphone(args) if not args.wavs else _talk_by_files(args))
    except SparkvoxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


# --- files ------------------------------------------------------------------------------------------------------------------------------


class RecordedVoice:
    """A microphone in front of which recordings are played: frames at the pace of real time, silence between the recordings."""

    def __init__(self) -> None:
        self._clips: deque[Pcm] = deque()
        self._said = asyncio.Event()
        self._said.set()

    async def speak(self, pcm: Pcm) -> None:
        """Returns when the last sample has been sent."""
        whole_frames = -(-len(pcm) // FRAME_SAMPLES)
        padded = np.zeros(whole_frames * FRAME_SAMPLES, np.int16)
        padded[: len(pcm)] = pcm
        self._clips.extend(np.split(padded, whole_frames) if whole_frames else [])
        self._said.clear()
        await self._said.wait()

    async def frames(self) -> AsyncIterator[Pcm]:
        due = time.monotonic()
        silence = np.zeros(FRAME_SAMPLES, np.int16)
        while True:
            yield self._clips.popleft() if self._clips else silence
            if not self._clips:
                self._said.set()
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))


def read_recording(path: Path) -> Pcm:
    """Any rate and any number of channels that soundfile reads, as mono at `WIRE_RATE`."""
    import soundfile
    import soxr

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise RecordingError(f"{path} cannot be read as sound: {error}") from error
    resampled = soxr.resample(samples.mean(axis=1), rate, WIRE_RATE)
    return (np.clip(resampled, -1, 1) * 32767).astype(np.int16)


async def _while_streaming(client: RealtimeClient, frames: AsyncIterator[Pcm], work: Coroutine[Any, Any, None]) -> None:
    """Until the work is done, or either fails."""
    tasks = {asyncio.create_task(client.stream(frames)), asyncio.create_task(work)}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


async def _talk_by_files(args: argparse.Namespace) -> None:
    clips = [read_recording(path) for path in args.wavs]
    voice = RecordedVoice()
    session = spoken_session(voice=args.voice, instructions=args.instructions)
    async with connect(args.url, key=args.key, session=session) as client:
        await _while_streaming(client, voice.frames(), _converse(client, voice, clips, args.interrupt_after))
    _show_table(client.dialogue.turns)
    if args.out:
        _write_answers(args.out, client.dialogue.turns)


async def _converse(client: RealtimeClient, voice: RecordedVoice, clips: list[Pcm], interrupt_after_s: float | None) -> None:
    dialogue = client.dialogue
    shown = 0
    for index, clip in enumerate(clips):
        before = len(dialogue.turns)
        is_last = index == len(clips) - 1
        await voice.speak(clip)
        if interrupt_after_s is not None and not is_last:
            await _hear_for(client, before, interrupt_after_s)
            continue
        await client.until(partial(_is_answered, dialogue, before), "the answer to what was said")
        shown = _show_turns(dialogue.turns, shown)
        if not is_last:
            await asyncio.sleep(dialogue.speaker.left_s(time.monotonic()))


def _is_answered(dialogue: Dialogue, before: int) -> bool:
    return len(dialogue.turns) > before and dialogue.is_settled


async def _hear_for(client: RealtimeClient, before: int, seconds: float) -> None:
    await client.until(lambda: any(len(turn.pcm) for turn in client.dialogue.turns[before:]), "the first sound of the answer")
    await asyncio.sleep(seconds)


def _write_answers(path: Path, turns: tuple[Turn, ...]) -> None:
    import soundfile

    pause = np.zeros(int(BETWEEN_ANSWERS_S * WIRE_RATE), np.int16)
    pieces = [piece for turn in turns for piece in (turn.heard, pause)]
    soundfile.write(path, np.concatenate([np.empty(0, np.int16), *pieces[:-1]]), WIRE_RATE)


# --- microphone -------------------------------------------------------------------------------------------------------------------------


async def _talk_by_microphone(args: argparse.Namespace) -> None:
    from serve_app.talk_device import DeviceSpeaker, microphone

    session = spoken_session(voice=args.voice, instructions=args.instructions, turn_detection={"type": "semantic_vad", "eagerness": "auto"})
    with DeviceSpeaker() as speaker:
        async with connect(args.url, key=args.key, session=session, speaker=speaker) as client:
            sys.stdout.write("Speak; ctrl-c ends. Use headphones, or the answer interrupts itself.\n")
            try:
                await _while_streaming(client, microphone(FRAME_SAMPLES), _show_as_they_come(client))
            finally:
                _show_table(client.dialogue.turns)


async def _show_as_they_come(client: RealtimeClient) -> None:
    while True:
        _show_turns((await client.next_turn(patience_s=None),), 0)


# --- what is printed --------------------------------------------------------------------------------------------------------------------


def _show_turns(turns: tuple[Turn, ...], shown: int) -> int:
    for turn in turns[shown:]:
        cut = "" if turn.heard_samples is None else f" [interrupted after {turn.heard_samples / WIRE_RATE:.1f} s]"
        sys.stdout.write(f"You:       {turn.user_text}\nSparkvox:  {turn.answer_text}{cut}\n")
        if turn.problem:
            sys.stdout.write(f"           {turn.problem}\n")
    sys.stdout.flush()
    return len(turns)


COLUMNS = ("turn", "endpoint", "transcript", "first token", "first audio", "total", "answer")


def _show_table(turns: tuple[Turn, ...]) -> None:
    if not turns:
        return
    rows = [COLUMNS, *(_row(number, turn) for number, turn in enumerate(turns, 1))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    sys.stdout.write("\nms, each step from the end of the one before:\n" + "\n".join(lines) + "\n")


def _row(number: int, turn: Turn) -> tuple[str, ...]:
    timings = turn.timings or Timings()
    steps = (timings.endpoint_ms, timings.transcript_ms, timings.first_token_ms, timings.first_audio_ms, timings.total_ms)
    return (str(number), *("-" if ms is None else f"{ms:.0f}" for ms in steps), f"{len(turn.heard) / WIRE_RATE:.1f} s")
