"""What one step of a recogniser is given: parts of utterances, and guesses on copies of their streams."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.ears import Utterance
from serve_app.engines import Due, Hypothesis, Recogniser
from serve_app.errors import EngineFailed
from serve_app.work import Work


@dataclass(frozen=True, slots=True)
class Task:
    """One utterance's part in a step."""

    utterance: Utterance
    due: Due
    guess_at_s: float | None = None
    """The step is taken on a copy of the stream: this is a guess, of that name."""
    samples: int = 0
    """Of the whole utterance, when the guess was taken."""
    asked_at: float = 0.0

    def answer(self, answer: Hypothesis | Exception, began: float, step_s: float, batch: int) -> None:
        ear, work = self.utterance.ear, Work(max(0.0, began - self.asked_at), step_s, batch)
        if self.guess_at_s is not None:
            ear.guess(self.utterance, self.guess_at_s, self.samples, answer, work)
            return
        self.utterance.stream = self.due.stream
        ear.answer(self.utterance, self.due.last, answer, work)


def step_all(recogniser: Recogniser, batch: list[Task]) -> Sequence[Hypothesis | Exception]:
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


def _give_stream(recogniser: Recogniser, task: Task) -> None:
    """An utterance begins once, though its first step be a guess."""
    utterance, due = task.utterance, task.due
    if utterance.stream is None:
        utterance.stream = recogniser.begin(utterance.hints)
    due.stream = utterance.stream if task.guess_at_s is None else recogniser.fork(utterance.stream)
