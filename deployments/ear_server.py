"""The replica's end of the leases (lease.py): it gives them, and hears sessions on their sockets."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from deployments.ear_frames import SUBPROTOCOL, decode, encode
from deployments.lease import MAX_FRAME_BYTES, SILENCE_S, Place
from deployments.recognitions import RecordedEar
from serve_app.engines import Begin, Drop, Ear, Failed, Final, SpeechToText
from serve_app.errors import EngineBusy

ALIVE_S = 1.0
"""How often the replica says on the lease that it lives."""


@dataclass(slots=True)
class _Held:
    session_id: str
    utterances: set[str] = field(default_factory=set)
    talk: asyncio.Task[None] | None = None


class EarServer:
    """Serves the ears of a `SpeechToText` to those who hold a lease."""

    def __init__(self, speech_to_text: SpeechToText, host: str, max_sessions: int) -> None:
        self._speech_to_text = speech_to_text
        self._host = host
        self._max_sessions = max_sessions
        self._held: dict[str, _Held] = {}  # by token
        self._server: Server | None = None
        self._leaving = False

    def leave(self) -> None:
        """Each lease ends as soon as no utterance of it is open, and its session goes to another replica."""
        self._leaving = True

    async def start(self) -> None:
        self._server = await serve(
            self._talk,
            self._host,
            0,
            process_request=self._admit,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            ping_interval=SILENCE_S,
            ping_timeout=SILENCE_S,
            close_timeout=1.0,
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def lease(self, session_id: str) -> AsyncGenerator[Place | None, None]:
        """Where the socket is, then None each `ALIVE_S` for as long as it is held, or can be. Raises `EngineBusy` at once when full."""
        if len(self._held) >= self._max_sessions:
            raise EngineBusy(f"this replica holds {self._max_sessions} sessions already")
        token = secrets.token_urlsafe(24)
        self._held[token] = held = _Held(session_id)
        try:
            yield Place(self._host, self._port, token)
            while not self._leaving or held.utterances:
                await asyncio.sleep(ALIVE_S)
                yield None
        finally:
            del self._held[token]
            if held.talk is not None:
                held.talk.cancel()

    def counts(self) -> dict[str, int]:
        return {"sessions": len(self._held), "utterances": sum(len(held.utterances) for held in self._held.values())}

    @property
    def _port(self) -> int:
        if self._server is None:
            raise RuntimeError("start() comes first")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """The port is open to the network, so nothing is answered without a token; a token serves once."""
        held = self._held.get(_token(request))
        if held is None or held.talk is not None:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no such lease\n")
        return None

    async def _talk(self, connection: ServerConnection) -> None:
        held = self._held.get(_token(connection.request))
        if held is None or held.talk is not None:  # ended, or taken by another, during the handshake
            return
        held.talk = asyncio.current_task()
        ear = RecordedEar(await self._speech_to_text.open(held.session_id), held.session_id)
        try:
            await _until_one_ends(_read(connection, ear, held), _write(connection, ear, held))
        finally:
            held.utterances.clear()
            await ear.close()
            await connection.close(CloseCode.GOING_AWAY)  # websockets leaves it open when the handler is cancelled


async def _read(connection: ServerConnection, ear: Ear, held: _Held) -> None:
    async for frame in connection:
        message = decode(frame if isinstance(frame, bytes) else frame.encode())
        match message:
            case Begin(utterance):
                held.utterances.add(utterance)
            case Drop(utterance):
                held.utterances.discard(utterance)
        ear.send(message)  # type: ignore[arg-type]


async def _write(connection: ServerConnection, ear: Ear, held: _Held) -> None:
    async for result in ear.results():
        if isinstance(result, Final | Failed):
            held.utterances.discard(result.utterance)
        await connection.send(encode(result))


async def _until_one_ends(*jobs: Any) -> None:
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        with contextlib.suppress(ConnectionClosed):
            task.result()


def _token(request: Request | None) -> str:
    given: str = "" if request is None else request.headers.get("Authorization", "")
    return given.removeprefix("Bearer ")
