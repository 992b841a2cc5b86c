"""What stands before the gateway's routes: which peers may knock, who has a key, what browsers are told."""

import logging
import re
import time

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from deployments.transport import SUBPROTOCOL, SocketTransport, chosen_subprotocol
from serve_app.access import Access, WrongKey, presented
from serve_app.admission import is_loopback, known_host
from serve_app.connection import refuse
from serve_app.hosts import host_name
from serve_app.http.errors import ApiError, api_error, response
from serve_app.http.exchange import CALLER, HOST_IS_KNOWN
from serve_app.measures import NOWHERE, REFUSALS, Sink

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
UNAUTHORIZED = 3000
"""In IANA's registry of close codes, and what OpenAI's service closes with: not one of those that clients retry. For other refusals it is
4000 and the HTTP status."""

log = logging.getLogger(__name__)


class Guard:
    """Refuses peers of other machines where there is no key and nobody said that all may come in, and requests that call the server by a
    name that is not its own (serve_app/hosts.py); puts headers on the page. Paths are taken with a slash more than they need.

    The peer is looked at although the server binds to loopback: behind HAProxy the replicas' own ports may be open to the network. HAProxy
    passes the client's `Host` on.
    """

    def __init__(self, app: ASGIApp, beyond_loopback: bool, hosts: tuple[str, ...] = (), sink: Sink = NOWHERE) -> None:
        """`hosts`: more names of the server."""
        self._app = app
        self._beyond_loopback = beyond_loopback
        self._hosts = hosts
        self._sink = sink

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except ApiError as wrong:
            self._sink.count(REFUSALS, of="host")
            log.warning("%r from %s was refused: %s", scope["path"], _peer(scope), wrong)
            await deny(wrong, scope, receive, send)
        else:
            await self._app({**scope, "path": _tidy(scope), HOST_IS_KNOWN: True}, receive, self._with_headers(send))

    def _check(self, scope: Scope) -> None:
        """Raises `ApiError`."""
        if not (self._beyond_loopback or is_loopback(_peer(scope))):
            said = "This server answers its own machine only: it has no key. See 'Keys' in its README, or gateway.open_to_all."
            raise ApiError(403, said, "other_machine")
        given = Headers(scope=scope).getlist("host")
        name = host_name(given[0]) if len(given) == 1 else None
        if known_host(name or "", self._hosts, self._beyond_loopback):
            return
        if name is None:
            raise ApiError(400, "The request needs one Host header, with the name of this server and nothing else.", "invalid_host")
        said = f"{name!r} is not known as a name of this server. Call it localhost or 127.0.0.1; if this is its name, start it with"
        raise ApiError(403, f"{said} gateway.hosts={name} (several with commas between them).", "host_not_allowed")

    def _with_headers(self, send: Send) -> Send:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = ((name.lower().encode(), value.encode()) for name, value in PAGE_HEADERS.items())
                message["headers"] = [*message["headers"], *((name, value) for name, value in more if name not in own)]
            await send(message)

        return with_headers


class KeyCheck:
    """Lets a request pass to the route behind it when its key is right; an ephemeral key opens websockets only, and where there is nothing
    to open it is told that. OPTIONS asks what may be asked: that needs no key.

    It stands before single routes and not before all of them, so that no other way to write a path goes around it.
    """

    def __init__(self, app: ASGIApp, access: Access, sink: Sink = NOWHERE, ephemeral: bool = False) -> None:
        """`ephemeral`: whether an ephemeral key opens this over HTTP too."""
        self._app = app
        self._access = access
        self._sink = sink
        self._ephemeral = ephemeral

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "OPTIONS":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = presented(headers.get("authorization"), headers.get("api-key"), scope.get("subprotocols", ()))
        try:
            scope[CALLER] = caller = self._access.caller(key, time.time())
            if caller.ephemeral and scope["type"] == "http" and not self._ephemeral:
                raise ApiError(403, "An ephemeral key opens /v1/realtime only; this needs an API key.", "insufficient_permissions")
        except (WrongKey, ApiError) as wrong:
            self._sink.count(REFUSALS, of="key")
            log.warning("%r from %s was refused: %s", scope["path"], _peer(scope), wrong)
            await (deny if scope["type"] == "http" else refuse_handshake)(api_error(wrong), scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def refuse_handshake(wrong: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """A program learns the status of a refused handshake, and raises; a browser does not tell its page, which is told in an event."""
    if not _from_page(scope):
        await deny(wrong, scope, receive, send)
        return
    socket = WebSocket(scope, receive, send)
    await socket.accept(chosen_subprotocol(socket))
    error = wrong.body["error"]
    await refuse(SocketTransport(socket, 0), error["message"], error["code"], error["type"], _close_code(wrong), error["param"])


async def deny(wrong: ApiError, scope: Scope, receive: Receive, send: Send) -> None:
    """The answer to a request, or to the handshake of a websocket in place of the socket."""
    if scope["type"] == "http" or "websocket.http.response" in scope.get("extensions", {}):
        await response(wrong)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": _close_code(wrong), "reason": wrong.code or ""})


def _close_code(wrong: ApiError) -> int:
    return UNAUTHORIZED if wrong.status == 401 else 4000 + wrong.status


def _from_page(scope: Scope) -> bool:
    """Pages can set subprotocols and no headers."""
    return SUBPROTOCOL in scope.get("subprotocols", ()) and "authorization" not in Headers(scope=scope)


def _peer(scope: Scope) -> str | None:
    client = HTTPConnection(scope).client
    return None if client is None else client.host


def _tidy(scope: Scope) -> str:
    """The path without slashes that are there twice or at its end: clients join base URLs and paths as they please."""
    root, path = scope.get("root_path", ""), scope["path"]
    below = re.sub("/+", "/", path.removeprefix(root))
    return root + (below if below == "/" else below.rstrip("/"))
