"""What goes to one client, in order. Events are put and forgotten; audio is awaited, so that a client that reads slowly slows its own
audio only."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from serve_app.errors import SparkvoxError


class ClientStalled(SparkvoxError):
    """The client has not read for too long, or too much waits for it."""


@dataclass(slots=True)
class _Waiting:
    text: str
    sent: asyncio.Future[None] | None = None
    size: int = 0
    """Bytes on the wire, in UTF-8."""

    def __post_init__(self) -> None:
        self.size = len(self.text) if self.text.isascii() else len(self.text.encode())


class Outbox:
    def __init__(self, send: Callable[[str], Awaitable[None]], most_bytes: int, longest_s: float) -> None:
        """`most_bytes`: how much may wait; `longest_s`: how long one send may take. Beyond either `run` raises ClientStalled."""
        self._send = send
        self._most_bytes = most_bytes
        self._longest_s = longest_s
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._patience: asyncio.Timeout | None = None

    def put(self, text: str) -> None:
        self._add(_Waiting(text))

    async def send(self, text: str) -> None:
        """Returns when it was handed to the network. Cancelled while it waits, it is never sent."""
        sent = asyncio.get_running_loop().create_future()
        self._add(_Waiting(text, sent))
        await sent

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                await self._send_next(self._waiting.popleft())

    async def flush(self) -> None:
        """Sends what waits; for the last words of a session whose `run` has ended."""
        while self._waiting:
            await self._send_next(self._waiting.popleft())

    def _add(self, waiting: _Waiting) -> None:
        self._waiting.append(waiting)
        self._bytes += waiting.size
        self._news.set()
        if self._bytes > self._most_bytes and self._patience is not None and not self._patience.expired():
            self._patience.reschedule(0.0)  # what comes while one send waits may be more than fits in the time that it has

    def _check_bytes(self) -> None:
        if self._bytes > self._most_bytes:
            raise ClientStalled(f"more than {self._most_bytes} bytes wait for a client that does not read")

    async def _send_next(self, next_one: _Waiting) -> None:
        self._bytes -= next_one.size
        if next_one.sent is not None and next_one.sent.cancelled():
            return
        self._check_bytes()
        try:
            async with asyncio.timeout(self._longest_s) as self._patience:  # wait_for can swallow a cancellation before Python 3.12
                await self._send(next_one.text)
        except TimeoutError as error:
            self._check_bytes()
            raise ClientStalled(f"the client has not read for {self._longest_s:g} s") from error
        finally:
            self._patience = None
        if next_one.sent is not None and not next_one.sent.done():
            next_one.sent.set_result(None)
