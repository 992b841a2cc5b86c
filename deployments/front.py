"""The gateway's routes: the websocket, the page, and what tells how the server is."""

import asyncio
import html
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from deployments.guard import Guard, KeyCheck, deny, refuse_handshake
from deployments.transport import SocketTransport, chosen_subprotocol
from serve_app.admission import Door, Refused
from serve_app.connection import refuse
from serve_app.engine_queues import SessionQuestions
from serve_app.engines import Engines
from serve_app.http.described import JSON, TEXT, Described, DescribedRoute
from serve_app.http.errors import ApiError, api_error, response
from serve_app.http.exchange import caller_of, check_origin
from serve_app.http.no_route import NO_CALLS, NoRoute, answer, needs_socket, no_calls, no_socket
from serve_app.http.openapi import PAGE, PAGE_POLICY, document, page_files
from serve_app.http.routes import Api, routes
from serve_app.limits import LimitReached
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.session import SessionOptions, drive
from serve_app.session_options import Watched, as_it_is
from serve_app.settings import Settings
from serve_app.watching import Watchers

WEB = Path(__file__).parent.parent / "serve_app" / "web"
class Readiness(BaseModel):
    ready: bool
    problems: dict[str, str]


class SessionCounts(BaseModel):
    sessions: int
    leases: int
    utterances: int


HEALTHY = Described("Says that the process answers", "health", {TEXT: None}, open=True)
NOT_READY = {503: "Not all: `problems` has why, by engine."}
READY = Described(
    "Says whether all engines are warmed and answer", "health", {JSON: Readiness}, refuses=NOT_READY, refusal=Readiness, open=True
)
SESSIONS = Described("Counts live sessions", "health", {JSON: SessionCounts}, refuses={401: "No key, or a wrong one."})
REALTIME = Described(
    "Opens a session: a websocket of OpenAI's Realtime protocol",
    "realtime",
    {},
    status=101,
    query={
        "model": "Any: the server's own is served.",
        "intent": "`transcription` for a session that only listens.",
        "session_id": "Of a session to come back to.",
        "sparkvox": "`timings`, `patient`, or both with a comma.",
    },
    refuses={
        401: "No key, or a wrong one.",
        403: "A page of another origin, or a name that is not this server's.",
        404: "`call_id`: there are no calls here yet.",
        426: "No websocket was asked for.",
    },
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Front:
    engines: Engines
    options: SessionOptions
    settings: Settings
    door: Door
    watched: Callable[[Mapping[str, str]], AbstractContextManager[Watched]] = lambda headers: nullcontext(as_it_is)
    """Around a session, whose request has those headers."""

    async def realtime(self, socket: WebSocket) -> None:
        """Accepts before it refuses a place: a client sees why, and that it may come again, only then."""
        try:
            check_origin(socket, self.settings.gateway.origins)
        except ApiError as wrong:
            await deny(wrong, socket.scope, socket.receive, socket.send)
            return
        if "call_id" in socket.query_params:
            no_call = ApiError(404, f"No call can be joined by its call_id. {NO_CALLS}", "not_supported", "call_id")
            await refuse_handshake(no_call, socket.scope, socket.receive, socket.send)
            return
        await socket.accept(chosen_subprotocol(socket))
        transport = SocketTransport(socket, self.settings.session.max_message_bytes)
        caller = caller_of(socket.scope)
        try:
            with self.door.session(caller), self.watched(socket.headers) as watched:
                await drive(transport, self.engines, watched(self._asked(socket)))
        except Refused as refused:
            await refuse(transport, str(refused))
        except LimitReached as reached:
            await refuse(transport, str(reached), "rate_limit_exceeded", "rate_limit_error")
        finally:
            await transport.close(1000, "")

    def _asked(self, socket: WebSocket) -> SessionOptions:
        """What this client asked for in the address, or with an ephemeral key, which knows best."""
        query, caller = socket.query_params, caller_of(socket.scope)
        wishes = query.get("sparkvox", "").split(",")
        watch, warms = self.options.watch, self.options.warms
        most = 0 if "patient" in wishes else self.settings.session.eager_sessions
        initial = None if caller.session is None else SessionUpdateBody.model_validate(caller.session)
        transcribes = query.get("intent") == "transcription" if initial is None else initial.type == "transcription"
        return replace(
            self.options,
            timings="timings" in wishes,
            eager=lambda: self.door.eager(most),
            warms=lambda: self.door.eager(most) and warms(),
            watch=lambda session_id: Watchers(watch(session_id), SessionQuestions(self.door.queues)),
            transcription_only=transcribes,
            initial=initial,
            allowance=self.door.allowance(caller),
            life=replace(self.options.life, owner=caller.key.digest, returns_to=query.get("session_id")),
        )


def application(
    front: Front, wrong: Callable[[], Awaitable[dict[str, str]]], heard: Callable[[], Awaitable[dict[str, int]]]
) -> Starlette:
    """`wrong`: what keeps the server from being ready, by deployment; `heard`: live sessions and utterances in speech-to-text."""

    async def ready(_: Request) -> Response:
        problems = await wrong()
        return JSONResponse({"ready": not problems, "problems": problems}, 503 if problems else 200)

    async def sessions(_: Request) -> Response:
        counts = await heard()
        return JSONResponse({"sessions": front.door.sessions.sessions, "leases": counts["sessions"], "utterances": counts["utterances"]})

    keyed = [Middleware(KeyCheck, front.door.access, front.door.sink)]
    with_any = [Middleware(KeyCheck, front.door.access, front.door.sink, ephemeral=True)]
    table = [
        DescribedRoute("/healthz", _healthy, HEALTHY),
        DescribedRoute("/health", _health, HEALTHY),
        DescribedRoute("/readyz", ready, READY),
        DescribedRoute("/debug/sessions", sessions, SESSIONS, middleware=keyed),
        Route("/openapi.json", _document, include_in_schema=False),
        Route("/docs", _document_page, include_in_schema=False),
        Mount("/docs", Page(directory=page_files())),
        WebSocketRoute("/v1/realtime", front.realtime, middleware=keyed),
        DescribedRoute("/v1/realtime", needs_socket, REALTIME, middleware=with_any),
        Route("/v1/realtime", no_calls, methods=["POST"], middleware=with_any, include_in_schema=False),
        Route("/v1/realtime/calls", no_calls, methods=["POST"], middleware=with_any, include_in_schema=False),
        Route("/v1/realtime/calls/{rest:path}", no_calls, methods=["GET", "POST"], middleware=with_any, include_in_schema=False),
        *routes(Api(front.engines, front.options.served, front.settings, front.door), keyed),
        Route("/v1/{path:path}", NoRoute(), middleware=with_any, include_in_schema=False),
        WebSocketRoute("/v1/{path:path}", NoSocket(), middleware=with_any),
        Mount("/", Page(directory=WEB, html=True)),
    ]
    errors = {ApiError: _told, HTTPException: _told, Exception: _told}
    return Starlette(routes=table, middleware=_before_all(front), exception_handlers=errors)


class NoSocket:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse_handshake(no_socket(scope), scope, receive, send)


class Page(StaticFiles):
    """The page's files; whatever else is asked for, by anybody, is nowhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await NoSocket()(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            there = self.lookup_path(path)[1] is not None
        except (OSError, ValueError):  # no name of a file
            there = False
        if there and scope["method"] in ("GET", "HEAD"):
            return await super().get_response(path, scope)
        return answer(scope, ("GET", "HEAD") if there else ())


async def _told(_: Request, error: Exception) -> Response:
    return response(api_error(error))


def _before_all(front: Front) -> list[Middleware]:
    """Browsers ask without a key whether they may ask with one, so their question is answered before keys are."""
    gateway = front.settings.gateway
    guard = Middleware(Guard, gateway.open_to_all or bool(front.door.access.keys), gateway.hosts, front.door.sink)
    if not gateway.origins:
        return [guard]
    return [guard, Middleware(CORSMiddleware, allow_origins=gateway.origins, allow_methods=METHODS, allow_headers=["*"])]


async def _document(request: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(document, request.app.routes, request.scope.get("root_path", "")))


async def _document_page(request: Request) -> Response:
    root = html.escape(request.scope.get("root_path", ""))
    return HTMLResponse(PAGE.format(root=root), headers={"content-security-policy": PAGE_POLICY})


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _health(_: Request) -> Response:
    """By these two letters bridges know a server that lists models and voices as speaches does."""
    return PlainTextResponse("OK")

