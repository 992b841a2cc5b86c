"""A replica gives back its caches when it is its turn: the largest goes first, and the others only where that was not enough."""

import asyncio
from pathlib import Path

import pytest

from deployments.memory_guard import MemoryGuard
from serve_app.pressure import Level
from serve_app.settings import MemorySettings
from tests.deployments.conftest import PATIENCE_S


@pytest.mark.parametrize("gives_at", [Level.LARGEST_CACHE, Level.ALL_CACHES])
async def test_a_cache_goes_at_its_step_and_not_before(gives_at: Level, tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 1000000 kB\nMemAvailable: 20000 kB\nSwapTotal: 0 kB\n")
    memory = MemorySettings(period_s=0.01, step_s=0.05, proc=tmp_path)
    given: asyncio.Queue[Level] = asyncio.Queue()

    async def give_back() -> None:
        given.put_nowait(guard.state[0])

    guard = MemoryGuard(memory, give_back, gives_at)
    guard.start()
    async with asyncio.timeout(PATIENCE_S):
        assert await given.get() is gives_at
