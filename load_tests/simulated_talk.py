"""Speakers on paper: questions, hesitations, answers heard out or interrupted, thinking; and what the server does for each turn, with and
without eager turns. For virtual time."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from load_tests.simulated_engines import Model, OneByOne
from load_tests.virtual_time import now


@dataclass(frozen=True, slots=True)
class Habits:
    """How people talk. Seconds, but for the tokens."""

    question_s: tuple[float, float] = (1.2, 3.0)
    question_tokens: tuple[int, int] = (8, 20)
    hesitates: float = 0.2
    """Share of questions with a pause in them, shorter than the one that ends a turn."""
    hesitation_s: tuple[float, float] = (0.25, 0.45)
    thinks_s: float = 2.0
    """The mean; as the callers of load_tests/locustfile.py."""
    interrupts: float = 0.2
    interrupts_after_s: tuple[float, float] = (0.3, 1.5)
    first_clause_tokens: tuple[int, int] = (5, 12)
    later_clauses: tuple[int, int] = (0, 3)
    later_clause_tokens: tuple[int, int] = (10, 20)
    token_s: float = 0.3
    """Of speech: 150 words a minute, four tokens for three words."""
    instructions_tokens: int = 150
    turns: int = 50
    """Then the session hangs up, and another begins."""


@dataclass(frozen=True, slots=True)
class Serving:
    """How the server takes turns. Seconds from the last speech."""

    ends_s: float = 0.5
    """The silence that ends a turn."""
    frames_s: tuple[float, float] = (0.02, 0.04)
    """What is added to it because audio comes in frames (load_tests/bench/overhead.py)."""
    guesses_s: float | None = 0.22
    """The pause in which an answer is begun: 0.2 s, in frames of 32 ms. None: patient turns."""
    overhead_s: float = 0.015
    """Gateway, network and calls between the deployments."""


@dataclass(slots=True)
class Node:
    """The engines that one session uses."""

    recognition: OneByOne
    model: Model
    synthesis: OneByOne
    speaking: int = 0
    """Sessions whose speech comes in now."""


@dataclass(slots=True)
class Found:
    waits: list[float] = field(default_factory=list)
    """From the last speech to the first sound, in seconds."""
    since_s: float = 0.0
    """Turns before are not counted."""
    wasted: int = 0
    """Answers that were begun in a hesitation."""
    stutters: int = 0
    """Clauses that came after the one before had been played."""


class Answer:
    """One answer under way: recognition, then the model writes, and clause by clause is spoken; beyond the first only once released."""

    def __init__(self, node: Node, known: int, new: int, clauses: Sequence[int]) -> None:
        """`known` and `new`: tokens of the prompt, as `Model.reply` has them."""
        self._node = node
        self._prompt = known, new
        self._clauses = clauses
        self._released = asyncio.Event()
        self.made: list[asyncio.Future[float]] = [asyncio.get_running_loop().create_future() for _ in clauses]
        """When each clause was there."""
        self._work = asyncio.create_task(self._make())

    def release(self) -> None:
        self._released.set()

    def stop(self) -> None:
        self._work.cancel()

    async def _make(self) -> None:
        await self._node.recognition.one()
        async with aclosing(self._node.model.reply(*self._prompt, self._clauses)) as written:
            for number, made in enumerate(self.made):
                await anext(written)
                if number:
                    await self._released.wait()
                await self._node.synthesis.one()
                made.set_result(now())


class Speaker:
    def __init__(self, node: Node, habits: Habits, serving: Serving, seed: int, found: Found) -> None:
        self._node = node
        self._habits = habits
        self._serving = serving
        self._chance = random.Random(seed)
        self._found = found
        self._remembers = habits.instructions_tokens
        self._new = 0
        self._clauses: list[int] = []

    async def talk(self) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, 15.0))
        turns = self._chance.randrange(self._habits.turns)
        while True:
            turns += 1
            if turns % self._habits.turns == 0:
                self._remembers = self._habits.instructions_tokens
            self._think_of_a_question()
            await self._turn()
            self._remembers += self._new + sum(self._clauses)

    async def _turn(self) -> None:
        self._node.speaking += 1
        await self._ask()
        over = now()
        answer = await self._until_over(over)
        self._node.speaking -= 1
        answer.release()
        await answer.made[0]
        await asyncio.sleep(self._serving.overhead_s)
        if over >= self._found.since_s:
            self._found.waits.append(now() - over)
        await self._listen(answer)
        answer.stop()

    def _think_of_a_question(self) -> None:
        chance, habits = self._chance, self._habits
        self._new = chance.randint(*habits.question_tokens)
        later = (chance.randint(*habits.later_clause_tokens) for _ in range(chance.randint(*habits.later_clauses)))
        self._clauses = [chance.randint(*habits.first_clause_tokens), *later]

    def _answer(self) -> Answer:
        return Answer(self._node, self._remembers, self._new, self._clauses)

    async def _ask(self) -> None:
        question_s = self._chance.uniform(*self._habits.question_s)
        if self._chance.random() >= self._habits.hesitates:
            await asyncio.sleep(question_s)
            return
        await asyncio.sleep(question_s / 2)
        await self._hesitate(self._chance.uniform(*self._habits.hesitation_s))
        await asyncio.sleep(question_s / 2)

    async def _hesitate(self, pause_s: float) -> None:
        """A draft that is begun in it is thrown away when the speaker goes on."""
        guesses_s = None if self._serving.guesses_s is None else self._serving.guesses_s + self._chance.uniform(*self._serving.frames_s)
        if guesses_s is None or guesses_s >= pause_s:
            await asyncio.sleep(pause_s)
            return
        await asyncio.sleep(guesses_s)
        draft = self._answer()
        await asyncio.sleep(pause_s - guesses_s)
        draft.stop()
        self._found.wasted += 1

    async def _until_over(self, over: float) -> Answer:
        """The turn ends; the answer may have been begun before."""
        frames_s = self._chance.uniform(*self._serving.frames_s)
        ends = over + self._serving.ends_s + frames_s
        draft = None
        if self._serving.guesses_s is not None:
            await asyncio.sleep(self._serving.guesses_s + frames_s)
            draft = self._answer()
        await asyncio.sleep(ends - now())
        return draft or self._answer()

    async def _listen(self, answer: Answer) -> None:
        """To the end, and thinks; or interrupts and asks at once."""
        if self._chance.random() < self._habits.interrupts:
            await asyncio.sleep(self._chance.uniform(*self._habits.interrupts_after_s))
            return
        plays_until = now()
        for number, (tokens, made) in enumerate(zip(self._clauses, answer.made, strict=True)):
            came = await made + self._serving.overhead_s
            self._found.stutters += bool(number) and came > plays_until
            plays_until = max(plays_until, came) + tokens * self._habits.token_s
        await asyncio.sleep(max(0.0, plays_until - now()))
        await asyncio.sleep(self._chance.expovariate(1 / self._habits.thinks_s))
