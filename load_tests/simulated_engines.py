"""The engines of one node on paper: how long each takes, and how they wait for each other. For virtual time.

A GPU gives each engine that has work an equal share of its time, as it does with processes of their own. Recognition and synthesis take one
piece of work after the other; the language model takes a step for all its replies together, which reads the weights once, what each reply
remembers, and computes what is new of their prompts.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from load_tests.virtual_time import now


class Gpu:
    """Work that is given at the same time shares it."""

    def __init__(self, shared: bool = True) -> None:
        """`shared` False: as if each engine had one of its own."""
        self._shared = shared
        self._left: dict[asyncio.Future[None], float] = {}
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.busy_s = 0.0

    async def work(self, seconds: float) -> None:
        """`seconds`: what it would take alone."""
        if not self._shared:
            await asyncio.sleep(seconds)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._advance()
        self._left[done] = seconds
        self._aim()
        try:
            await done
        finally:
            self._advance()
            self._left.pop(done, None)
            self._aim()

    def _advance(self) -> None:
        passed, self._since = now() - self._since, now()
        if self._left:
            self.busy_s += passed
            each = passed / len(self._left)
            self._left = {work: left - each for work, left in self._left.items()}

    def _aim(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._left:
            in_s = max(0.0, min(self._left.values())) * len(self._left)
            self._timer = asyncio.get_running_loop().call_later(in_s, self._finish)

    def _finish(self) -> None:
        self._timer = None
        self._advance()
        for done, left in list(self._left.items()):
            if left <= 1e-9 and not done.done():
                del self._left[done]
                done.set_result(None)
        self._aim()


class OneByOne:
    """Work that takes the same time each, one after the other."""

    def __init__(self, gpu: Gpu, seconds: float) -> None:
        self.gpu = gpu
        self._seconds = seconds
        self._at_work = asyncio.Lock()

    async def one(self, seconds: float | None = None) -> None:
        async with self._at_work:
            await self.gpu.work(self._seconds if seconds is None else seconds)


@dataclass(frozen=True, slots=True)
class ModelPace:
    """Of a language model, in seconds of its GPU."""

    step_s: float
    """One token for all replies: reading the weights."""
    sequence_s: float
    """Added for each reply: reading and writing its recurrent state."""
    remembered_s: float
    """Added for each token that a reply remembers: reading its keys and values."""
    prompt_s: float
    """Added for each new token of a prompt: computing it."""
    at_once: int
    """Replies in one step; more wait."""
    cache_block: int
    """What was read before is known in whole blocks of so many tokens. 0: nothing is."""


@dataclass(eq=False, slots=True)
class _Reply:
    prompt: int
    """New tokens that must be computed before the first is written."""
    remembers: int
    ends: deque[int]
    """Tokens after which a clause is complete."""
    clauses: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    written: int = 0
    gone: bool = False


class Model:
    def __init__(self, gpu: Gpu, pace: ModelPace) -> None:
        self.gpu = gpu
        self._pace = pace
        self._waiting: deque[_Reply] = deque()
        self._running: list[_Reply] = []
        self._steps: asyncio.Task[None] | None = None
        self.tokens = 0

    async def reply(self, known: int, new: int, clauses: Sequence[int]) -> AsyncGenerator[None, None]:
        """Yields when a clause is written. `known`: tokens of the prompt that it has read or written before; `new`: the others;
        `clauses`: the tokens of each. Closing it ends the reply."""
        block = self._pace.cache_block
        cached = known // block * block if block else 0
        ends, at = deque[int](), 0
        for tokens in clauses:
            ends.append(at := at + tokens)
        one = _Reply(known - cached + new, known + new, ends)
        self._waiting.append(one)
        if self._steps is None:
            self._steps = asyncio.create_task(self._step_on())
        try:
            for _ in clauses:
                await one.clauses.get()
                yield
        finally:
            one.gone = True

    async def _step_on(self) -> None:
        try:
            while self._admit():
                await self.gpu.work(self._step_s())
                for one in self._running:
                    self._wrote(one)
        finally:
            self._steps = None

    def _admit(self) -> bool:
        self._running = [one for one in self._running if one.ends and not one.gone]
        while self._waiting and len(self._running) < self._pace.at_once:
            if not (one := self._waiting.popleft()).gone:
                self._running.append(one)
        return bool(self._running)

    def _step_s(self) -> float:
        pace = self._pace
        remembered = sum(one.remembers + one.written for one in self._running)
        prompts = sum(one.prompt for one in self._running)
        return pace.step_s + pace.sequence_s * len(self._running) + pace.remembered_s * remembered + pace.prompt_s * prompts

    def _wrote(self, one: _Reply) -> None:
        one.prompt = 0
        one.written += 1
        self.tokens += 1
        if one.written >= one.ends[0]:
            one.ends.popleft()
            one.clauses.put_nowait(None)
