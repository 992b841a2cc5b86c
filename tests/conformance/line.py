"""One conversation over a real websocket: sends client events, waits for server events by type, and keeps everything that went over it."""

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.conformance.invariants import Event
from tests.conformance.watch import Watch


class Failed(AssertionError):
    """The rule of a check does not hold."""


def expect(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)


@dataclass(frozen=True, slots=True)
class Traced:
    at_s: float
    """Since the line was opened."""
    sent: bool
    message: Event | str


class Line:
    def __init__(self, socket: ClientConnection, patience_s: float) -> None:
        """`patience_s`: how long anything is waited for, so that a check fails instead of hanging."""
        self.events: list[Event] = []
        """Of the server, in order."""
        self.trace: list[Traced] = []
        self.watch = Watch()
        self.closed: tuple[int, str] | None = None
        self.kind = "realtime"
        """The type of its session."""
        self._socket = socket
        self._patience_s = patience_s
        self._taken: set[int] = set()
        self._news = asyncio.Condition()
        self._numbers = itertools.count(1)
        self._clock = asyncio.get_running_loop().time
        self._opened = self._clock()

    @property
    def subprotocol(self) -> str | None:
        return self._socket.subprotocol

    # --- the client's side --------------------------------------------------------------------------------------------------------------

    async def send(self, kind: str, **fields: Any) -> str:
        """Gives the event's id."""
        event_id = f"client_{next(self._numbers)}"
        await self.send_raw({"type": kind, "event_id": event_id, **fields})
        return event_id

    async def send_raw(self, message: Event | str | bytes) -> None:
        self.trace.append(Traced(self._clock() - self._opened, True, message if isinstance(message, dict) else str(message[:300])))
        try:
            await self._socket.send(json.dumps(message) if isinstance(message, dict) else message)
        except ConnectionClosed as gone:
            raise Failed(f"the server has hung up: {self._goodbye()}") from gone

    async def update(self, **session: Any) -> Event:
        """The session as the server tells it afterwards."""
        await self.send("session.update", session={"type": self.kind, **session})
        return (await self.gets("session.updated"))["session"]

    async def refused(self, kind: str, **fields: Any) -> Event:
        """Sends what must be refused; gives the error, whose event_id was compared."""
        event_id = await self.send(kind, **fields)
        error = (await self.gets("error"))["error"]
        expect(error.get("event_id") == event_id, f"the error names event_id {error.get('event_id')!r}, not {event_id!r}")
        return error

    async def fence(self) -> None:
        """Until the server has answered something harmless: what the messages before it caused at once has come."""
        await self.update()

    # --- the server's side --------------------------------------------------------------------------------------------------------------

    async def gets(self, *kinds: str, where: Callable[[Event], bool] = lambda event: True) -> Event:
        """The first such event that was not given yet; others stay. An error that nobody asked for fails the check."""
        try:
            async with asyncio.timeout(self._patience_s), self._news:
                while (event := self._take(kinds, where)) is None:
                    if self.closed is not None:
                        raise Failed(f"waited for {' or '.join(kinds)}, but the server hung up: {self._goodbye()}")
                    await self._news.wait()
                return event
        except TimeoutError as error:
            raise Failed(f"waited {self._patience_s:g} s for {' or '.join(kinds)}") from error

    async def until_closed(self) -> tuple[int, str]:
        """The close code and its reason."""
        try:
            async with asyncio.timeout(self._patience_s), self._news:
                while self.closed is None:
                    await self._news.wait()
                return self.closed
        except TimeoutError as error:
            raise Failed(f"waited {self._patience_s:g} s for the server to hang up") from error

    def of(self, kind: str, **fields: Any) -> list[Event]:
        """All events so far of that type (`prefix.*` for a family) with those fields."""
        return [one for one in self.events if _matches(one["type"], kind) and all(one.get(name) == value for name, value in fields.items())]

    def at(self, event: Event) -> int:
        return next(at for at, one in enumerate(self.events) if one is event)

    def _take(self, kinds: tuple[str, ...], where: Callable[[Event], bool]) -> Event | None:
        for at, event in enumerate(self.events):
            if at in self._taken:
                continue
            wanted = event["type"] in kinds and where(event)
            if wanted or event["type"] == "error":
                self._taken.add(at)
                if not wanted:
                    raise Failed(f"waited for {' or '.join(kinds)}, and got an error: {event.get('error')}")
                return event
        return None

    # --- its life -----------------------------------------------------------------------------------------------------------------------

    async def hear(self) -> None:
        """Until the server hangs up."""
        try:
            async for raw in self._socket:
                await self._heard(raw)
        except ConnectionClosed:
            pass
        async with self._news:
            self.closed = (self._socket.close_code or 1006, self._socket.close_reason or "")
            self._news.notify_all()

    async def vanish(self) -> None:
        """As a client does that loses its network."""
        self._socket.transport.abort()
        await self.until_closed()

    async def settle(self) -> None:
        """Ends what is live, so that everything that was begun can be seen to end."""
        for response_id in self.watch.live:
            if self.closed is None:
                await self.send("response.cancel", response_id=response_id)
        try:
            async with asyncio.timeout(self._patience_s), self._news:
                while self.watch.live and self.closed is None:
                    await self._news.wait()
            if self.watch.unfinished:
                await self.fence()
        except (TimeoutError, Failed):
            pass  # told by `finish`
        if self.closed is None:
            self.watch.finish()

    async def _heard(self, raw: str | bytes) -> None:
        event = self.watch.see(raw)
        self.trace.append(Traced(self._clock() - self._opened, False, event or str(raw[:300])))
        if event is not None:
            async with self._news:
                self.events.append(event)
                self._news.notify_all()

    def _goodbye(self) -> str:
        return "code {}, {!r}".format(*self.closed) if self.closed else "the connection broke"


def _matches(kind: str, pattern: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


def in_order(events: list[Event], *kinds: str) -> None:
    """The first of each kind come in this order."""
    firsts = []
    for kind in kinds:
        at = next((at for at, event in enumerate(events) if event["type"] == kind), None)
        expect(at is not None, f"there is no {kind}")
        firsts.append((at, kind))
    for (before, first), (after, second) in itertools.pairwise(firsts):
        expect(before < after, f"{second} (message {after}) comes before {first} (message {before})")
