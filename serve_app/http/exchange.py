"""One request and its response, whatever it asks for: who may come in, how a body is read, how an answer streams, and that work ends when
nobody waits for it any more."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import ExitStack, aclosing, suppress
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_app.access import Caller, Key
from serve_app.admission import Admission, origin_allowed
from serve_app.errors import SparkvoxError
from serve_app.http.errors import ApiError, api_error
from serve_app.http.errors import response as error_response

CALLER = "sparkvox.caller"
"""Where a request's scope has who sends it."""
HOST_IS_KNOWN = "sparkvox.host_is_known"
"""Where a request's scope has that its `Host` was held to the names of this server."""
MAX_JSON_BYTES = 4 * 1024 * 1024

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

log = logging.getLogger(__name__)


class ClientGone(SparkvoxError):
    """Nobody waits for the answer."""


def caller_of(scope: Scope) -> Caller:
    """Anybody, where nothing asked for a key."""
    caller: Caller = scope.get(CALLER, Caller(Key("anybody", "")))
    return caller


def check_origin(connection: HTTPConnection, allowed: tuple[str, ...]) -> None:
    """Raises `ApiError` 403 for what a web page sends that is neither this server's own nor one of `allowed`."""
    headers = connection.headers
    origin = headers.get("origin")
    if not origin_allowed(origin, headers.get("host"), allowed, connection.scope.get(HOST_IS_KNOWN, False)):
        said = f"Pages of other origins may not use this server; gateway.origins={origin} would let this one."
        raise ApiError(403, said, "origin_not_allowed")


class Endpoint:
    """An ASGI application that holds a place of the admission from the first byte of a request to the last of its response."""

    def __init__(self, answer: Callable[[Request], Awaitable[Response]], admission: Admission, origins: tuple[str, ...]) -> None:
        self._answer = answer
        self._admission = admission
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with ExitStack() as place, suppress(ClientGone, ClientDisconnect):
            await (await self._response(request, place))(scope, receive, send)

    async def _response(self, request: Request, place: ExitStack) -> Response:
        try:
            check_origin(request, self._origins)
            key = caller_of(request.scope).key
            place.enter_context(self._admission.session(key.digest, key.limits.requests))
            return await self._answer(request)
        except (ClientGone, ClientDisconnect):
            raise
        except Exception as error:
            return error_response(api_error(error))


class Streamed(Response):
    """A response that is sent while it is made. Made by `streamed`, which waits for the first chunk, so that what fails until then has a
    status of its own."""

    def __init__(
        self, first: bytes, rest: AsyncGenerator[bytes, None], media_type: str, failed: Callable[[Exception], bytes] | None
    ) -> None:
        """`failed`: what is sent when `rest` fails; without it the connection breaks, so that the client cannot take a part for the
        whole."""
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})
        self._first = first
        self._rest = rest
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            await unless_gone(receive, self._send_all(send))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self._first
        try:
            async for chunk in self._rest:
                yield chunk
        except Exception as error:
            if self._failed is None:
                raise
            yield self._failed(error)


async def streamed(
    request: Request, chunks: AsyncGenerator[bytes, None], media_type: str, failed: Callable[[Exception], bytes] | None = None
) -> Streamed:
    """Raises what the first chunk raises."""
    first = await unless_gone(request.receive, _first(chunks))
    return Streamed(first, chunks, media_type, failed)


async def event_stream(request: Request, events: AsyncGenerator[dict[str, Any], None]) -> Streamed:
    """Server-sent events; `[DONE]` ends them unless they failed, and then the last one is an error object."""
    return await streamed(request, _as_sent(events), "text/event-stream", lambda error: _event(api_error(error).body))


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves. The request's body must have been read. Raises `ClientGone`."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone("the client is gone")
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def json_of(request: Request, model: type[Model]) -> Model:
    """The body, validated. Raises `ApiError` or Pydantic's ValidationError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"The body must be application/json, not {kind or 'of no type'}.", "unsupported_media_type")
    body = bytearray()
    async for chunk in bounded(request, MAX_JSON_BYTES):
        body += chunk
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The body is no JSON: {error}.", "invalid_json") from error
    return model.model_validate(content)


async def bounded(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes. Raises `ApiError` 413 beyond `most` bytes, before reading them where the client says how many there are."""
    announced = request.headers.get("content-length", "")
    read = int(announced) if announced.isdecimal() else 0
    if read > most:
        raise _too_large(most)
    read = 0
    async for chunk in request.stream():
        read += len(chunk)
        if read > most:
            raise _too_large(most)
        yield chunk


async def _first(chunks: AsyncGenerator[bytes, None]) -> bytes:
    return await anext(chunks, b"")


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _as_sent(events: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(events):
        async for event in events:
            yield _event(event)
    yield b"data: [DONE]\n\n"


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(content) + b"\n\n"


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The body is too large: the most is {most} bytes.", "request_too_large")
