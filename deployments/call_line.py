"""A gateway's end of one socket to one replica, and of all the calls on it; the other end: call_server.py."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator
from typing import Generic

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from deployments.call_frames import (
    SUBPROTOCOL,
    Asked,
    BadFrame,
    Codec,
    Frame,
    Item,
    Kind,
    Offer,
    call_payload,
    frame,
    frames,
    joined,
    of_failure,
)
from deployments.recognitions import traceparent
from deployments.sockets import Outgoing, connected, deliver, hang_up
from serve_app.errors import EngineFailed, EngineGone
from serve_app.streams import first_of

FIRST_S = 30.0
"""Until the first item: a long prompt on a slow machine, behind others."""
NEXT_S = 15.0
"""Between two items."""


async def line_to(offer: Offer, codec: Codec[Asked, Item]) -> "Line[Asked, Item]":
    """Raises `EngineGone`."""
    return Line(await connected(offer.place, SUBPROTOCOL, codec.whose), offer, codec)


class Line(Generic[Asked, Item]):
    def __init__(self, connection: ClientConnection, offer: Offer, codec: Codec[Asked, Item]) -> None:
        self.offer = offer
        self.others = 0
        """Calls that the replica has from other gateways, as it told last."""
        self.open = True
        """It takes calls."""
        self._connection = connection
        self._codec = codec
        self._out = Outgoing()
        self._calls: dict[int, asyncio.Queue[Frame | None]] = {}
        self._numbers = itertools.count(1)
        self._lost: str | None = None
        self.ended = asyncio.create_task(self._run())
        """Done when the socket is gone, and all calls with it."""

    @property
    def load(self) -> int:
        """Calls that the replica has."""
        return len(self._calls) + self.others

    async def call(self, asked: Asked, first_s: float = FIRST_S, next_s: float = NEXT_S) -> AsyncGenerator[Item, None]:
        """What it answers. Closing ends its work. Raises its errors, and `EngineGone` when the socket is lost or silent for too long."""
        number, answers = next(self._numbers) & 0xFFFFFFFF, asyncio.Queue[Frame | None]()
        payload = call_payload(traceparent(), self._codec.write_asked(asked))
        self._put(frame(Kind.CALL, number, payload))
        self._calls[number] = answers
        wait_s, over = first_s, False
        try:
            while True:
                answer = await self._next(answers, wait_s)
                over = answer.kind is not Kind.ITEM
                if answer.kind is Kind.DONE:
                    return
                yield self._item(answer)
                wait_s = next_s
        finally:
            self._calls.pop(number, None)
            if not over and self._lost is None:
                with contextlib.suppress(EngineGone):
                    self._put(frame(Kind.CANCEL, number))

    async def close(self) -> None:
        self._lose("it was closed")
        self.ended.cancel()
        await asyncio.gather(self.ended, return_exceptions=True)
        await hang_up(self._connection)

    def _put(self, one: bytes) -> None:
        if self._lost is not None:
            raise EngineGone(self._lost)
        self._out.put(one)

    async def _next(self, answers: "asyncio.Queue[Frame | None]", wait_s: float) -> Frame:
        try:
            if answers.empty():
                async with asyncio.timeout(wait_s):
                    answer = await answers.get()
            else:
                answer = answers.get_nowait()
        except TimeoutError:
            raise EngineGone(f"a replica of {self._codec.whose} does not answer") from None
        if answer is None:
            raise EngineGone(self._lost)
        return answer

    def _item(self, answer: Frame) -> Item:
        if answer.kind is Kind.FAILED:
            raise of_failure(answer.payload)
        try:
            return self._codec.read_item(answer.payload)
        except ValueError as error:
            raise EngineFailed(f"{self._codec.whose} answered what cannot be read: {error}") from error

    async def _run(self) -> None:
        try:
            await first_of(self._read(), self._out.write(self._send))
        except (ConnectionClosed, BadFrame, EngineGone) as error:
            self._lose(str(error))
        finally:
            self._lose("it ended the connection")
            await hang_up(self._connection)

    async def _send(self, every: list[bytes]) -> None:
        for message in joined(every):
            await deliver(self._connection, message)

    async def _read(self) -> None:
        async for message in self._connection:
            for one in frames(message if isinstance(message, bytes) else message.encode()):
                self._came(one)

    def _came(self, one: Frame) -> None:
        match one.kind:
            case Kind.LOAD:
                self.others = int.from_bytes(one.payload, "big")
            case Kind.LEAVING:
                self.open = False
            case _ if one.call in self._calls:  # else it was cancelled
                self._calls[one.call].put_nowait(one)

    def _lose(self, why: str) -> None:
        if self._lost is None:
            self._lost = f"a replica of {self._codec.whose} was lost: {why}"
            self.open = False
            for answers in self._calls.values():
                answers.put_nowait(None)
