"""Engines on a GPU load one after the other, where there is room; those on the CPU are not held up."""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from deployments import loading as module
from deployments.loading import loading
from serve_app.engine_settings import TextToSpeechSettings
from serve_app.errors import EngineFailed
from serve_app.pressure import GB
from serve_app.settings import MemorySettings, Settings

PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def own_run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers on this machine load too."""
    monkeypatch.setattr(module, "run_folder", lambda: tmp_path)


def machine(folder: Path, available_gb: float, swap_gb: float = 0) -> MemorySettings:
    sizes = {"MemTotal": 121.0, "MemAvailable": available_gb, "SwapTotal": swap_gb}
    (folder / "meminfo").write_text("".join(f"{name}: {int(size * GB / 1024)} kB\n" for name, size in sizes.items()))
    return MemorySettings(proc=folder, wait_s=0)


def voice(gb: float | None, gpus: float) -> TextToSpeechSettings:
    size = None if gb is None else int(gb * GB)
    return Settings.of({"profile": "fake", "tts.num_gpus": gpus, "tts.memory_bytes": size}).tts


async def most_at_once(gpus: float, memory: MemorySettings) -> int:
    """Of three engines that load."""
    inside, most = 0, 0

    async def load(name: str) -> None:
        nonlocal inside, most
        async with loading(name, voice(10, gpus), memory):
            inside += 1
            most = max(most, inside)
            await asyncio.to_thread(lambda: None)  # the others get as far as they may
            inside -= 1

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for name in ("first", "second", "third"):
            tasks.create_task(load(name))
    return most


async def test_engines_on_one_gpu_load_one_after_the_other(tmp_path: Path) -> None:
    assert await most_at_once(0.1, machine(tmp_path, 100)) == 1


async def test_engines_on_the_cpu_load_all_at_once(tmp_path: Path) -> None:
    assert await most_at_once(0.0, machine(tmp_path, 100)) == 3


async def test_a_process_that_is_killed_while_it_loads_holds_nobody_up(tmp_path: Path) -> None:
    file = str(tmp_path / "loading.lock")
    hold = f"from filelock import FileLock; FileLock({file!r}).acquire(); print('held', flush=True); input()"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", hold, stdin=PIPE, stdout=PIPE)
    assert other.stdout is not None and await other.stdout.readline() == b"held\n"
    other.kill()
    await other.wait()
    async with asyncio.timeout(PATIENCE_S), loading("text-to-speech", voice(10, 0.1), machine(tmp_path, 100)):
        pass


async def test_an_engine_without_room_is_refused_by_name_before_it_takes_anything(tmp_path: Path) -> None:
    loaded = False
    missing = r"the language model is not loaded: it takes 50\.0 GB and 2\.0 stay free, but 41\.5 of 121\.0 GB .* 10\.5 GB are missing"
    with pytest.raises(EngineFailed, match=missing):
        async with loading("the language model", voice(50, 0.5), machine(tmp_path, 41.5)):
            loaded = True
    assert not loaded


async def test_what_a_killed_replica_had_is_waited_for(tmp_path: Path) -> None:
    memory = machine(tmp_path, 3).model_copy(update={"wait_s": PATIENCE_S})

    async def load() -> None:
        async with loading("text-to-speech", voice(20, 0.2), memory):
            pass

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(load())
        await asyncio.sleep(0)
        assert not waiting.done()
        machine(tmp_path, 60)


async def test_a_machine_that_tells_nothing_is_not_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with loading("text-to-speech", voice(20, 0.2), MemorySettings(proc=tmp_path)):
        pass
    assert "memory is not checked" in caplog.text


async def test_after_a_refusal_the_next_may_load(tmp_path: Path) -> None:
    memory = machine(tmp_path, 20)
    with pytest.raises(EngineFailed):
        async with loading("large", voice(50, 0.5), memory):
            pass
    async with asyncio.timeout(PATIENCE_S), loading("small", voice(5, 0.1), memory):
        pass


async def test_an_engine_that_takes_more_than_there_is_goes_again(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"it took 29\.4 GB where 20\.0 were planned, and left 0\.6"):
        async with loading("text-to-speech", voice(20, 0.2), machine(tmp_path, 30)):
            machine(tmp_path, 0.6)


async def test_what_an_engine_took_is_told_beside_the_plan(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with loading("text-to-speech", voice(20, 0.2), machine(tmp_path, 90)):
        machine(tmp_path, 60)
    assert "took 30.0 GB, 20.0 were planned; 60.0 GB are left" in caplog.text
    assert "took 10.0 GB more than planned: set its memory_bytes" in caplog.text


async def test_swap_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with loading("text-to-speech", voice(20, 0.2), machine(tmp_path, 90, swap_gb=8)):
        pass
    assert "swapoff" in caplog.text


async def test_engines_on_the_cpu_are_only_warned(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = machine(tmp_path, 3)
    async with loading("text-to-speech", voice(4, 0), memory), loading("the language model", voice(1, 0), memory):
        pass
    assert "text-to-speech takes about 4.0 GB, but 3.0 are available" in caplog.text
    assert "language model" not in caplog.text


async def test_what_no_plan_knows_is_loaded(tmp_path: Path) -> None:
    async with loading("text-to-speech", voice(None, 0.5), machine(tmp_path, 0.1)):
        pass


async def test_the_check_can_be_switched_off(tmp_path: Path) -> None:
    off = machine(tmp_path, 0.1).model_copy(update={"check": False})
    async with loading("text-to-speech", voice(50, 0.5), off):
        pass
