"""An event loop whose clock jumps to the next thing that happens: hours of talk in seconds, written as ordinary coroutines."""

import asyncio
import selectors
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(Exception):
    """Everybody waits for somebody else."""


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]  # which one it is depends on the system
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise Stuck
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time, which begins at 0. Raises `Stuck`. Threads and sockets have no place in it."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)


def now() -> float:
    return asyncio.get_running_loop().time()


async def for_a_while(jobs: Iterable[Coroutine[Any, Any, None]], seconds: float) -> None:
    """Runs all, then cancels them. Raises what one of them raises."""
    tasks = [asyncio.create_task(job) for job in jobs]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
