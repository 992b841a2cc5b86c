"""What a session of overhead.py says and hears: short tones with silence between them, and when each was over and answered."""

import asyncio
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deployments.engines.fake import FakeTurnDetector, FakeVoiceActivity
from load_tests.questions import FRAME_S, FRAME_SAMPLES, WIRE_RATE
from serve_app.codec import Codec
from serve_app.core.config import ServerVad
from serve_app.core.events import Event, SpeechStarted, SpeechStopped
from serve_app.echo import PlainMicrophone
from serve_app.engines import Hints
from serve_app.hearing import Hearing

SPEECH_FRAMES = 15
FIRST_AUDIO, CREATED, DONE, ERROR = (
    b'{"type":"%s"' % kind for kind in (b"response.output_audio.delta", b"response.created", b"response.done", b"error")
)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """A turn's length is no multiple of the pattern in which frames of 20 and of 32 ms meet, so that all their meetings come."""

    turn_frames: int
    warm: int
    """Turns that are not counted."""

    @property
    def turn_s(self) -> float:
        return self.turn_frames * FRAME_S


DENSE, TALK = Rhythm(89, 3), Rhythm(449, 1)
"""Much closer than in talk, so that one session has enough of them; and about as people talk, 9 s from one question to the next."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Of one turn: frames by number."""

    last_speech: int
    decides: int
    """With it the server knows that the turn is over."""


@dataclass(slots=True)
class Talk:
    """One session's share of a row."""

    first_audio_at: list[float] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sent_at: Sequence[float] = ()
    late_s: Sequence[float] = ()
    _awaiting: bool = False

    def heard(self, data: bytes, now: float) -> None:
        if data.startswith(CREATED):
            self._awaiting = True
        elif data.startswith(FIRST_AUDIO):
            if self._awaiting:
                self._awaiting = False
                self.first_audio_at.append(now)
        elif data.startswith(DONE):
            self.timings.append(json.loads(json.loads(data)["response"]["metadata"]["sparkvox.timings"]))
        elif data.startswith(ERROR):
            self.problems.append(data.decode())


@dataclass(frozen=True, slots=True)
class Waits:
    """Of the turns of one row, in ms."""

    overhead: list[float]
    total: list[float]
    frames: list[float]
    """What frames and blocks add to the silence."""
    missed: int


def sound(rhythm: Rhythm) -> tuple[bytes, ...]:
    """One turn: a tone, then silence. 16-bit frames for the wire."""
    at = np.arange(SPEECH_FRAMES * FRAME_SAMPLES) / WIRE_RATE
    pcm = np.zeros(rhythm.turn_frames * FRAME_SAMPLES, "<i2")
    pcm[: len(at)] = 8000 * np.sin(2 * np.pi * 220 * at)
    return tuple(frame.tobytes() for frame in pcm.reshape(-1, FRAME_SAMPLES))


def endings(frames: Sequence[bytes], length: int, silence_s: float) -> list[Ending]:
    """Where the turns of `length` frames end, by the code with which the server finds it."""
    return asyncio.run(_endings(frames, length, silence_s))


async def _endings(frames: Sequence[bytes], length: int, silence_s: float) -> list[Ending]:
    codec, found, number = Codec(), list[Ending](), 0

    def happened(event: Event) -> None:
        if isinstance(event, SpeechStarted):
            hearing.begin("utterance", event.start_s, Hints())
        elif isinstance(event, SpeechStopped):
            hearing.end("utterance")
            found.append(Ending(number - number % len(frames) + SPEECH_FRAMES - 1, number))

    hearing = Hearing(PlainMicrophone(FakeVoiceActivity()), FakeTurnDetector(), lambda message: None, happened, lambda: False)
    hearing.configure(ServerVad(silence_s=silence_s))
    for number in range(length):
        for pcm in codec.heard(frames[number % len(frames)], "audio/pcm"):
            await hearing.append(pcm)
    return found


def waits(talk: Talk, ends: Sequence[Ending], silence_s: float, warm: int) -> Waits:
    """The first `warm` are not counted. A turn is missed when no audio came before the next one was over."""
    overhead, total, frames, missed = [], [], [], 0
    over = [talk.sent_at[end.decides] for end in ends]
    for number, (end, decided) in enumerate(zip(ends, over, strict=True)):
        before = over[number + 1] if number + 1 < len(over) else float("inf")
        came = [at for at in talk.first_audio_at if decided <= at < before]
        if number < warm:
            continue
        if not came:
            missed += 1
            continue
        spoken = talk.sent_at[end.last_speech]
        overhead.append(1000 * (came[0] - decided))
        total.append(1000 * (came[0] - spoken))
        frames.append(1000 * (decided - spoken - silence_s))
    return Waits(overhead, total, frames, missed)


def stages(timings: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Medians of how long each stage of a turn took, as the server itself tells it, in ms. Stages may overlap."""
    took: dict[str, list[float]] = {}
    for name, start, end in (stage for one in timings for stage in one["stages"]):
        took.setdefault(name, []).append(end - start)
    return {name: round(statistics.median(values), 1) for name, values in took.items()}
