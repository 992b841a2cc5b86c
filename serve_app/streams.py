"""Streams of engines, so that whoever stops listening can stop the work."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


def closable(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """For `aclosing`: engines' streams are async generators, but their Protocol only promises an iterator."""
    return pieces if isinstance(pieces, AsyncGenerator) else _wrapped(pieces)


async def _wrapped(pieces: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    async for piece in pieces:
        yield piece
