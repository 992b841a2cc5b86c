"""Watches the memory of its node from within a replica, and acts before the machine stops answering (serve_app/pressure.py has the rules).

Each replica watches its own node and gives back what it can do without; a gateway also stops taking sessions and speculating, and asks the
other replicas how their nodes are, since it may be the one that fills them.
"""

import asyncio
import gc
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from deployments.metrics import Gauges
from serve_app.machine_memory import read
from serve_app.measures import AVAILABLE, PRESSURE, TOTAL
from serve_app.pressure import Level, Limits, Pressure, Reading, Shedding
from serve_app.settings import MemorySettings

log = logging.getLogger(__name__)

State = tuple[Level, str]
"""How a node is, and what was seen there."""


class MemoryGuard:
    def __init__(self, memory: MemorySettings, give_back: Callable[[], Awaitable[None]], gives_at: Level = Level.ALL_CACHES) -> None:
        """`give_back` is awaited when memory is as short as `gives_at`, and again for as long as it is."""
        self._memory = memory
        self._give_back = give_back
        self._gives_at = gives_at
        self._pressure = Pressure(Limits(memory.low_bytes, memory.stalled, memory.step_s, memory.calm_s))
        self._task: asyncio.Task[None] | None = None
        self._reading: Reading | None = None

    @property
    def state(self) -> State:
        return self._pressure.level, self._pressure.why

    def gauges(self) -> Gauges:
        """Of the node, as it was last seen."""

        def of(read: Callable[[Reading], float]) -> Callable[[], float | None]:
            return lambda: None if self._reading is None else read(self._reading)

        return {
            AVAILABLE: of(lambda reading: reading.available_bytes),
            TOTAL: of(lambda reading: reading.total_bytes),
            PRESSURE: of(lambda _: self._pressure.level),
        }

    def start(self) -> None:
        if self._memory.guard:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        give_back_at = 0.0
        while True:
            try:
                self._reading = reading = read(self._memory.proc)
            except (OSError, KeyError) as error:
                log.warning("nobody watches this node's memory: %s cannot be read (%s)", self._memory.proc, error)
                return
            self._say(before=self._pressure.level, level=self._pressure.read(reading, loop.time()))
            if self._pressure.level >= self._gives_at and loop.time() >= give_back_at:
                await self._small_caches()
                give_back_at = loop.time() + self._memory.calm_s  # they fill again
            await asyncio.sleep(self._memory.period_s)

    def _say(self, before: Level, level: Level) -> None:
        if level > before:
            log.warning("memory is short: %s; %s", self._pressure.why, level.name)
        elif level < before:
            log.warning("memory is easier: %s is over", before.name)

    async def _small_caches(self) -> None:
        try:
            await self._give_back()
        except Exception:
            log.exception("a cache could not be given back")


async def give_back(engine: Any) -> None:
    """What an engine can do without (`async def shed(self) -> None`, where it has one), and what libraries keep for themselves."""
    if hasattr(engine, "shed"):
        await engine.shed()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    await asyncio.to_thread(_trim)


def _trim() -> None:
    """glibc keeps what was freed; other C libraries have no such call."""
    import ctypes

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def follow(shedding: Shedding, own: MemoryGuard, others: Sequence[Any], memory: MemorySettings) -> None:
    """Keeps `shedding` at the worst of this node and those of `others`, handles of deployments. A node that does not answer says nothing:
    that it is gone is somebody else's to notice."""
    asked: Sequence[State] = ()
    loop = asyncio.get_running_loop()
    ask_at = loop.time()
    while True:
        if others and loop.time() >= ask_at:
            asked = await _states(others, memory.ask_s)
            ask_at = loop.time() + memory.ask_s
        shedding.level, shedding.why = max((own.state, *asked))
        await asyncio.sleep(memory.period_s)


async def _states(handles: Sequence[Any], within_s: float) -> list[State]:
    answers = await asyncio.gather(*(_asked(handle, within_s) for handle in handles))
    return [state for states in answers for state in states]


async def _asked(handle: Any, within_s: float) -> list[State]:
    try:
        answers = await handle.options(_by_reference=False).broadcast("memory").results_async(timeout_s=within_s, return_exceptions=True)
    except Exception as error:  # of Ray or Serve, whatever it is
        log.info("a deployment does not tell how its memory is: %s", error)
        return []
    return [answer for answer in answers if not isinstance(answer, BaseException)]
