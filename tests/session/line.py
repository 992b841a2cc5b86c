"""Both ends of a session in a test: a client that types its events, and a transport without a network. Every message of the server is
held against the protocol's types and invariants as it comes."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from deployments.engines.fake import FakeLanguageModel, FakeRecogniser, FakeTextToSpeech, FakeTurnDetector, FakeVoiceActivity
from serve_app.connection import Disconnected
from serve_app.engines import Engines
from serve_app.listening import Listening
from serve_app.realtime.session_object import Served
from serve_app.session import SessionOptions, drive
from tests.conformance.invariants import Invariants

PATIENCE_S = 20.0
"""Only to fail instead of hanging; nothing is measured by it."""
WIRE_RATE = 24_000
SERVER_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
SERVED = Served("small", "ear", "af_heart", ("af_heart", "af_bella"), "Be brief.")
Event = dict[str, Any]


class Line:
    """The transport, and the client at its other end."""

    def __init__(self) -> None:
        self.seen: list[Event] = []
        self.invariants = Invariants()
        self.closed: tuple[int, str] | None = None
        self._to_server: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._news = asyncio.Condition()
        self._read = 0

    # --- what the server uses -----------------------------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        raw = await self._to_server.get()
        if raw is None:
            raise Disconnected("hung up")
        return raw

    async def send(self, text: str) -> None:
        event = json.loads(text)
        SERVER_EVENT.validate_python(event, strict=True)
        self.invariants.see(event)
        async with self._news:
            self.seen.append(event)
            self._news.notify_all()

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    # --- what the client does -----------------------------------------------------------------------------------------------------------

    def raw(self, text: str | bytes) -> None:
        self._to_server.put_nowait(text)

    def says(self, kind: str, **fields: Any) -> None:
        self.raw(json.dumps({"type": kind, **fields}))

    def sets(self, **session: Any) -> None:
        self.says("session.update", session={"type": "realtime", **session})

    def unread(self) -> int:
        """Messages that the server has not taken yet."""
        return self._to_server.qsize()

    def hangs_up(self) -> None:
        self._to_server.put_nowait(None)

    def speaks(self, seconds: float, silence_s: float = 0.0) -> None:
        """A tone, which the fake voice activity takes for speech, then silence; in frames of 40 ms."""
        at = np.arange(int(seconds * WIRE_RATE)) / WIRE_RATE
        tone = (9000 * np.sin(2 * np.pi * 300 * at)).astype("<i2")
        self.sends_audio(np.concatenate((tone, np.zeros(int(silence_s * WIRE_RATE), "<i2"))).tobytes())

    def sends_audio(self, audio: bytes, frame_bytes: int = 1920) -> None:
        for start in range(0, len(audio), frame_bytes):
            self.says("input_audio_buffer.append", audio=base64.b64encode(audio[start : start + frame_bytes]).decode())

    async def gets(self, kind: str) -> Event:
        """The next message of that type; what comes before it is passed over."""

        async def found() -> Event:
            async with self._news:
                while True:
                    while self._read < len(self.seen):
                        self._read += 1
                        if self.seen[self._read - 1]["type"] == kind:
                            return self.seen[self._read - 1]
                    await self._news.wait()

        try:
            return await asyncio.wait_for(found(), PATIENCE_S)
        except TimeoutError:
            raise AssertionError(f"no {kind}; there were {[one['type'] for one in self.seen]}") from None

    def types(self, since: int = 0) -> list[str]:
        """Of all messages, repeated deltas once."""
        names: list[str] = []
        for event in self.seen[since:]:
            if not names or names[-1] != event["type"]:
                names.append(event["type"])
        return names

    def audio_bytes(self) -> int:
        return sum(len(base64.b64decode(one["delta"])) for one in self.seen if one["type"] == "response.output_audio.delta")


class House:
    """Fakes of all engines, and the sessions that use them."""

    def __init__(self, texts: Any = (), replies: Any = (), finished: float = 1.0) -> None:
        self.recogniser = FakeRecogniser(texts)
        self.listening = Listening(self.recogniser)
        self.model = FakeLanguageModel(replies)
        self.voice = FakeTextToSpeech(s_per_character=0.01)
        self.turns = FakeTurnDetector(finished)
        self.engines = Engines(FakeVoiceActivity(), self.turns, self.listening, self.model, self.voice)

    @asynccontextmanager
    async def session(self, line: Line | None = None, **options: Any) -> AsyncIterator[Line]:
        """Leaving it hangs up, and asserts that nothing is left behind."""
        line = line or Line()
        driving = asyncio.create_task(drive(line, self.engines, SessionOptions(SERVED, **options)))
        try:
            await line.gets("session.created")
            yield line
        finally:
            line.hangs_up()
            await asyncio.wait_for(driving, PATIENCE_S)
        assert (self.model.live, self.voice.live) == (0, 0), "work goes on after the session"

    def prompt(self, number: int = -1) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.model.prompts[number].messages]


async def a_spoken_turn(line: Line, seconds: float = 1.0) -> None:
    line.speaks(seconds, silence_s=0.8)
    await line.gets("response.done")


async def eventually(what: Callable[[], Any], expected: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while what() != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
