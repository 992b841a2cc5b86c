"""A small Realtime server for the page's and the client's tests: the order of events is the protocol's, the engines are not there.

It hears speech as loudness, always understands the next of `HEARD`, answers with the next of `ANSWERS` as a hum of the right length, and
lets itself be interrupted. Audio is sent at most `AHEAD_S` ahead of its playing, as the real server does.
"""

import asyncio
import base64
import json
import socket
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

RATE = 24_000
FRAME_SAMPLES = RATE // 50
LOUD = 400.0
END_SILENCE_FRAMES = 30
AHEAD_S = 1.0
HUM_S_PER_LETTER = 0.06
WEB = Path(__file__).parents[1] / "serve_app" / "web"

HEARD = ("What is the capital of France?", "And how many people live there?", "Thank you, that is enough.")
ANSWERS = (
    "The capital of France is Paris. It lies on the Seine, in the north of the country, and has been the capital since the tenth century.",
    "About two million people live in the city itself. Some twelve million live in and around it, which makes it one of the largest "
    "urban areas in Europe. The figures change a little every year.",
    "You are welcome.",
)
TIMINGS = (
    {"endpoint_ms": 412, "transcript_ms": 96, "first_token_ms": 118, "first_audio_ms": 274, "total_ms": 900},
    {"endpoint_ms": 655, "transcript_ms": 143, "first_token_ms": 131, "first_audio_ms": 391, "total_ms": 1320},
    {"endpoint_ms": 301, "transcript_ms": 71, "first_token_ms": 88, "first_audio_ms": 203, "total_ms": 663},
)

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'"

Event = dict[str, Any]


def new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:16]}"


def hum(letters: int) -> bytes:
    t = np.arange(int(letters * HUM_S_PER_LETTER * RATE)) / RATE
    return (6000 * np.sin(2 * np.pi * 150 * t) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype("<i2").tobytes()


@dataclass
class Loudness:
    """Speech by loudness, in audio time."""

    rest: bytes = b""
    ms: int = 0
    speaking: bool = False
    silent_frames: int = 0

    def hear(self, pcm: bytes) -> Iterator[str]:
        self.rest += pcm
        while len(self.rest) >= 2 * FRAME_SAMPLES:
            frame = np.frombuffer(self.rest[: 2 * FRAME_SAMPLES], "<i2").astype(np.float32)
            self.rest = self.rest[2 * FRAME_SAMPLES :]
            self.ms += 20
            yield from self._step(float(np.sqrt(np.mean(frame**2))) > LOUD)

    def _step(self, loud: bool) -> Iterator[str]:
        self.silent_frames = 0 if loud else self.silent_frames + 1
        if loud and not self.speaking:
            self.speaking = True
            yield "started"
        elif self.speaking and self.silent_frames >= END_SILENCE_FRAMES:
            self.speaking = False
            yield "stopped"


@dataclass
class Answer:
    """A response while it is being made."""

    response_id: str
    item_id: str
    metadata: dict[str, str] | None
    text: str = ""
    audio_open: bool = False

    def where(self) -> Event:
        return {"response_id": self.response_id, "item_id": self.item_id, "output_index": 0, "content_index": 0}

    def item(self, status: str, *, with_content: bool) -> Event:
        content = [{"type": "output_audio", "transcript": self.text}] if with_content else []
        return {"id": self.item_id, "object": "realtime.item", "type": "message", "role": "assistant", "status": status, "content": content}

    def response(self, status: str, output: list[Event], details: Event | None = None) -> Event:
        return {
            "id": self.response_id,
            "object": "realtime.response",
            "status": status,
            "status_details": details,
            "output": output,
            "metadata": self.metadata,
            "output_modalities": ["audio"],
            "usage": None,
        }


@dataclass
class StubSession:
    socket: WebSocket
    asked_timings: bool
    loudness: Loudness = field(default_factory=Loudness)
    turns: Iterator[int] = field(default_factory=count)
    user_item_id: str = ""
    last_item_id: str | None = None
    answer: Answer | None = None
    answering: asyncio.Task[None] | None = None
    settings: Event = field(default_factory=lambda: {"type": "realtime", "object": "realtime.session", "id": new_id("sess")})

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_text(json.dumps({"type": kind, "event_id": new_id("event"), **fields}))

    async def run(self) -> None:
        await self.send("session.created", session=self.settings)
        try:
            while True:
                await self.receive(json.loads(await self.socket.receive_text()))
        except WebSocketDisconnect:
            if self.answering:
                self.answering.cancel()

    async def receive(self, event: Event) -> None:
        match event["type"]:
            case "session.update":
                self.settings |= event["session"]
                await self.send("session.updated", session=self.settings)
            case "input_audio_buffer.append":
                for change in self.loudness.hear(base64.b64decode(event["audio"])):
                    await (self.speech_started() if change == "started" else self.speech_stopped())
            case "conversation.item.create":
                await self.add_item(event["item"] | {"id": new_id("item"), "object": "realtime.item", "status": "completed"})
            case "response.create":
                self.start_answer(next(self.turns) % len(ANSWERS), spoken=False)
            case "response.cancel":
                await self.stop_answer("client_cancelled")
            case "conversation.item.truncate":
                where = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
                await self.send("conversation.item.truncated", **where)
            case kind:
                error = {"type": "invalid_request_error", "code": "invalid_event", "message": f"There is no event {kind}.", "param": None}
                await self.send("error", error=error | {"event_id": event.get("event_id")})

    async def add_item(self, item: Event) -> None:
        await self.send("conversation.item.added", item=item, previous_item_id=self.last_item_id)
        await self.send("conversation.item.done", item=item, previous_item_id=self.last_item_id)
        self.last_item_id = item["id"]

    async def speech_started(self) -> None:
        self.user_item_id = new_id("item")
        await self.send("input_audio_buffer.speech_started", item_id=self.user_item_id, audio_start_ms=self.loudness.ms)
        await self.stop_answer("turn_detected")

    async def speech_stopped(self) -> None:
        item_id = self.user_item_id
        await self.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=self.loudness.ms)
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=self.last_item_id)
        content = [{"type": "input_audio", "transcript": None}]
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "user", "status": "completed", "content": content}
        await self.add_item(item)
        self.start_answer(next(self.turns) % len(ANSWERS), spoken=True)

    def start_answer(self, turn: int, *, spoken: bool) -> None:
        timings = TIMINGS[turn] if spoken else TIMINGS[turn] | {"endpoint_ms": None, "transcript_ms": None}
        metadata = {"sparkvox.timings": json.dumps(timings)} if self.asked_timings else None
        self.answer = Answer(new_id("resp"), new_id("item"), metadata)
        self.answering = asyncio.create_task(self.make_answer(self.answer, turn, self.user_item_id if spoken else None))

    async def make_answer(self, answer: Answer, turn: int, heard_item_id: str | None) -> None:
        await self.send("response.created", response=answer.response("in_progress", []))
        item = answer.item("in_progress", with_content=False)
        await self.send("response.output_item.added", response_id=answer.response_id, output_index=0, item=item)
        await self.send("conversation.item.added", item=item, previous_item_id=self.last_item_id)
        await self.send("response.content_part.added", **answer.where(), part={"type": "audio", "transcript": ""})
        answer.audio_open = True
        self.last_item_id = answer.item_id
        if heard_item_id:
            await self.transcribe(heard_item_id, HEARD[turn])
        began = time.monotonic()
        sent_s = 0.0
        async for clause in self.clauses(answer, ANSWERS[turn]):
            audio = hum(len(clause))
            for at in range(0, len(audio), 4800):
                piece = audio[at : at + 4800]
                await self.send("response.output_audio.delta", **answer.where(), delta=base64.b64encode(piece).decode())
                sent_s += len(piece) / 2 / RATE
                await asyncio.sleep(max(0.0, sent_s - AHEAD_S - (time.monotonic() - began)))
        await self.finish(answer, "completed", None)

    async def transcribe(self, item_id: str, text: str) -> None:
        kind = "conversation.item.input_audio_transcription"
        await self.send(f"{kind}.delta", item_id=item_id, content_index=0, delta=text)
        usage = {"type": "duration", "seconds": 1.0}
        await self.send(f"{kind}.completed", item_id=item_id, content_index=0, transcript=text, usage=usage)

    async def clauses(self, answer: Answer, text: str) -> AsyncIterator[str]:
        for clause in text.replace(". ", ".|").replace(", ", ",|").split("|"):
            delta = clause if clause.endswith(text[-12:]) else f"{clause} "
            answer.text += delta
            await self.send("response.output_audio_transcript.delta", **answer.where(), delta=delta)
            yield clause

    async def stop_answer(self, reason: str) -> None:
        if not self.answering or not self.answer:
            return
        self.answering.cancel()
        await asyncio.gather(self.answering, return_exceptions=True)
        if self.answer:
            await self.finish(self.answer, "cancelled", {"type": "cancelled", "reason": reason})

    async def finish(self, answer: Answer, status: str, details: Event | None) -> None:
        self.answer = None
        if not answer.audio_open:
            await self.send("response.done", response=answer.response(status, [], details))
            return
        item = answer.item("completed" if status == "completed" else "incomplete", with_content=True)
        await self.send("response.output_audio.done", **answer.where())
        await self.send("response.output_audio_transcript.done", **answer.where(), transcript=answer.text)
        await self.send("response.content_part.done", **answer.where(), part={"type": "audio", "transcript": answer.text})
        await self.send("conversation.item.done", item=item, previous_item_id=None)
        await self.send("response.output_item.done", response_id=answer.response_id, output_index=0, item=item)
        await self.send("response.done", response=answer.response(status, [item], details))
        await self.send("rate_limits.updated", rate_limits=[])


async def realtime(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="realtime" if "realtime" in websocket.scope["subprotocols"] else None)
    await StubSession(websocket, asked_timings=websocket.query_params.get("sparkvox") == "timings").run()


class WithPolicy:
    """Adds the strict content security policy that the page must live with."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self.app(scope, receive, send_with_policy)


app = Starlette(
    routes=[WebSocketRoute("/v1/realtime", realtime), Mount("/", StaticFiles(directory=WEB, html=True))],
    middleware=[Middleware(WithPolicy)],
)


@contextmanager
def serving() -> Iterator[str]:
    """A stub on a free port, in a thread of its own; gives its http address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join()
