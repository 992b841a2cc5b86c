"""What stands before the gateway's routes: which peers may knock, who has a key, what browsers are told."""

import logging
import time

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from deployments.transport import SUBPROTOCOL, SocketTransport, chosen_subprotocol
from serve_app.access import Access, WrongKey, presented
from serve_app.admission import is_loopback
from serve_app.connection import refuse
from serve_app.http.errors import ApiError, api_error, response
from serve_app.http.exchange import CALLER
from serve_app.measures import NOWHERE, REFUSALS, Sink

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
UNAUTHORIZED = 3000
"""In IANA's registry of close codes, and what OpenAI's service closes with: not one of those that clients retry."""

log = logging.getLogger(__name__)


class Guard:
    """Refuses peers of other machines where there is no key and nobody said that all may come in, and puts headers on the page.

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


class KeyCheck:
    """Lets a request pass to the route behind it when its key is right; an ephemeral key opens websockets only.

    It stands before single routes and not before all of them, so that no other way to write a path goes around it.
    """

    def __init__(self, app: ASGIApp, access: Access, sink: Sink = NOWHERE) -> None:
        self._app = app
        self._access = access
        self._sink = sink

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        key = presented(headers.get("authorization"), headers.get("api-key"), scope.get("subprotocols", ()))
        try:
            scope[CALLER] = caller = self._access.caller(key, time.time())
            if caller.ephemeral and scope["type"] == "http":
                raise ApiError(403, "An ephemeral key opens /v1/realtime only; this needs an API key.", "insufficient_permissions")
        except (WrongKey, ApiError) as wrong:
            self._sink.count(REFUSALS, of="key")
            log.warning("%s from %s was refused: %s", scope["path"], _peer(scope), wrong)
            await _refuse(wrong, scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def _refuse(wrong: WrongKey | ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """A program learns the status of a refused handshake, and raises; a browser does not tell its page, which is told in an event."""
    if scope["type"] == "websocket" and _from_page(scope):
        socket = WebSocket(scope, receive, send)
        await socket.accept(chosen_subprotocol(socket))
        await refuse(SocketTransport(socket, 0), str(wrong), "invalid_api_key", "invalid_request_error", UNAUTHORIZED)
    elif scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(api_error(wrong))(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": UNAUTHORIZED, "reason": "invalid_api_key"})


def _from_page(scope: Scope) -> bool:
    """Pages can set subprotocols and no headers."""
    return SUBPROTOCOL in scope.get("subprotocols", ()) and "authorization" not in Headers(scope=scope)


def _peer(scope: Scope) -> str | None:
    client = HTTPConnection(scope).client
    return None if client is None else client.host
