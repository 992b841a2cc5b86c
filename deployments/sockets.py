"""Sockets from one process of the cluster to another, beside Serve's calls, which cost ten times as much: what those of the ears (lease.py)
and of the engines' calls (call_line.py) have in common.

Each is a websocket straight to a replica. A port is open to the network, so nothing is answered without a token; a replica gives one to
whoever asks it through Serve, and it opens one socket, once. Both ends ping: a cut link makes no error by itself. A ping waits behind what
was not taken (websockets 16.1), as does a goodbye, both without end: so sending and closing have ends of their own here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import WebSocketException
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from serve_app.errors import EngineGone

SILENCE_S = 5.0
"""After so much silence the other end counts as lost."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_UNSENT_BYTES = 64 * 1024 * 1024
"""Waiting for an end that does not read: half an hour of audio for an ear."""
ROOM_BYTES = 1024 * 1024
"""With more than that unsent, what can wait does."""
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a socket is."""

    host: str
    port: int
    token: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}/"


async def connected(place: Place, subprotocol: str, whose: str) -> ClientConnection:
    """Raises `EngineGone`."""
    try:
        return await connect(
            place.url,
            subprotocols=[Subprotocol(subprotocol)],
            additional_headers={"Authorization": f"Bearer {place.token}"},
            compression=None,
            proxy=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=SILENCE_S,
            ping_interval=SILENCE_S,
            ping_timeout=SILENCE_S,
            close_timeout=CLOSE_S,
        )
    except (OSError, WebSocketException, TimeoutError) as error:
        raise EngineGone(f"the socket of {whose} at {place.host}:{place.port} cannot be reached: {error}") from error


async def deliver(connection: Connection, message: bytes) -> None:
    """Raises `EngineGone` where it is not taken, and websockets' `ConnectionClosed`."""
    try:
        async with asyncio.timeout(SILENCE_S):
            await connection.send(message)
    except TimeoutError:
        raise EngineGone("the other end does not read") from None


async def hang_up(connection: Connection, code: CloseCode = CloseCode.NORMAL_CLOSURE) -> None:
    """With a goodbye where the other end takes one."""
    try:
        async with asyncio.timeout(2 * CLOSE_S):
            await connection.close(code)
    except TimeoutError:
        pass
    finally:
        connection.transport.abort()  # also where this was cancelled


class Listener:
    """A replica's server of sockets."""

    def __init__(
        self, host: str, subprotocol: str, admits: Callable[[str], bool], talk: Callable[[str, ServerConnection], Awaitable[None]]
    ) -> None:
        """`admits` says whether a token opens a socket now; `talk` is given the token with the socket, and looks again: another may have
        come with the same one during the handshake."""
        self._host = host
        self._subprotocol = subprotocol
        self._admits = admits
        self._to = talk
        self._server: Server | None = None

    async def start(self) -> None:
        self._server = await serve(
            self._talk,
            self._host,
            0,
            process_request=self._admit,
            subprotocols=[Subprotocol(self._subprotocol)],
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            ping_interval=SILENCE_S,
            ping_timeout=SILENCE_S,
            close_timeout=CLOSE_S,
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def place(self, token: str) -> Place:
        if self._server is None:
            raise RuntimeError("start() comes first")
        return Place(self._host, next(iter(self._server.sockets)).getsockname()[1], token)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        return None if self._admits(_token(request)) else connection.respond(HTTPStatus.UNAUTHORIZED, "no such token\n")

    async def _talk(self, connection: ServerConnection) -> None:
        await self._to(_token(connection.request), connection)


class Outgoing:
    """What waits to be sent, in order."""

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._unsent_bytes = 0
        self._some = asyncio.Event()
        self._room, self._none = asyncio.Event(), asyncio.Event()
        self._count(0)

    def put(self, frame: bytes) -> None:
        """Never waits. Raises `EngineGone` where so much waits that nobody can be reading."""
        if self._unsent_bytes + len(frame) > MAX_UNSENT_BYTES:
            raise EngineGone("the other end does not read")
        self._frames.append(frame)
        self._some.set()
        self._count(len(frame))

    async def room(self) -> None:
        """Until less waits."""
        if not self._room.is_set():
            await self._room.wait()

    async def sent(self) -> None:
        """Until nothing waits."""
        await self._none.wait()

    async def write(self, send: Callable[[list[bytes]], Awaitable[None]]) -> None:
        """Without end: all that waits, again and again."""
        while True:
            await self._some.wait()
            self._some.clear()
            frames, self._frames = self._frames, []
            await send(frames)
            self._count(-sum(map(len, frames)))

    def _count(self, more: int) -> None:
        self._unsent_bytes += more
        for event, true in ((self._room, self._unsent_bytes <= ROOM_BYTES), (self._none, not self._unsent_bytes)):
            event.set() if true else event.clear()


def _token(request: Request | None) -> str:
    given: str = "" if request is None else request.headers.get("Authorization", "")
    return given.removeprefix("Bearer ")
