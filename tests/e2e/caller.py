"""The official `openai` client, unchanged, as somebody who speaks: real-time frames of a WAV, then silence, as a microphone gives it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from serve_app.audio import Resampler
from tests.conformance.invariants import Invariants

AUDIO = Path(__file__).parent.parent / "audio"
RATE, FRAME = 24_000, 480
PATIENCE_S = 300
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
Event = dict[str, Any]


def recording(name: str) -> np.ndarray:
    """Samples at 24 kHz, int16."""
    pcm, rate = soundfile.read(AUDIO / name, dtype="int16")
    resampler = Resampler(rate, RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush()))


class Loudspeaker:
    """Plays what comes, and is heard by the microphone."""

    def __init__(self, lag_s: float, level_db: float) -> None:
        self._gain = 10 ** (level_db / 20)
        self._coming = np.zeros(0, np.int16)
        self._on_its_way = np.zeros(int(lag_s * RATE))
        self.quiet = asyncio.Event()
        """Nothing is left to play or to hear."""

    def gets(self, delta: str) -> None:
        self._coming = np.concatenate((self._coming, np.frombuffer(base64.b64decode(delta), "<i2")))
        self.quiet.clear()

    def heard(self) -> np.ndarray:
        """During the next frame."""
        played, self._coming = self._coming[:FRAME], self._coming[FRAME:]
        played = np.pad(played, (0, FRAME - len(played))) * self._gain
        self._on_its_way = np.concatenate((self._on_its_way, played))
        heard, self._on_its_way = self._on_its_way[:FRAME], self._on_its_way[FRAME:]
        if not (len(self._coming) or self._on_its_way.any() or heard.any()):
            self.quiet.set()
        return heard


class Caller:
    def __init__(self, connection: Any, loudspeaker: Loudspeaker | None = None) -> None:
        """Without a loudspeaker: a headset."""
        self.connection = connection
        self.loudspeaker = loudspeaker
        self.events: list[Event] = []
        self.invariants = Invariants()
        self._to_say: asyncio.Queue[np.ndarray] = asyncio.Queue()
        self._said: list[np.ndarray] = []
        self._news = asyncio.Condition()
        self._read = 0
        self._lost: Exception | None = None

    def says(self, name: str) -> None:
        """The microphone never stops: before and after there is silence."""
        self._said.append(recording(name))

    def hums(self, seconds: float) -> None:
        """A tone, which engines without a model take for speech."""
        at = np.arange(int(seconds * RATE)) / RATE
        self._said.append((9000 * np.sin(2 * np.pi * 300 * at)).astype(np.int16))

    def is_silent(self, seconds: float) -> None:
        """For at least so long before what is said next."""
        self._said.append(np.zeros(int(seconds * RATE), np.int16))

    async def gets(self, kind: str, after: Event | None = None) -> Event:
        """The next event of that kind, or the first one after an event: in which order events of two kinds come may be open."""
        if after is not None:
            self._read = self.events.index(after) + 1

        async def found() -> Event:
            async with self._news:
                while True:
                    while self._read < len(self.events):
                        self._read += 1
                        if self.events[self._read - 1]["type"] == kind:
                            return self.events[self._read - 1]
                    if self._lost is not None:
                        raise self._lost
                    await self._news.wait()

        async with asyncio.timeout(PATIENCE_S):
            return await found()

    async def hear(self) -> None:
        try:
            while True:
                await self._see(json.loads(await self.connection.recv_bytes()))
        except Exception as error:
            self._lost = error
            async with self._news:
                self._news.notify_all()

    async def _see(self, event: Event) -> None:
        SERVER_EVENT.validate_python(event, strict=True)
        self.invariants.see(event)
        if self.loudspeaker is not None and event["type"] == "response.output_audio.delta":
            self.loudspeaker.gets(event["delta"])
        async with self._news:
            self.events.append(event)
            self._news.notify_all()

    async def microphone(self) -> None:
        """20 ms at a time, at the pace of a real one."""
        clock = asyncio.get_running_loop().time
        due, rest = clock(), np.zeros(0, np.int16)
        while True:
            if not len(rest) and self._said:
                rest = self._said.pop(0)
            frame, rest = rest[:FRAME], rest[FRAME:]
            frame = np.concatenate((frame, np.zeros(FRAME - len(frame), np.int16)))
            if self.loudspeaker is not None:
                frame = np.clip(frame + self.loudspeaker.heard(), -32768, 32767).astype(np.int16)
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(frame.tobytes()).decode())
            due += FRAME / RATE
            await asyncio.sleep(max(0.0, due - clock()))

    def audio_of(self, response_id: str) -> np.ndarray:
        deltas = [one for one in self.events if one["type"] == "response.output_audio.delta" and one["response_id"] == response_id]
        return np.frombuffer(b"".join(base64.b64decode(one["delta"]) for one in deltas), "<i2")


@asynccontextmanager
async def calling(url: str, loudspeaker: Loudspeaker | None = None, **session: Any) -> AsyncIterator[Caller]:
    """A session with server_vad and transcription. Leaving it hangs up."""
    client = AsyncOpenAI(api_key="none", base_url=f"{url}/v1")
    async with client.realtime.connect(model="gpt-realtime") as connection:
        caller = Caller(connection, loudspeaker)
        hearing = asyncio.create_task(caller.hear())
        speaking: asyncio.Task[None] | None = None
        try:
            await caller.gets("session.created")
            audio = {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "gpt-4o-mini-transcribe"}}}
            await connection.session.update(session={"type": "realtime", "audio": audio, **session})
            await caller.gets("session.updated")
            speaking = asyncio.create_task(caller.microphone())
            yield caller
        finally:
            for task in (hearing, speaking):
                if task is not None:
                    task.cancel()
            await asyncio.gather(hearing, *([speaking] if speaking else []), return_exceptions=True)
