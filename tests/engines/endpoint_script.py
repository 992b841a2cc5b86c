"""An endpoint that behaves as it is told, on a real socket: each request is answered by the next entry of a script."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

HANG, DROP, DONE = object(), object(), "data: [DONE]\n\n"
"""In a stream: say nothing more; end the connection as a crash would."""

Answer = Callable[["Script"], Response]


class Script:
    """An application. What was asked is kept."""

    def __init__(self, *answers: Answer, models: tuple[str, ...] = ("small",), voices: Any = None) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.came = asyncio.Event()
        """A first request has come."""
        self.left = asyncio.Event()
        """A client has gone away in the middle of an answer."""
        self.gate = asyncio.Event()
        """For answers that wait."""
        self._answers = list(answers)
        self._models = models
        self._voices = voices

    @property
    def asked(self) -> int:
        return len(self.bodies)

    def application(self) -> Starlette:
        paths = ("/v1/chat/completions", "/v1/audio/speech", "/v1/audio/transcriptions")
        posts = [Route(path, self._answer, methods=["POST"]) for path in paths]
        return Starlette(routes=[*posts, Route("/v1/models", self._list_models), Route("/v1/audio/voices", self._list_voices)])

    async def _answer(self, request: Request) -> Response:
        if request.headers["content-type"].startswith("application/json"):
            self.bodies.append(await request.json())
        else:
            async with request.form() as form:
                fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
                self.bodies.append({**fields, "bytes": await form["file"].read()})  # type: ignore[union-attr]
        self.headers.append(dict(request.headers))
        self.came.set()
        return self._answers.pop(0)(self)

    async def _list_models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(name) for name in self._models]})

    async def _list_voices(self, _: Request) -> Response:
        return Response(status_code=404) if self._voices is None else JSONResponse(self._voices)


@asynccontextmanager
async def on_a_port(app: ASGIApp) -> AsyncIterator[str]:
    """Gives the base_url of its /v1."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await running


def refusal(status: int, message: str, code: str | None = None, **headers: str) -> Answer:
    """As OpenAI and vLLM say it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return lambda script: JSONResponse(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


def whole(body: Any, waits: bool = False) -> Answer:
    """`waits`: for the script's gate."""

    async def later(script: Script) -> AsyncIterator[bytes]:
        try:
            if waits:
                await script.gate.wait()
            yield json.dumps(body).encode()
        except asyncio.CancelledError:
            script.left.set()
            raise

    return lambda script: StreamingResponse(later(script), media_type="application/json")


def stream(*parts: Any, media_type: str = "text/event-stream") -> Answer:
    """Chunks as dicts, anything else as text or bytes, `HANG` and `DROP`."""
    return lambda script: StreamingResponse(_streamed(script, parts), media_type=media_type)


async def _streamed(script: Script, parts: tuple[Any, ...]) -> AsyncIterator[bytes]:
    try:
        for part in parts:
            if part is HANG:
                await asyncio.Event().wait()
            elif part is DROP:
                raise ConnectionAbortedError("as scripted")
            elif isinstance(part, dict):
                yield f"data: {json.dumps(part)}\n\n".encode()
            else:
                yield part if isinstance(part, bytes) else part.encode()
    except asyncio.CancelledError:
        script.left.set()
        raise


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def usage(prompt: int, reply: int, cached: int = 0) -> dict[str, Any]:
    counts = {"prompt_tokens": prompt, "completion_tokens": reply, "total_tokens": prompt + reply}
    return {**chunk(), "choices": [], "usage": {**counts, "prompt_tokens_details": {"cached_tokens": cached}}}


def reply(*words: str) -> Answer:
    return stream(chunk(role="assistant", content=""), *(chunk(content=word) for word in words), chunk("stop"), usage(5, len(words)), DONE)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1, "owned_by": "somebody"}
