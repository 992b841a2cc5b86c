"""A small client of `/v1/realtime` for `sparkvox talk` and for tests: a websocket, a `Dialogue` following it, errors that say what to do.

async with connect("ws://127.0.0.1:8000/v1/realtime", session=spoken_session()) as client:
    await client.say("What is the capital of France?")
    turn = await client.next_turn()
"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from serve_app.client_speaker import Speaker, VirtualSpeaker
from serve_app.client_turns import Dialogue, Event, Turn
from serve_app.engines import Pcm
from serve_app.errors import SparkvoxError

DEFAULT_URL = "ws://127.0.0.1:8000/v1/realtime"

LARGEST_MESSAGE = 4 * 1024 * 1024

HARMLESS = {"response_cancel_not_active"}
"""Codes of errors that only say that there was nothing left to do."""

FULL = "The server has no room for another conversation: try again in a moment."
BAD_KEY = "The server refused the key: give the right one with --key or in SPARKVOX_API_KEY."
NOT_LET_IN = "The server does not let this machine in: run the client where the server runs, or let it answer beyond loopback."


class ClientError(SparkvoxError):
    """Base of what can go wrong between a client and a server."""


class ServerUnreachable(ClientError):
    """Nothing that speaks the protocol answers at the address."""


class KeyRefused(ClientError):
    """The server wants another key."""


class ServerBusy(ClientError):
    """The server takes no more conversations now."""


class ConnectionLost(ClientError):
    """The conversation ended from the other side."""


class ServerRefused(ClientError):
    """The server answered a client event with an error. Arguments: its message, its code."""

    def __str__(self) -> str:
        return f"The server refused a request: {self.args[0]}"


class NoAnswer(ClientError):
    """What was waited for did not come."""


def spoken_session(*, voice: str | None = None, instructions: str | None = None, turn_detection: Event | None = None) -> Event:
    """A session object for speech in, speech out and transcripts, under server_vad when nothing else is said."""
    audio: Event = {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "transcription": {"model": "whisper-1"},
            "turn_detection": turn_detection or {"type": "server_vad", "create_response": True, "interrupt_response": True},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24_000}},
    }
    if voice is not None:
        audio["output"]["voice"] = voice
    session: Event = {"type": "realtime", "output_modalities": ["audio"], "audio": audio}
    return session if instructions is None else session | {"instructions": instructions}


def realtime_address(url: str) -> str:
    """A server's address, or its endpoint's, as the websocket address that also asks for timings."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = "/v1/realtime" if parts.path in ("", "/") else parts.path
    query = "&".join(filter(None, [parts.query, "sparkvox=timings"]))
    return urlunsplit(parts._replace(scheme=scheme, path=path, query=query))


class RealtimeClient:
    """Made by `connect`."""

    def __init__(self, websocket: ClientConnection, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.events: list[Event] = []
        """Every server event, in order."""
        self._websocket = websocket
        self._changed = asyncio.Condition()
        self._failure: ClientError | None = None
        self._given = 0

    async def send(self, event: Event) -> None:
        with suppress(ConnectionClosed):  # the receiving side knows why, and says it
            await self._websocket.send(orjson.dumps(event).decode())

    async def stream(self, frames: AsyncIterator[Pcm]) -> None:
        """Sends frames at `WIRE_RATE` as they come."""
        async for frame in frames:
            await self.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame.astype("<i2").tobytes()).decode()})

    async def say(self, text: str) -> None:
        """A typed turn."""
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.send({"type": "conversation.item.create", "item": item})
        await self.send({"type": "response.create"})

    async def next_turn(self, patience_s: float | None = 60.0) -> Turn:
        """The next finished turn that was not given yet."""
        await self.until(lambda: len(self.dialogue.finished) > self._given, "an answer", patience_s)
        self._given += 1
        return self.dialogue.finished[self._given - 1]

    async def until(self, condition: Callable[[], bool], what: str, patience_s: float | None = 60.0) -> None:
        """Waits for a condition on `dialogue` or `events`. Raises `NoAnswer` after `patience_s` without events, or the failure."""
        async with self._changed:
            while not condition():
                if self._failure:
                    raise self._failure
                try:
                    async with asyncio.timeout(patience_s):  # wait_for can swallow a cancellation before Python 3.12
                        await self._changed.wait()
                except TimeoutError:
                    raise NoAnswer(f"The server sent nothing for {patience_s:.0f} s while waiting for {what}.") from None

    async def receive(self) -> None:
        """Follows the connection until it ends; run by `connect`."""
        try:
            async for message in self._websocket:
                await self._take(orjson.loads(message))
            failure: ClientError = ConnectionLost("The server ended the conversation.")
        except ConnectionClosed as closed:
            failure = _why_closed(closed)
        await self._fail(failure)

    async def _take(self, event: Event) -> None:
        self.events.append(event)
        if event["type"] == "error" and event["error"].get("code") not in HARMLESS:
            await self._fail(_why_refused(event["error"]))
        for due in self.dialogue.handle(event, time.monotonic()):
            await self.send(due)
        async with self._changed:
            self._changed.notify_all()

    async def _fail(self, failure: ClientError) -> None:
        async with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()


@asynccontextmanager
async def connect(
    url: str = DEFAULT_URL, *, key: str | None = None, session: Event | None = None, speaker: Speaker | None = None
) -> AsyncIterator[RealtimeClient]:
    """A conversation, its session set as asked, with the server's timings. Raises a `ClientError` that says what to do."""
    websocket = await _open(url, key)
    client = RealtimeClient(websocket, Dialogue(speaker or VirtualSpeaker()))
    receiving = asyncio.create_task(client.receive())
    try:
        await client.until(lambda: _saw(client, "session.created"), "the session")
        if session is not None:
            await client.send({"type": "session.update", "session": session})
            await client.until(lambda: _saw(client, "session.updated"), "the session's settings")
        yield client
    finally:
        await websocket.close()
        await receiving


def _saw(client: RealtimeClient, kind: str) -> bool:
    return any(event["type"] == kind for event in client.events)


async def _open(url: str, key: str | None) -> ClientConnection:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    settings: dict[str, Any] = {"compression": None, "max_size": LARGEST_MESSAGE, "proxy": None}
    try:
        return await open_websocket(realtime_address(url), additional_headers=headers, **settings)
    except InvalidStatus as refusal:
        raise _why_not_opened(refusal.response.status_code, url) from refusal
    except InvalidURI as error:
        raise ServerUnreachable(f"{url} is not an address: give one like {DEFAULT_URL}.") from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ServerUnreachable(f"No server answers at {url}: start it with `make serve`, or name another with --url.") from error


def _why_not_opened(status: int, url: str) -> ClientError:
    if status == 401:
        return KeyRefused(BAD_KEY)
    if status == 403:
        return ServerUnreachable(NOT_LET_IN)
    if status in (429, 503):
        return ServerBusy(FULL)
    return ServerUnreachable(f"There is no Realtime endpoint at {url} (HTTP {status}): give the whole address, like {DEFAULT_URL}.")


def _why_closed(closed: ConnectionClosed) -> ClientError:
    code = closed.rcvd.code if closed.rcvd else None
    if code == 1013:
        return ServerBusy(FULL)
    if code == 1012:
        return ConnectionLost("The server is restarting: try again in a moment.")
    if code == 1001:
        return ConnectionLost("The session reached its longest, or the server is going away: start a new one.")
    reason = f" ({closed.rcvd.code} {closed.rcvd.reason})".replace(" )", ")") if closed.rcvd else ""
    return ConnectionLost(f"The connection was lost{reason}: see the server's log, then try again.")


def _why_refused(error: Event) -> ClientError:
    if error.get("code") == "invalid_api_key":
        return KeyRefused(BAD_KEY)
    if error.get("code") == "server_busy":
        return ServerBusy(FULL)
    return ServerRefused(error["message"], error.get("code"))
