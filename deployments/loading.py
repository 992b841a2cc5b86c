"""Engines that share a GPU's memory are loaded one after the other on each node, and only where the plan's bytes are there.

An over-committed Spark does not fail: it stops answering. So each engine waits for the one before it, looks what is available, and says
what is missing before it takes anything. Engines on the CPU are not held up; where memory is short, that is only said.
"""

import asyncio
import logging
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from filelock import AsyncFileLock

from serve_app.engine_settings import Placement
from serve_app.errors import EngineFailed
from serve_app.machine_memory import read
from serve_app.pressure import Reading
from serve_app.settings import MemorySettings

GB = 10**9
KEPT = 2 * GB
"""Stays available beside the engine: MemAvailable has the system's own need taken off already."""
FLOOR = 1 * GB
"""With less left after loading, the engine is unloaded again: the next would wedge the machine."""
POLL_S = 0.2

log = logging.getLogger(__name__)


@asynccontextmanager
async def loading(engine: str, placement: Placement, memory: MemorySettings) -> AsyncIterator[None]:
    """Around an engine's `warm`. Raises `EngineFailed` where it does not fit, or took more than there is."""
    planned = placement.memory_bytes
    if planned is None or not memory.check or not _readable(memory):
        yield
    elif not placement.on_gpu:
        _say_if_short(engine, planned, read(memory.proc))
        yield
    else:
        async with AsyncFileLock(run_folder() / "loading.lock", poll_interval=POLL_S):
            before = await _room(engine, planned, memory)
            yield
            compare(engine, planned, before, read(memory.proc))


async def _room(engine: str, planned: int, memory: MemorySettings) -> Reading:
    """Waits a while for it: what a replica had that was killed a moment ago comes back piece by piece."""
    with suppress(TimeoutError):
        async with asyncio.timeout(memory.wait_s):
            while planned + KEPT > read(memory.proc).available_bytes:  # noqa: ASYNC110  # the kernel tells nobody
                await asyncio.sleep(POLL_S)
    reading = read(memory.proc)
    refuse_if_short(engine, planned, reading)
    return reading


def _readable(memory: MemorySettings) -> bool:
    try:
        read(memory.proc)
    except (OSError, KeyError) as error:
        log.warning("memory is not checked: %s cannot be read (%s)", memory.proc, error)
        return False
    return True


def run_folder() -> Path:
    """Of this user on this machine; the lock in it is the kernel's, and goes with the process that holds it."""
    folder = Path(tempfile.gettempdir()) / f"sparkvox-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def refuse_if_short(engine: str, planned: int, reading: Reading) -> None:
    if reading.swap_bytes:
        log.warning("this machine has swap: an over-committed Spark freezes in it instead of failing; sudo swapoff -a")
    missing = planned + KEPT - reading.available_bytes
    if missing > 0:
        raise EngineFailed(
            f"{engine} is not loaded: it takes {planned / GB:.1f} GB and {KEPT / GB:.1f} stay free, but {reading.available_bytes / GB:.1f} "
            f"of {reading.total_bytes / GB:.1f} GB are available: {missing / GB:.1f} GB are missing (sparkvox plan shows the budget)"
        )


def compare(engine: str, planned: int, before: Reading, after: Reading) -> None:
    took = before.available_bytes - after.available_bytes
    log.info("%s took %.1f GB, %.1f were planned; %.1f GB are left", engine, took / GB, planned / GB, after.available_bytes / GB)
    if after.available_bytes < FLOOR:
        raise EngineFailed(
            f"{engine} is unloaded again: it took {took / GB:.1f} GB where {planned / GB:.1f} were planned, "
            f"and left {after.available_bytes / GB:.1f}"
        )
    if took > planned * 1.15 + GB:
        log.warning("%s took %.1f GB more than planned: set its memory_bytes", engine, (took - planned) / GB)


def _say_if_short(engine: str, planned: int, reading: Reading) -> None:
    if planned > reading.available_bytes:
        log.warning("%s takes about %.1f GB, but %.1f are available", engine, planned / GB, reading.available_bytes / GB)
