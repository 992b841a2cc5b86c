"""Speech-to-text in this process: one model steps for all utterances of all sessions.

    Ear.send ──> samples of each utterance ──> due ──> one step of the Recogniser, in the one worker thread ──> Ear.results

An utterance is due when it has `step_samples` new samples, or when its end has come. What is due within `gather_s` takes one step
together, because a GPU is filled by batches. Ends go first and at once, in a step of their own: somebody waits for a final, nobody for a
partial; ends that come during a step are together in the next.
When nothing is due nothing runs: the scheduler is a task that ends, so silent sessions cost nothing.

What one session does cannot harm another: each has bounds on what it may store, and one that goes beyond them fails alone.
"""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.ears import Limits as Limits
from serve_app.ears import SessionEar, Utterance
from serve_app.engines import Due, Recogniser, known_languages
from serve_app.errors import EngineBusy
from serve_app.stepping import Task, step_all

log = logging.getLogger(__name__)


class Listening:
    """A `SpeechToText` around any `Recogniser`. All but the steps happens on the event loop that calls `open`."""

    def __init__(self, recogniser: Recogniser, limits: Limits | None = None) -> None:
        self._recogniser = recogniser
        self.limits = limits or Limits()
        self._worker = ThreadPoolExecutor(1, "recogniser")
        self._ears: set[SessionEar] = set()
        self._due: dict[Utterance, None] = {}
        self._scheduler: asyncio.Task[None] | None = None

    @property
    def sessions(self) -> int:
        return len(self._ears)

    @property
    def utterances(self) -> int:
        """Open ones: begun, and neither answered nor dropped."""
        return sum(len(ear.open) for ear in self._ears)

    @property
    def busy(self) -> bool:
        """Whether anything is due or under way."""
        return self._scheduler is not None

    async def idle(self) -> None:
        """Until nothing is due or under way."""
        if self._scheduler is not None:
            await asyncio.shield(self._scheduler)

    @property
    def languages(self) -> tuple[str, ...] | None:
        return known_languages(self._recogniser)

    async def warm(self) -> None:
        await self._recogniser.warm()

    async def open(self, session_id: str) -> SessionEar:
        if self.limits.sessions is not None and len(self._ears) >= self.limits.sessions:
            raise EngineBusy(f"speech-to-text already hears {len(self._ears)} sessions")
        ear = SessionEar(self, session_id)
        self._ears.add(ear)
        return ear

    async def close(self) -> None:
        """Every session is lost; the step under way is waited for."""
        for ear in list(self._ears):
            ear.lose("speech-to-text was shut down")
        await self.idle()
        self._worker.shutdown()

    def forget(self, ear: SessionEar) -> None:
        self._ears.discard(ear)

    def consider(self, utterance: Utterance) -> None:
        """Something came for the utterance: see that it is stepped if that made it due."""
        step = self._recogniser.step_samples
        if utterance.ended or utterance.guess_at_s is not None or 0 < step <= utterance.new_samples:
            self._due.setdefault(utterance)
            if self._scheduler is None:
                self._scheduler = asyncio.create_task(self._schedule(), name="listening")

    def withdraw(self, utterance: Utterance) -> None:
        self._due.pop(utterance, None)

    async def _schedule(self) -> None:
        try:
            while self._due:
                await asyncio.sleep(0 if any(map(_is_awaited, self._due)) else self.limits.gather_s)
                if batch := self._take():
                    await self._step(batch)
        finally:
            self._scheduler = None

    def _take(self) -> list[Task]:
        awaited = [utterance for utterance in self._due if _is_awaited(utterance)]
        chosen = awaited or list(self._due)[: self.limits.partials_at_once]
        batch = []
        for utterance in chosen:
            del self._due[utterance]
            pcm = np.concatenate(utterance.chunks) if utterance.chunks else NO_PCM
            guess_at_s, utterance.guess_at_s = utterance.guess_at_s, None
            if guess_at_s is not None and not utterance.ended:
                batch.append(Task(utterance, Due(None, pcm, True), guess_at_s, utterance.samples, utterance.asked_at))
                self.consider(utterance)
                continue
            utterance.chunks, utterance.new_samples = [], 0
            batch.append(Task(utterance, Due(utterance.stream, pcm, utterance.ended), asked_at=utterance.asked_at))
        return batch

    async def _step(self, batch: list[Task]) -> None:
        loop, began = asyncio.get_running_loop(), time.monotonic()
        try:
            answers = await loop.run_in_executor(self._worker, step_all, self._recogniser, batch)
        except Exception as error:
            log.exception("a step of %d utterances failed", len(batch))
            answers = [error] * len(batch)
        step_s = time.monotonic() - began
        for task, answer in zip(batch, answers, strict=True):
            task.answer(answer, began, step_s, len(batch))


def _is_awaited(utterance: Utterance) -> bool:
    """Somebody waits for what has ended and for guesses; nobody for the rest."""
    return utterance.ended or utterance.guess_at_s is not None
