"""One session's hold on one speech-to-text replica: what both ends know, and the gateway's end (the replica's: ear_server.py).

The lease is a streaming call of the Serve handle that lasts as long as the session: it picks the replica (admission, affinity, autoscaling)
and tells of its death. The audio goes beside it, on a websocket straight to the replica, because a message through the handle costs ten
times as much. The lease's first item says where the socket is and the token that opens it, once.

Either end notices the other's end: the replica when the call is cancelled (the gateway closed the ear, or died), the gateway when the call
or the socket fails, or is silent for longer than `SILENCE_S`: a cut link makes no error by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from websockets.asyncio.client import ClientConnection

from deployments.ear_frames import SUBPROTOCOL, decode, encode
from deployments.recognitions import traced
from deployments.sockets import SILENCE_S, Outgoing, connected, deliver, hang_up
from serve_app.engines import HearingMessage, HearingResult
from serve_app.errors import EngineGone

T = TypeVar("T")


class Lease(Protocol):
    """A streaming response of a Serve handle."""

    def __anext__(self) -> Any: ...

    def cancel(self) -> None: ...


async def within(seconds: float, call: Awaitable[T]) -> T:
    """The result of a call through a handle. Raises `TimeoutError`, or `EngineGone` when it was cancelled by the other side: Serve raises
    `CancelledError` for that too, and whoever awaits would take it for his own end."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise EngineGone("the replica ended the call") from None


async def open_ear(lease: Lease, translate: Callable[[BaseException], Exception]) -> "LeasedEar":
    """Waits for the lease to be given, and connects. Raises what `translate` makes of the lease's error, or `EngineGone`."""
    try:
        place = await within(SILENCE_S, lease.__anext__())
        connection = await connected(place, SUBPROTOCOL, "speech-to-text")
    except BaseException as error:
        lease.cancel()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise translate(error) from error
    return LeasedEar(lease, connection)


class LeasedEar:
    """An `Ear` whose engine is in another process."""

    def __init__(self, lease: Lease, connection: ClientConnection) -> None:
        self._lease = lease
        self._connection = connection
        self._out = Outgoing()
        self._results: asyncio.Queue[HearingResult | None] = asyncio.Queue()
        self._lost: EngineGone | None = None
        self._closed = False
        self._work = asyncio.create_task(self._run())

    def send(self, message: HearingMessage) -> None:
        if self._lost is not None:
            raise self._lost
        try:
            self._out.put(encode(traced(message)))
        except EngineGone:
            self._lose("it does not read its audio")
            self._work.cancel()
            raise

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
        jobs = [asyncio.create_task(job) for job in (self._out.write(self._send), self._read(), self._watch())]
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
        await hang_up(self._connection)

    async def _send(self, frames: list[bytes]) -> None:
        for frame in frames:
            await deliver(self._connection, frame)

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
