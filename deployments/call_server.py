"""The replica's end of the sockets over which gateways call its engine; the other end: call_line.py."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Generic

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from deployments.call_frames import SUBPROTOCOL, Asked, Codec, Frame, Item, Kind, Offer, failure, frame, frames, joined, of_call
from deployments.call_spans import called
from deployments.figures import Calls
from deployments.sockets import SILENCE_S, Listener, Outgoing, deliver, hang_up
from serve_app.errors import EngineFailed, EngineGone, SparkvoxError
from serve_app.streams import closable, first_of

LOAD_S = 0.5
"""How often gateways are told of each other's calls."""
TOKEN_S = 30.0
"""How long an offer waits to be taken."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Gateway:
    """One socket."""

    connection: ServerConnection
    out: Outgoing = field(default_factory=Outgoing)
    calls: dict[int, asyncio.Task[None]] = field(default_factory=dict)
    told: int = 0
    """How many calls of others it knows of."""

    def tell(self, one: bytes) -> None:
        with contextlib.suppress(EngineGone):  # it does not read, and will be found out
            self.out.put(one)

    async def send(self, every: list[bytes]) -> None:
        for message in joined(every):
            await deliver(self.connection, message)


class CallServer(Generic[Asked, Item]):
    """Runs the stream of an engine for each call."""

    def __init__(self, stream: Callable[[Asked], AsyncIterator[Item]], codec: Codec[Asked, Item], room: int) -> None:
        """`room`: how many calls the engine is given at once; others wait for their turn."""
        self.calls = Calls()
        self._stream = stream
        self._codec = codec
        self._room = room
        self._turn = asyncio.Semaphore(room)
        self._replica = secrets.token_hex(8)
        self._node = ""
        self._tokens: dict[str, float] = {}
        """Not taken yet, and since when."""
        self._gateways: set[_Gateway] = set()
        self._leaving = False
        self._idle = asyncio.Event()
        self._listener: Listener | None = None
        self._telling: asyncio.Task[None] | None = None

    async def start(self, host: str, node: str) -> None:
        self._node = node
        self._listener = Listener(host, SUBPROTOCOL, self._tokens.__contains__, self._talk)
        await self._listener.start()
        self._telling = asyncio.create_task(self._tell())

    async def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        if self._listener is not None:
            await self._listener.stop()

    def offer(self, known: Collection[str]) -> Offer | None:
        """None for those who know this replica, and for all when it is being taken away."""
        if self._listener is None or self._leaving or self._replica in known:
            return None
        now, token = time.monotonic(), secrets.token_urlsafe(24)
        for old in [old for old, since in self._tokens.items() if now - since > TOKEN_S]:
            del self._tokens[old]
        self._tokens[token] = now
        return Offer(self._listener.place(token), self._replica, self._node, self._room)

    async def leave(self) -> None:
        """Takes no new calls, and returns when those that it has are over and were read to the end."""
        self._leaving = True
        for gateway in self._gateways:
            gateway.tell(frame(Kind.LEAVING))
        while self.calls.live:
            self._idle.clear()
            await self._idle.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await asyncio.gather(*(gateway.out.sent() for gateway in self._gateways))
        await self.stop()

    async def _talk(self, token: str, connection: ServerConnection) -> None:
        if self._tokens.pop(token, None) is None or self._leaving:  # used by another, or given before it was told to end
            return
        gateway = _Gateway(connection)
        self._gateways.add(gateway)
        try:
            with contextlib.suppress(ConnectionClosed, EngineGone):
                await first_of(self._read(gateway), gateway.out.write(gateway.send))
        finally:
            self._gateways.discard(gateway)
            unwanted = list(gateway.calls.values())
            for task in unwanted:
                task.cancel()
            await asyncio.gather(*unwanted, return_exceptions=True)
            await hang_up(connection, CloseCode.GOING_AWAY)

    async def _read(self, gateway: _Gateway) -> None:
        async for message in gateway.connection:
            for one in frames(message if isinstance(message, bytes) else message.encode()):
                if one.kind is Kind.CALL:
                    self._begin(gateway, one)
                elif one.kind is Kind.CANCEL and one.call in gateway.calls:  # it may have ended meanwhile
                    gateway.calls[one.call].cancel()

    def _begin(self, gateway: _Gateway, call: Frame) -> None:
        task = asyncio.create_task(self._answer(gateway, call))
        gateway.calls[call.call] = task
        task.add_done_callback(lambda _: self._ended(gateway, call.call))

    def _ended(self, gateway: _Gateway, number: int) -> None:
        del gateway.calls[number]
        self._idle.set()

    async def _answer(self, gateway: _Gateway, call: Frame) -> None:
        try:
            if self._leaving:
                raise EngineGone("the replica is being taken away")
            with self.calls.one():
                await self._work(gateway, call)
            last = frame(Kind.DONE, call.call)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            last = frame(Kind.FAILED, call.call, failure(EngineGone("the engine ended the call")))
        except Exception as error:
            last = frame(Kind.FAILED, call.call, failure(_ours(error)))
        gateway.tell(last)

    async def _work(self, gateway: _Gateway, call: Frame) -> None:
        trace, asked = of_call(call.payload)
        request = self._codec.read_asked(asked)
        with called(self._codec.name, trace) as begun:
            async with self._turn:
                begun()
                async with aclosing(closable(self._stream(request))) as items:
                    async for item in items:
                        gateway.out.put(frame(Kind.ITEM, call.call, self._codec.write_item(item)))
                        await gateway.out.room()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(LOAD_S)
            for gateway in self._gateways:
                others = sum(len(other.calls) for other in self._gateways if other is not gateway)
                if others != gateway.told:
                    gateway.told = others
                    gateway.tell(frame(Kind.LOAD, 0, others.to_bytes(4, "big")))


async def serving(stream: Callable[[Any], AsyncIterator[Any]], codec: Codec[Any, Any], room: int) -> CallServer[Any, Any]:
    """In a replica of Serve: started, and heard before the replica is stopped."""
    import ray

    from patches.serve_drain import on_shutdown

    server = CallServer(stream, codec, room)
    await server.start(ray.util.get_node_ip_address(), ray.get_runtime_context().get_node_id())
    loop = asyncio.get_running_loop()
    on_shutdown(lambda: asyncio.wrap_future(asyncio.run_coroutine_threadsafe(server.leave(), loop)))
    return server


def _ours(error: Exception) -> SparkvoxError:
    if isinstance(error, SparkvoxError):
        return error
    log.error("a call failed", exc_info=error)
    return EngineFailed(f"{type(error).__name__}: {next(iter(str(error).splitlines()), 'no reason given')}")
