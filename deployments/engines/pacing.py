"""What holds the work of the fake engines up: a gate that a test opens, and steps that take as long as a real model's."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from serve_app.errors import EngineFailed


class Gate:
    """Holds the work of a worker thread between `shut` and `open`."""

    GIVE_UP_S = 30.0
    """A test that forgot to open it fails instead of hanging."""

    def __init__(self) -> None:
        self._way = threading.Event()
        self._way.set()
        self._reached = threading.Event()

    def shut(self) -> None:
        self._reached.clear()
        self._way.clear()

    def open(self) -> None:
        self._way.set()

    async def reached(self) -> None:
        """Until some work stands before the gate."""
        if not await asyncio.to_thread(self._reached.wait, self.GIVE_UP_S):
            raise EngineFailed("nothing came to the gate")

    def pass_through(self) -> None:
        """For the worker thread."""
        self._reached.set()
        if not self._way.wait(self.GIVE_UP_S):
            raise EngineFailed("the gate stayed shut")


class Steps:
    """A model's steps, one token each for all replies under way; what comes during a step waits for the next."""

    def __init__(self, step_s: float, sequence_s: float) -> None:
        """A step takes `step_s`, and `sequence_s` more for each reply. 0: no time."""
        self._step_s = step_s
        self._sequence_s = sequence_s
        self._replies: dict[asyncio.Queue[None], None] = {}
        self._stepping: asyncio.Task[None] | None = None

    @contextmanager
    def joined(self) -> Iterator[Callable[[], Awaitable[None]]]:
        """For one reply: gives what waits for its next token."""
        tokens: asyncio.Queue[None] = asyncio.Queue()
        if not self._step_s:
            yield _at_once
            return
        self._replies[tokens] = None
        if self._stepping is None:
            self._stepping = asyncio.create_task(self._step_on())
        try:
            yield tokens.get
        finally:
            del self._replies[tokens]

    async def _step_on(self) -> None:
        """Goes on at the model's pace, whether a reply's tokens are taken or not."""
        while replies := list(self._replies):
            await asyncio.sleep(self._step_s + self._sequence_s * len(replies))
            for tokens in replies:
                tokens.put_nowait(None)
        self._stepping = None


async def _at_once() -> None: ...
