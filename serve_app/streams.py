"""Streams of engines: whoever stops listening can stop the work, and what was lost before its first piece is begun again."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import TypeVar

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
