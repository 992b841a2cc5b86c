"""The gateway's routes: the websocket, the page, and what tells how the server is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from serve_app.admission import Admission, Refused, is_loopback, origin_allowed
from serve_app.engines import Engines
from serve_app.http.routes import Api, routes, unknown
from serve_app.realtime.render import error
from serve_app.session import Disconnected, SessionOptions, drive, new_id, refuse
from serve_app.settings import Settings

WEB = Path(__file__).parent.parent / "serve_app" / "web"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
SUBPROTOCOL = "realtime"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Front:
    engines: Engines
    options: SessionOptions
    settings: Settings
    admission: Admission

    async def realtime(self, socket: WebSocket) -> None:
        """Accepts before it refuses: a client sees why only then."""
        if not origin_allowed(socket.headers.get("origin"), socket.headers.get("host"), self.settings.gateway.origins):
            await socket.close(4403, "pages of other origins may not connect")
            return
        await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None)
        transport = SocketTransport(socket, self.settings.session.max_message_bytes)
        try:
            with self.admission.session():
                await drive(transport, self.engines, _asked(self.options, socket))
        except Refused as refused:
            await refuse(transport, str(refused))
        finally:
            await transport.close(1000, "")


def application(
    front: Front, wrong: Callable[[], Awaitable[dict[str, str]]], heard: Callable[[], Awaitable[dict[str, int]]]
) -> Starlette:
    """`wrong`: what keeps the server from being ready, by deployment; `heard`: live sessions and utterances in speech-to-text."""

    async def ready(_: Request) -> Response:
        problems = await wrong()
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def sessions(_: Request) -> Response:
        counts = await heard()
        return JSONResponse({"sessions": front.admission.sessions, "leases": counts["sessions"], "utterances": counts["utterances"]})

    table = [
        Route("/healthz", _healthy),
        Route("/readyz", ready),
        Route("/debug/sessions", sessions),
        WebSocketRoute("/v1/realtime", front.realtime),
        *routes(Api(front.engines, front.options.served, front.settings)),
        Route("/v1/{path:path}", unknown, methods=METHODS),
        Mount("/", StaticFiles(directory=WEB, html=True)),
    ]
    return Starlette(routes=table, middleware=[Middleware(Guard, front.settings.gateway.beyond_loopback)])


class Guard:
    """Refuses peers of other machines where nobody said that they may come in, and puts headers on the page.

    Needed although the server binds to loopback: behind HAProxy the replicas' own ports may be open to the network.
    """

    def __init__(self, app: ASGIApp, beyond_loopback: bool) -> None:
        self._app = app
        self._beyond_loopback = beyond_loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._beyond_loopback or is_loopback(_peer(scope)):
            await self._app(scope, receive, self._with_headers(send))
        elif scope["type"] == "http":
            await PlainTextResponse("This server answers its own machine only.\n", 403)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4403, "reason": "this server answers its own machine only"})

    def _with_headers(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *((k.lower().encode(), v.encode()) for k, v in PAGE_HEADERS.items())]
            await send(message)

        return with_headers


class SocketTransport:
    """A Starlette websocket as the session's Transport."""

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
            await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return

    @property
    def _open(self) -> bool:
        return self._socket.client_state is WebSocketState.CONNECTED and self._socket.application_state is WebSocketState.CONNECTED


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _peer(scope: Scope) -> str | None:
    client = HTTPConnection(scope).client
    return None if client is None else client.host


def _asked(options: SessionOptions, socket: WebSocket) -> SessionOptions:
    """What this client asked for in the address."""
    query: Any = socket.query_params
    return replace(options, timings=query.get("sparkvox") == "timings", transcription_only=query.get("intent") == "transcription")
