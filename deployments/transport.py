"""A Starlette websocket as the session's Transport."""

import asyncio

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from serve_app.connection import Disconnected, new_id
from serve_app.realtime.render import error

SUBPROTOCOL = "realtime"
LONGEST_CLOSE_S = 2.0
"""How long a close code may wait for a client that does not read: uvicorn (0.54) would wait for ever, and the session with it. What the
network has taken by then stays until the client goes; that is less than two messages."""


def chosen_subprotocol(socket: WebSocket) -> str | None:
    """A browser breaks off where it offered some and none is chosen."""
    return SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None


class SocketTransport:
    def __init__(self, socket: WebSocket, max_message_bytes: int) -> None:
        self._socket = socket
        self._max_message_bytes = max_message_bytes

    async def receive(self) -> str | bytes:
        while len(message := await self._receive()) > self._max_message_bytes:
            said = f"The message has {len(message)} bytes; the most is {self._max_message_bytes}. It was ignored."
            await self.send(orjson.dumps({"event_id": new_id("event"), **error(said, "message_too_long", None, None)}).decode())
        return message

    async def _receive(self) -> str | bytes:
        message = await self._socket.receive() if self._open else {"type": "websocket.disconnect"}
        if message["type"] == "websocket.disconnect":
            raise Disconnected("the client is gone")
        text: str | None = message.get("text")
        return message["bytes"] if text is None else text

    async def send(self, text: str) -> None:
        if not self._open:
            raise Disconnected("the client is gone")
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError) as lost:
            raise Disconnected("the client is gone") from lost

    async def close(self, code: int, reason: str) -> None:
        if not self._open:
            return
        try:
            async with asyncio.timeout(LONGEST_CLOSE_S):
                await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError, OSError):  # TimeoutError is an OSError
            return

    @property
    def _open(self) -> bool:
        return self._socket.client_state is WebSocketState.CONNECTED and self._socket.application_state is WebSocketState.CONNECTED
