"""One client's connection: what a session needs of it, and how one that cannot be served is told so."""

import secrets
from typing import Any, Protocol

import orjson

from serve_app.errors import SparkvoxError
from serve_app.realtime import render


class Disconnected(SparkvoxError):
    """The client is gone."""


class Transport(Protocol):
    """A websocket that was accepted."""

    async def receive(self) -> str | bytes:
        """Raises Disconnected."""

    async def send(self, text: str) -> None:
        """Raises Disconnected."""

    async def close(self, code: int, reason: str) -> None: ...


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_urlsafe(12)}"


def as_json(event: dict[str, Any]) -> str:
    return orjson.dumps(event).decode()


async def refuse(
    transport: Transport, message: str, code: str = "server_busy", kind: str = "server_error", close: int = 1013, param: str | None = None
) -> None:
    """An error the client can read, then the close code: 1013 is the one that well-made clients retry."""
    event = render.error(message, code, param, None, kind)
    try:
        await transport.send(as_json({"event_id": new_id("event"), **event}))
        await transport.close(close, "try again later" if close == 1013 else f"{kind}.{code}")
    except Disconnected:
        pass
