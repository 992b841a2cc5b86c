"""What one step of a recogniser is given: parts of utterances, and guesses on copies of their streams."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from serve_app.engines import Due, Hints, Hypothesis, Pcm, Recogniser
from serve_app.errors import EngineFailed

E = TypeVar("E")
"""Who is told of the answer."""


@dataclass(eq=False, slots=True)
class Utterance(Generic[E]):
    name: str
    ear: E
    hints: Hints
    stream: Any = None
    """What `Recogniser.begin` gave; None before the first step."""
    chunks: list[Pcm] = field(default_factory=list)
    new_samples: int = 0
    samples: int = 0
    ended: bool = False
    guess_at_s: float | None = None
    """A guess is wanted, by this name."""
    said: tuple[str, int] = ("", 0)
    """Text and stable characters of the last partial: the same one is not sent twice."""


@dataclass(frozen=True, slots=True)
class Task(Generic[E]):
    """One utterance's part in a step."""

    utterance: Utterance[E]
    due: Due
    guess_at_s: float | None = None
    """The step is taken on a copy of the stream: this is a guess, of that name."""
    samples: int = 0
    """Of the whole utterance, when the guess was taken."""


def step_all(recogniser: Recogniser, batch: list[Task[E]]) -> Sequence[Hypothesis | Exception]:
    """In the worker thread. A stream that cannot be begun or copied concerns its utterance alone."""
    failed: dict[int, Exception] = {}
    for number, task in enumerate(batch):
        try:
            _give_stream(recogniser, task)
        except Exception as error:
            failed[number] = error
    good = [task.due for number, task in enumerate(batch) if number not in failed]
    answers = list(recogniser.step(good)) if good else []
    if len(answers) != len(good):
        raise EngineFailed(f"the recogniser gave {len(answers)} answers for {len(good)} utterances")
    remaining = iter(answers)
    return [failed[number] if number in failed else next(remaining) for number in range(len(batch))]


def _give_stream(recogniser: Recogniser, task: Task[E]) -> None:
    utterance, due = task.utterance, task.due
    if due.stream is None and task.guess_at_s is not None and utterance.stream is not None:
        due.stream = recogniser.fork(utterance.stream)
    elif due.stream is None:
        due.stream = recogniser.begin(utterance.hints)
