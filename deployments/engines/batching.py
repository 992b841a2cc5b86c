"""One thread, one model, and those who wait for it together in one batch.

A run takes what is waiting when it begins; one that finds the model idle first waits a few milliseconds for others. A waiter who was
cancelled before is left out. Bound to no event loop: futures cross over to whichever loop asks.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from serve_app.errors import EngineFailed, EngineGone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Asked = TypeVar("Asked")
Given = TypeVar("Given")
Done = TypeVar("Done")


class Batches(Generic[Asked, Given]):
    def __init__(self, run: Callable[[Sequence[Asked]], Sequence[Given]], most: int, window_s: float) -> None:
        """`run` answers each of what it is given, in its place; what it raises, all of them are told. `most`: in one run."""
        self.most = most
        self._run = run
        self._window_s = window_s
        self._waiting: deque[tuple[Asked, Future[Given]]] = deque()
        self._came = threading.Condition()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")

    async def submit(self, asked: Asked) -> Given:
        """Raises what the run raises, and `EngineGone` once closed."""
        future: Future[Given] = Future()
        with self._came:
            if self._closed:
                raise EngineGone("the engine was closed")
            self._waiting.append((asked, future))
            self._came.notify()
        self._thread.submit(self._step)
        return await asyncio.wrap_future(future)

    async def call(self, function: Callable[..., Done], *arguments: Any) -> Done:
        """On the thread, between two runs."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def close(self, last: Callable[[], None]) -> None:
        """Those who wait are told `EngineGone`; `last` is done on the thread after the run that is under way."""
        with self._came:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
            self._came.notify()
        for _, future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineGone("the engine was closed"))
        await self.call(last)
        self._thread.shutdown(wait=False)

    def _step(self) -> None:
        """There is one for each that was submitted; those whose batch an earlier one took find nothing."""
        batch = self._gather()
        if not batch:
            return
        try:
            answers = self._run([asked for asked, _ in batch])
            if len(answers) != len(batch):  # before anybody is told: whoever is left out would wait for ever
                raise EngineFailed(f"the engine gave {len(answers)} answers to a batch of {len(batch)}")
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)

    def _gather(self) -> list[tuple[Asked, Future[Given]]]:
        with self._came:
            if self.most > 1 and self._waiting:
                self._came.wait_for(lambda: self._closed or len(self._waiting) >= self.most, self._window_s)
            batch: list[tuple[Asked, Future[Given]]] = []
            while self._waiting and len(batch) < self.most:
                asked, future = self._waiting.popleft()
                if future.set_running_or_notify_cancel():
                    batch.append((asked, future))
            return batch
