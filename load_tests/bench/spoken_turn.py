"""One spoken turn with any voice agent that talks the Realtime protocol: from the last sample of speech to the first one of the answer.

The microphone is open all the time and gives a frame each 20 ms. What comes is played as a loudspeaker would: at once, or after what came
before. The answer is heard from the first sample on that is louder than silence.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from load_tests.questions import FRAME_S, QUIET, WIRE_RATE, Question
from serve_app.audio import Resampler
from serve_app.engines import Pcm

LEAD_FRAMES = 25
"""Silence before the question."""
PATIENCE_S = 60.0
"""Only against hanging."""


@dataclass(frozen=True, slots=True)
class Side:
    name: str
    url: str
    rate: int
    """Of the samples that it is given; it gives `WIRE_RATE`."""
    session: Mapping[str, Any] | None = None
    """What it is set to."""


@dataclass(slots=True)
class Turn:
    over_at: float | None = None
    """When the frame with the last sample of speech was sent."""
    first_audio_at: float | None = None
    audible_at: float | None = None
    heard: str = ""
    said: str = ""
    problem: str | None = None
    timings: Mapping[str, Any] | None = None
    plays_until: float = field(default=0.0, repr=False)

    @property
    def wait_s(self) -> float | None:
        return None if self.audible_at is None or self.over_at is None else self.audible_at - self.over_at

    @property
    def first_audio_s(self) -> float | None:
        return None if self.first_audio_at is None or self.over_at is None else self.first_audio_at - self.over_at

    def play(self, pcm: Pcm, now: float) -> None:
        begins = max(now, self.plays_until)
        self.plays_until = begins + len(pcm) / WIRE_RATE
        if self.first_audio_at is None:
            self.first_audio_at = now
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > QUIET)
        if self.audible_at is None and len(loud):
            self.audible_at = begins + int(loud[0]) / WIRE_RATE


async def spoken_turn(side: Side, question: Question) -> Turn:
    """A session of its own. `problem` says why there is no figure."""
    turn = Turn()
    try:
        async with asyncio.timeout(PATIENCE_S), connect(side.url, max_size=None, proxy=None, compression=None) as socket:
            await _created(socket)
            if side.session is not None:
                await socket.send(json.dumps({"type": "session.update", "session": side.session}))
            async with _microphone(socket, side.rate, question, turn):
                await _answered(socket, turn)
    except TimeoutError:
        turn.problem = "no answer"
    if turn.problem is None and (turn.wait_s is None or turn.wait_s <= 0):
        turn.problem = "answered before the question was over" if turn.audible_at is not None else "no sound"
    return turn


async def _created(socket: ClientConnection) -> None:
    async for message in socket:
        if json.loads(message)["type"] == "session.created":
            return


async def _answered(socket: ClientConnection, turn: Turn) -> None:
    async for message in socket:
        now = time.perf_counter()
        event = json.loads(message)
        match event["type"]:
            case "response.output_audio.delta":
                turn.play(np.frombuffer(base64.b64decode(event["delta"]), "<i2"), now)
            case "conversation.item.input_audio_transcription.completed":
                turn.heard = f"{turn.heard} {event['transcript']}".strip()
            case "response.done" | "error":
                _done(event, turn)
                return


def _done(event: Mapping[str, Any], turn: Turn) -> None:
    if event["type"] == "error":
        turn.problem = str(event["error"])
    elif "response" in event:
        response = event["response"]
        turn.said = " ".join(part["transcript"] for item in response["output"] for part in item.get("content", ()) if "transcript" in part)
        turn.timings = json.loads((response["metadata"] or {}).get("sparkvox.timings", "null"))
        if response["status"] == "failed":
            turn.problem = str(response["status_details"])
    else:
        turn.heard, turn.said = event["heard"], event["said"]


# --- the microphone ---------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _microphone(socket: ClientConnection, rate: int, question: Question, turn: Turn) -> AsyncIterator[None]:
    speaking = asyncio.create_task(_speak(socket, frames_at(rate, question.frames), question.last_speech, turn))
    try:
        yield
    finally:
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


async def _speak(socket: ClientConnection, frames: Sequence[bytes], last: int, turn: Turn) -> None:
    silence = bytes(len(frames[0]))
    began, number = time.perf_counter(), 0
    while True:
        await asyncio.sleep(max(0.0, began + number * FRAME_S - time.perf_counter()))
        spoken = number - LEAD_FRAMES
        frame = frames[spoken] if 0 <= spoken < len(frames) else silence
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame).decode()}))
        if spoken == last:
            turn.over_at = time.perf_counter()
        number += 1


def frames_at(rate: int, frames: Sequence[bytes]) -> Sequence[bytes]:
    """The frames of `WIRE_RATE` at another one."""
    if rate == WIRE_RATE:
        return frames
    resampler, samples = Resampler(WIRE_RATE, rate), round(rate * FRAME_S)
    pcm = np.concatenate((resampler.push(np.frombuffer(b"".join(frames), "<i2")), resampler.flush()))
    padded = np.pad(pcm, (0, -len(pcm) % samples)).astype("<i2")
    return [frame.tobytes() for frame in padded.reshape(-1, samples)]
