"""A gateway's sockets to all replicas of one deployment: how they come and go, and which of them takes a call."""

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Generic

from deployments.call_frames import Asked, Codec, Item, Offer
from deployments.call_line import FIRST_S, Line, line_to
from serve_app.errors import EngineGone, SparkvoxError

AGAIN_S = 2.0
"""How often new replicas are looked for."""
SOON_S = 0.1
"""The same while there are none."""
NO_TROUBLE = "there is none"

log = logging.getLogger(__name__)


def chosen(lines: Sequence[Line[Asked, Item]], node: str) -> Line[Asked, Item] | None:
    """On `node` while it has room there, then where there is room, then anywhere: the one with the fewest calls."""
    taking = [line for line in lines if line.open]
    roomy = [line for line in taking if line.load < line.offer.room]
    near = [line for line in roomy if line.offer.node == node]
    return min(near or roomy or taking, key=lambda line: line.load, default=None)


class Lines(Generic[Asked, Item]):
    def __init__(self, offers: Callable[[tuple[str, ...]], Awaitable[Sequence[Offer]]], codec: Codec[Asked, Item], node: str) -> None:
        """`offers`: of all replicas that are not among the ones that it is given, or some of our errors; `node`: the one that is near."""
        self._offers = offers
        self._codec = codec
        self._node = node
        self._lines: list[Line[Asked, Item]] = []
        """The one that was taken last is the last."""
        self._connecting: dict[str, asyncio.Task[None]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._wanted, self._came = asyncio.Event(), asyncio.Event()
        self._trouble = NO_TROUBLE
        self._context = contextvars.copy_context()
        """Not a session's, in whose trace and lines the looking would be."""

    async def open(self) -> None:
        """Waits until there is one. Raises `EngineGone`."""
        await self._chosen()

    async def call(self, asked: Asked) -> AsyncGenerator[Item, None]:
        """As `Line.call`; an iterator that was never begun has nothing to cancel."""
        began = time.monotonic()
        line = await self._chosen()
        async with aclosing(line.call(asked, began + FIRST_S - time.monotonic())) as items:
            async for item in items:
                yield item

    async def close(self) -> None:
        tasks = [*self._connecting.values(), *([] if self._looking is None else [self._looking])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(line.close() for line in list(self._lines)))

    async def _chosen(self) -> Line[Asked, Item]:
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), context=self._context)
        try:
            async with asyncio.timeout(FIRST_S):
                while (line := chosen(self._lines, self._node)) is None:
                    self._wanted.set()
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise EngineGone(f"no replica of {self._codec.whose} can be reached: {self._trouble}") from None
        self._lines.remove(line)
        self._lines.append(line)
        return line

    async def _look(self) -> None:
        while True:
            try:
                offers = await self._offers((*(line.offer.replica for line in self._lines), *self._connecting))
            except SparkvoxError as error:
                self._say(str(error))
                offers = ()
            for offer in offers:
                self._connecting[offer.replica] = asyncio.create_task(self._connect(offer))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S if chosen(self._lines, self._node) else SOON_S):
                    await self._wanted.wait()
            self._wanted.clear()

    async def _connect(self, offer: Offer) -> None:
        try:
            line = await line_to(offer, self._codec)
        except EngineGone as error:
            self._say(str(error))
            return
        finally:
            del self._connecting[offer.replica]
        self._trouble = NO_TROUBLE
        self._lines.append(line)
        line.ended.add_done_callback(lambda _: self._gone(line))
        self._came.set()

    def _gone(self, line: Line[Asked, Item]) -> None:
        self._lines.remove(line)
        self._wanted.set()

    def _say(self, trouble: str) -> None:
        """Once: it is looked again and again."""
        if trouble != self._trouble:
            self._trouble = trouble
            log.warning("%s", trouble)
