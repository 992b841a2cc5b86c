"""Voice clients that cost little, many in one process: websocket frames are made beforehand, and what comes is looked at, not decoded.

Each client plays the same sounds, a frame each 20 ms, and keeps when each frame was sent and when each message that matters came. It stands
on the sans-IO half of `websockets`, because its asyncio half masks and copies each message again.
"""

import asyncio
import base64
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FRAME_S = 0.02
OPEN_S = 60.0
"""Only against hanging."""


class Refused(Exception):
    """The server did not take the connection, or ended it."""


def message(event: dict[str, Any]) -> bytes:
    """A text message as it goes over the network, masked."""
    return Frame(Opcode.TEXT, json.dumps(event).encode()).serialize(mask=True)


def appended(frame: bytes) -> bytes:
    """`frame`: 16-bit samples."""
    return message({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame).decode()})


class Line(asyncio.Protocol):
    """One websocket. `heard` is given each message and when it came."""

    def __init__(self, url: str, heard: Callable[[bytes, float], None]) -> None:
        self._websocket = ClientProtocol(parse_uri(url), max_size=None)
        self._heard = heard
        self._transport: asyncio.Transport | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = False

    def write(self, prepared: bytes) -> None:
        assert self._transport is not None
        self._transport.write(prepared)

    def close(self) -> None:
        assert self._transport is not None
        self.ended = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._websocket.send_request(self._websocket.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            match event:
                case Response():
                    self._opens()
                case Frame(opcode=Opcode.TEXT):
                    self._heard(bytes(event.data), now)
        self._flush()  # answers to pings

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if not self.opened.done():
            self.opened.set_exception(Refused(str(exc or "the server closed the connection")))

    def _opens(self) -> None:
        if self.opened.done():
            return
        if (wrong := self._websocket.handshake_exc) is not None:
            self.opened.set_exception(Refused(str(wrong)))
        else:
            self.opened.set_result(None)

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._websocket.data_to_send():
            if data:
                self._transport.write(data)


class Player:
    """Plays frames on one line at their pace; `sent_at` says when each went."""

    def __init__(self, line: Line, frames: Sequence[bytes], length: int) -> None:
        """`frames` are repeated until `length` have been sent."""
        self._line = line
        self._frames = frames
        self._length = length
        self._loop = asyncio.get_running_loop()
        self.sent_at: list[float] = []
        self.late_s: list[float] = []
        """How long after its time each frame went: the client's own slowness."""
        self.done = asyncio.Event()

    def begin(self, in_s: float) -> None:
        self._begun = self._loop.time() + in_s
        self._loop.call_at(self._begun, self._next)

    def _next(self) -> None:
        number = len(self.sent_at)
        if number == self._length or self._line.ended:
            self.done.set()
            return
        due = self._begun + number * FRAME_S
        self.late_s.append(self._loop.time() - due)
        self._line.write(self._frames[number % len(self._frames)])
        self.sent_at.append(time.perf_counter())
        self._loop.call_at(due + FRAME_S, self._next)


@asynccontextmanager
async def line_to(url: str, heard: Callable[[bytes, float], None]) -> "AsyncIterator[Line]":
    """Raises `Refused`."""
    uri = parse_uri(url)
    _, line = await asyncio.get_running_loop().create_connection(lambda: Line(url, heard), uri.host, uri.port)
    try:
        async with asyncio.timeout(OPEN_S):
            await line.opened
        yield line
    finally:
        line.close()


def spread(count: int, over_s: float) -> Iterator[float]:
    """When each of so many clients begins: evenly, so that frames and turns do not come all at once."""
    return (number * over_s / count for number in range(count))
