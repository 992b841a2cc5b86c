"""Speech-to-text in this process: one model steps for all utterances of all sessions.

    Ear.send ──> samples of each utterance ──> due ──> one step of the Recogniser, in the one worker thread ──> Ear.results

An utterance is due when it has `step_samples` new samples, or when its end has come. What is due within `gather_s` takes one step
together, because a GPU is filled by batches. Ends go first, in a step of their own: somebody waits for a final, nobody for a partial.
When nothing is due nothing runs: the scheduler is a task that ends, so silent sessions cost nothing.

What one session does cannot harm another: each has bounds on what it may store, and one that goes beyond them fails alone.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.engines import (
    HEARING_RATE,
    Audio,
    Begin,
    Drop,
    Due,
    End,
    Failed,
    Final,
    Guess,
    Guessed,
    HearingMessage,
    HearingResult,
    Hypothesis,
    Partial,
    Pcm,
    Recogniser,
)
from serve_app.errors import EngineBusy, EngineGone
from serve_app.stepping import Task, Utterance, step_all

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    gather_s: float = 0.003
    """How long what is due waits for others to share its step. 0: until the event loop has gone round once."""
    longest_s: float = 600.0
    """Audio of one utterance; a longer one fails."""
    partials_at_once: int = 64
    """Utterances in one step that only wants partials, the longest waiting first. Small for a model that takes them one after the other:
    a final waits for the step under way."""
    sessions: int | None = None
    """`open` raises `EngineBusy` beyond it."""
    open_utterances: int = 64
    """Of one session, those whose result was not read included; beyond it the session is lost."""


class Listening:
    """A `SpeechToText` around any `Recogniser`. All but the steps happens on the event loop that calls `open`."""

    def __init__(self, recogniser: Recogniser, limits: Limits | None = None) -> None:
        self._recogniser = recogniser
        self.limits = limits or Limits()
        self._worker = ThreadPoolExecutor(1, "recogniser")
        self._ears: set[_Ear] = set()
        self._due: dict[Utterance[_Ear], None] = {}
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

    async def warm(self) -> None:
        await self._recogniser.warm()

    async def open(self, session_id: str) -> "_Ear":
        if self.limits.sessions is not None and len(self._ears) >= self.limits.sessions:
            raise EngineBusy(f"speech-to-text already hears {len(self._ears)} sessions")
        ear = _Ear(self, session_id)
        self._ears.add(ear)
        return ear

    async def close(self) -> None:
        """Every session is lost; the step under way is waited for."""
        for ear in list(self._ears):
            ear.lose("speech-to-text was shut down")
        await self.idle()
        self._worker.shutdown()

    def forget(self, ear: "_Ear") -> None:
        self._ears.discard(ear)

    def consider(self, utterance: Utterance["_Ear"]) -> None:
        """Something came for the utterance: see that it is stepped if that made it due."""
        step = self._recogniser.step_samples
        if utterance.ended or utterance.guess_at_s is not None or 0 < step <= utterance.new_samples:
            self._due.setdefault(utterance)
            if self._scheduler is None:
                self._scheduler = asyncio.create_task(self._schedule(), name="listening")

    def withdraw(self, utterance: Utterance["_Ear"]) -> None:
        self._due.pop(utterance, None)

    async def _schedule(self) -> None:
        try:
            while self._due:
                await asyncio.sleep(self.limits.gather_s)
                if batch := self._take():
                    await self._step(batch)
        finally:
            self._scheduler = None

    def _take(self) -> list[Task["_Ear"]]:
        """Somebody waits for what has ended and for guesses; nobody for the rest."""
        awaited = [utterance for utterance in self._due if utterance.ended or utterance.guess_at_s is not None]
        chosen = awaited or list(self._due)[: self.limits.partials_at_once]
        batch = []
        for utterance in chosen:
            del self._due[utterance]
            pcm = np.concatenate(utterance.chunks) if utterance.chunks else NO_PCM
            guess_at_s, utterance.guess_at_s = utterance.guess_at_s, None
            if guess_at_s is not None and not utterance.ended:
                batch.append(Task(utterance, Due(None, pcm, True), guess_at_s, utterance.samples))
                self.consider(utterance)
                continue
            utterance.chunks, utterance.new_samples = [], 0
            batch.append(Task(utterance, Due(utterance.stream, pcm, utterance.ended)))
        return batch

    async def _step(self, batch: list[Task["_Ear"]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._worker, step_all, self._recogniser, batch)
        except Exception as error:
            log.exception("a step of %d utterances failed", len(batch))
            answers = [error] * len(batch)
        for task, answer in zip(batch, answers, strict=True):
            if task.guess_at_s is not None:
                task.utterance.ear.guess(task, answer)
                continue
            task.utterance.stream = task.due.stream
            task.utterance.ear.answer(task.utterance, task.due.last, answer)


class _Ear:
    def __init__(self, listening: Listening, session_id: str) -> None:
        self.session_id = session_id
        self.open: dict[str, Utterance[_Ear]] = {}
        self._listening = listening
        self.unread: deque[HearingResult] = deque()
        """Results that were not read yet."""
        self._news = asyncio.Event()
        self._closed = False
        self._lost = ""

    def send(self, message: HearingMessage) -> None:
        """A `Begin` of an utterance that is open drops it and starts afresh; other messages about one that is not open are ignored, for
        it may just have failed. Samples are not copied: they must not be changed afterwards."""
        if self._lost:
            raise EngineGone(self._lost)
        if self._closed:
            return
        if isinstance(message, Begin):
            self._begin(message)
        elif isinstance(message, Drop):
            self._drop(message.utterance)
            self.unread = deque(known for known in self.unread if known.utterance != message.utterance)
        elif (utterance := self.open.get(message.utterance)) is not None:
            self._continue(utterance, message)

    async def results(self) -> AsyncIterator[HearingResult]:
        while True:
            while self.unread:
                yield self.unread.popleft()
            if self._lost:
                raise EngineGone(self._lost)
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        self._closed = True
        self.unread.clear()
        self._leave()

    def lose(self, reason: str) -> None:
        """The session is over, and not by its own wish."""
        self._lost = reason
        self.unread.clear()
        self._leave()

    def guess(self, task: Task["_Ear"], answer: Hypothesis | Exception) -> None:
        """One that fails fails the utterance: perhaps somebody takes it for the end and asks no more."""
        utterance = task.utterance
        if self.open.get(utterance.name) is not utterance:
            return
        if isinstance(answer, Exception):
            self._finish(utterance, Failed(utterance.name, str(answer) or type(answer).__name__))
        elif task.guess_at_s is not None:
            self._tell(Guessed(utterance.name, answer.text, task.guess_at_s, task.samples / HEARING_RATE))

    def answer(self, utterance: Utterance["_Ear"], last: bool, answer: Hypothesis | Exception) -> None:
        """What a step gave for it; nothing happens when it was dropped meanwhile."""
        if self.open.get(utterance.name) is not utterance:
            return
        if isinstance(answer, Exception):
            self._finish(utterance, Failed(utterance.name, str(answer) or type(answer).__name__))
        elif last:
            audio_s = utterance.samples / HEARING_RATE
            self._finish(utterance, Final(utterance.name, answer.text, audio_s, answer.words, answer.language))
        elif (said := (answer.text, answer.stable_chars)) != utterance.said:
            utterance.said = said
            self._tell(Partial(utterance.name, *said))

    def _begin(self, message: Begin) -> None:
        self._drop(message.utterance)
        if len(self.open) + len(self.unread) >= self._listening.limits.open_utterances:
            self.lose(f"session {self.session_id} has too many open utterances and unread results")
            raise EngineGone(self._lost)
        self.open[message.utterance] = Utterance(message.utterance, self, message.hints)

    def _continue(self, utterance: Utterance["_Ear"], message: Audio | End | Guess) -> None:
        if utterance.ended:
            return
        match message:
            case Audio():
                self._add(utterance, message.pcm)
            case Guess():
                utterance.guess_at_s = message.at_s
                self._listening.consider(utterance)
            case End():
                utterance.ended = True
                self._listening.consider(utterance)

    def _add(self, utterance: Utterance["_Ear"], pcm: Pcm) -> None:
        utterance.samples += len(pcm)
        if utterance.samples > self._listening.limits.longest_s * HEARING_RATE:
            self._finish(utterance, Failed(utterance.name, f"an utterance may have {self._listening.limits.longest_s:g} s of audio"))
            return
        utterance.chunks.append(pcm)
        utterance.new_samples += len(pcm)
        self._listening.consider(utterance)

    def _finish(self, utterance: Utterance["_Ear"], result: Final | Failed) -> None:
        del self.open[utterance.name]
        self._listening.withdraw(utterance)
        self._tell(result)

    def _drop(self, name: str) -> None:
        if (utterance := self.open.pop(name, None)) is not None:
            self._listening.withdraw(utterance)
            self._forget_partial(name)

    def _tell(self, result: HearingResult) -> None:
        # A result makes the utterance's unread partial worthless, so a slow reader stores one result an utterance.
        self._forget_partial(result.utterance)
        self.unread.append(result)
        self._news.set()

    def _forget_partial(self, name: str) -> None:
        self.unread = deque(known for known in self.unread if not (isinstance(known, Partial) and known.utterance == name))

    def _leave(self) -> None:
        for name in list(self.open):
            self._drop(name)
        self._listening.forget(self)
        self._news.set()
