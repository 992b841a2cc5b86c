"""Clients of the cluster: they stand on the outer network and speak with pauses of their own (no turn detection)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

PATIENCE_S = 60.0
A_SECOND_BYTES = 48_000
SECOND = base64.b64encode((b"\x00\x20" * 40 + b"\x00\xe0" * 40) * (A_SECOND_BYTES // 160)).decode()
"""A tone of 300 Hz: what is silent is not recognised."""
THINKS_S = 1.0
"""Long enough for a moment that a server which ends sessions takes for quiet."""
PUSH_TO_TALK = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}


class Lost(Exception):
    """The connection is gone, or nobody answers on it."""


class Caller:
    id = ""
    """Of the session."""
    remembers: tuple[str, ...] = ()
    """What was said in it before this connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def begins(self) -> None:
        created = await self.gets("session.created")
        self.id = created["session"]["id"]
        await self._send({"type": "session.update", "session": PUSH_TO_TALK})
        items = [event["item"] for event in await self._until("session.updated") if event["type"] == "conversation.item.done"]
        parts = [part for item in items for part in item["content"]]
        said = (part.get("transcript") or part.get("text") for part in parts)  # an answer that failed at once has a part without words
        self.remembers = tuple(words for words in said if words)

    async def says(self) -> str:
        """One spoken turn through all engines; the status of its response. Raises `Lost`."""
        await self.speaks()
        done = await self.gets("response.done")
        return str(done["response"]["status"])

    async def begins_to_speak(self) -> None:
        await self._send({"type": "input_audio_buffer.append", "audio": SECOND})

    async def speaks(self) -> None:
        """Does not wait for the answer."""
        await self.begins_to_speak()
        await self._send({"type": "input_audio_buffer.commit"})
        await self._send({"type": "response.create"})

    async def asks(self, text: str) -> None:
        """A written turn, whose answer is as long as the text. Does not wait for it."""
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self._send({"type": "conversation.item.create", "item": item})
        await self._send({"type": "response.create"})

    async def asks_on(self, text: str) -> list[str]:
        """One written turn after the other, each once the answer before was heard out, until the connection is gone: the status of each
        response that began, "lost" where that is all that was heard of it."""
        statuses: list[str] = []
        while True:
            try:
                await self.asks(text)
                await self.gets("response.created")
                statuses.append("lost")
                events = await self._until("response.done")
                statuses[-1] = str(events[-1]["response"]["status"])
                sounds = [event["delta"] for event in events if event["type"] == "response.output_audio.delta"]
                await asyncio.sleep(sum(len(base64.b64decode(sound)) for sound in sounds) / A_SECOND_BYTES + THINKS_S)
            except Lost:
                return statuses

    async def gets(self, kind: str) -> dict[str, Any]:
        """The next event of that kind. Raises `Lost`."""
        return (await self._until(kind))[-1]

    @property
    def is_gone(self) -> bool:
        """The server has closed the connection, or it broke."""
        return self._socket.close_code is not None

    async def ended(self) -> int | None:
        """The code with which the server closed."""
        async with asyncio.timeout(PATIENCE_S):
            await self._socket.wait_closed()
        return self._socket.close_code

    async def _until(self, kind: str) -> list[dict[str, Any]]:
        """All events up to the next of that kind."""
        events: list[dict[str, Any]] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not events or events[-1]["type"] != kind:
                    events.append(json.loads(await self._socket.recv()))
        except (WebSocketException, TimeoutError) as error:
            raise Lost(str(error)) from error
        return events

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            await self._socket.send(json.dumps(message))
        except WebSocketException as error:
            raise Lost(str(error)) from error


@asynccontextmanager
async def calling(address: str, within_s: float = PATIENCE_S, returns_to: str | None = None) -> AsyncIterator[Caller]:
    """`returns_to`: the session that the client had. Raises `Lost` when nobody takes the call."""
    query = "" if returns_to is None else f"?session_id={returns_to}"
    try:
        socket = await connect(f"ws://{address}/v1/realtime{query}", max_size=None, proxy=None, open_timeout=within_s, ping_interval=None)
    except (OSError, WebSocketException, TimeoutError) as error:
        raise Lost(str(error)) from error
    try:
        caller = Caller(socket)
        await caller.begins()
        yield caller
    finally:
        await socket.close()


async def a_turn(address: str, within_s: float = 5.0) -> bool:
    """Whether a new client gets an answer there now."""
    try:
        async with asyncio.timeout(within_s), calling(address, within_s) as caller:
            return await caller.says() == "completed"
    except (Lost, TimeoutError):
        return False
