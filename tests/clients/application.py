"""What an application brings to a client in Python: a microphone that never stops, a speaker, and the patience to wait for what it wants to
see."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from tests.clients.script import BYTES_A_SECOND, RATE, Utterance

FRAME = RATE // 10


class Microphone:
    """Silence, but for what is said."""

    def __init__(self, send: Callable[[bytes], Awaitable[None]], speed: float) -> None:
        self._send = send
        self._frame_s = FRAME / RATE / speed
        self._rest = np.zeros(0, np.int16)

    def says(self, utterance: Utterance) -> None:
        self._rest = np.concatenate((self._rest, utterance.pcm))

    async def run(self) -> None:
        """Until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
            await self._send(np.concatenate((frame, np.zeros(FRAME - len(frame), np.int16))).tobytes())
            due += self._frame_s
            await asyncio.sleep(max(0.0, due - clock()))


class Speaker:
    """Nobody hears it, but it takes the time that the sound takes."""

    def __init__(self) -> None:
        self.bytes = 0
        self._ends_s = 0.0

    def plays(self, size: int) -> None:
        now = asyncio.get_running_loop().time()
        self.bytes += size
        self._ends_s = max(now, self._ends_s) + size / BYTES_A_SECOND

    async def is_quiet(self) -> None:
        """Until all has been played: a polite user speaks no sooner."""
        await asyncio.sleep(self._ends_s - asyncio.get_running_loop().time())


class Events:
    """What the client gave, in order."""

    def __init__(self, patience_s: float, name: Callable[[Any], str]) -> None:
        self.all: list[Any] = []
        self._patience_s = patience_s
        self._name = name
        self._news = asyncio.Event()

    def see(self, event: Any) -> None:
        self.all.append(event)
        self._news.set()

    @property
    def names(self) -> list[str]:
        """What repeats itself is named once."""
        return [name for name, _ in groupby(self._name(event) for event in self.all)]

    async def until(self, what: str, is_there: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                while not is_there():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pytest.fail(f"the client never saw {what}; it saw {self.names}")
