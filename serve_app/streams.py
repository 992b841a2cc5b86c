"""Streams of engines, and work beside other work: whoever stops listening can stop it, and what was lost before its first piece is begun
again."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from serve_app.core.retries import Retries
from serve_app.errors import EngineGone

T = TypeVar("T")


def closable(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """For `aclosing`: engines' streams are async generators, but their Protocol only promises an iterator."""
    return pieces if isinstance(pieces, AsyncGenerator) else _wrapped(pieces)


async def _wrapped(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    async for piece in pieces:
        yield piece


async def begun_again(begin: Callable[[], AsyncIterator[T]]) -> AsyncGenerator[T, None]:
    """The pieces of a stream; where its replica is lost before the first of them, those of another try."""
    retries = Retries(time.monotonic())
    while True:
        untouched = True
        try:
            async with aclosing(closable(begin())) as pieces:
                async for piece in pieces:
                    untouched = False
                    yield piece
            return
        except EngineGone:
            pause_s = retries.again_in(time.monotonic()) if untouched else None
            if pause_s is None:
                raise
        await asyncio.sleep(pause_s)


async def first_of(*jobs: Coroutine[Any, Any, None]) -> None:
    """Runs all until one ends; the others are cancelled and waited for; what that one raised is raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def to_the_end(job: Coroutine[Any, Any, None]) -> None:
    """Runs all of it, also when whoever waits for it is cancelled meanwhile; that is raised afterwards."""
    task = asyncio.create_task(job)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
