"""One session's hold on one speech-to-text replica, both ends.

The lease is a streaming call of the Serve handle that lasts as long as the session: it picks the replica (admission, affinity, autoscaling)
and tells of its death. The audio goes beside it, on a websocket straight to the replica, because a message through the handle costs ten
times as much. The lease's first item says where the socket is and the token that opens it, once.

Either end notices the other's end: the replica when the call is cancelled (the gateway closed the ear, or died), the gateway when the call
or the socket fails, or is silent for longer than `SILENCE_S`: a cut link makes no error by itself.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from deployments.ear_frames import SUBPROTOCOL, decode, encode
from deployments.recognitions import RecordedEar, traced
from serve_app.engines import Begin, Drop, Ear, Failed, Final, HearingMessage, HearingResult, SpeechToText
from serve_app.errors import EngineBusy, EngineGone

T = TypeVar("T")

ALIVE_S = 1.0
"""How often the replica says on the lease that it lives."""
SILENCE_S = 5.0
"""After so much silence of the lease or the socket the other end counts as lost."""
MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Audio waiting for a replica that does not read; half an hour of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a lease's socket is."""

    host: str
    port: int
    token: str


@dataclass(slots=True)
class _Held:
    session_id: str
    utterances: set[str] = field(default_factory=set)
    talk: asyncio.Task[None] | None = None


# --- the replica's end ------------------------------------------------------------------------------------------------------------------


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


# --- the gateway's end ------------------------------------------------------------------------------------------------------------------


class Lease(Protocol):
    """A streaming response of a Serve handle."""

    def __anext__(self) -> Any: ...

    def cancel(self) -> None: ...


async def within(seconds: float, call: Awaitable[T]) -> T:
    """The result of a call through a handle. Raises `TimeoutError`, or `EngineGone` when it was cancelled by the other side: Serve raises
    `CancelledError` for that too, and whoever awaits would take it for his own end."""
    try:
        return await asyncio.wait_for(call, seconds)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise EngineGone("the replica ended the call") from None


async def open_ear(lease: Lease, translate: Callable[[BaseException], Exception]) -> "LeasedEar":
    """Waits for the lease to be given, and connects. Raises what `translate` makes of the lease's error, or `EngineGone`."""
    try:
        place = await within(SILENCE_S, lease.__anext__())
        connection = await _connect(place)
    except BaseException as error:
        lease.cancel()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise translate(error) from error
    return LeasedEar(lease, connection)


async def _connect(place: Place) -> ClientConnection:
    try:
        return await connect(
            f"ws://{place.host}:{place.port}/",
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Authorization": f"Bearer {place.token}"},
            compression=None,
            proxy=None,
            max_size=MAX_FRAME_BYTES,
            open_timeout=SILENCE_S,
            ping_interval=SILENCE_S,
            ping_timeout=SILENCE_S,
            close_timeout=1.0,
        )
    except (OSError, WebSocketException, TimeoutError) as error:
        raise EngineGone(f"the socket of speech-to-text at {place.host}:{place.port} cannot be reached: {error}") from error


class LeasedEar:
    """An `Ear` whose engine is in another process."""

    def __init__(self, lease: Lease, connection: ClientConnection) -> None:
        self._lease = lease
        self._connection = connection
        self._out: asyncio.Queue[bytes] = asyncio.Queue()
        self._unsent_bytes = 0
        self._results: asyncio.Queue[HearingResult | None] = asyncio.Queue()
        self._lost: EngineGone | None = None
        self._closed = False
        self._work = asyncio.create_task(self._run())

    def send(self, message: HearingMessage) -> None:
        if self._lost is not None:
            raise self._lost
        frame = encode(traced(message))
        self._unsent_bytes += len(frame)
        if self._unsent_bytes > MAX_UNSENT_BYTES:
            self._lose("it does not read its audio")
            self._work.cancel()
            raise EngineGone("speech-to-text does not read its audio")
        self._out.put_nowait(frame)

    async def results(self) -> AsyncIterator[HearingResult]:
        while (result := await self._results.get()) is not None:
            yield result
        if self._lost is not None and not self._closed:
            raise self._lost

    async def close(self) -> None:
        self._closed = True
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)
        self._lose("it was closed")
        await self._release()  # again: a task cancelled before its first step has run nothing

    async def _run(self) -> None:
        """Until one of the three fails: each runs for as long as both ends live."""
        jobs = [asyncio.create_task(job) for job in (self._write(), self._read(), self._watch())]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            self._lose("; ".join(str(job.exception() or "it ended the connection") for job in done if not job.cancelled()))
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            await self._release()

    async def _release(self) -> None:
        self._lease.cancel()  # dropping the response would leave the call running in the replica
        await self._connection.close()

    async def _write(self) -> None:
        while True:
            frame = await self._out.get()
            await self._connection.send(frame)
            self._unsent_bytes -= len(frame)

    async def _read(self) -> None:
        async for frame in self._connection:
            self._results.put_nowait(decode(frame))  # type: ignore[arg-type]

    async def _watch(self) -> None:
        while True:
            await within(SILENCE_S, self._lease.__anext__())

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = EngineGone(f"speech-to-text was lost: {why}")
            self._results.put_nowait(None)
