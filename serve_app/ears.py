"""One session's ear in this process: which utterances are open, what of their audio waits to be heard, which results wait to be read.

How they are heard is the owner's matter: by steps for all sessions (listening.py), or each utterance by itself (listening_apart.py). What
one session does cannot harm another: each has bounds on what it may store, and one that goes beyond them fails alone.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from serve_app.engines import (
    HEARING_RATE,
    Audio,
    Begin,
    Drop,
    End,
    Failed,
    Final,
    Guess,
    Guessed,
    HearingMessage,
    HearingResult,
    Hints,
    Hypothesis,
    Partial,
    Pcm,
)
from serve_app.errors import EngineGone
from serve_app.work import NO_WORK, Work


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


@dataclass(eq=False, slots=True)
class Utterance:
    name: str
    ear: "SessionEar"
    hints: Hints
    stream: Any = None
    """What `Recogniser.begin` gave; None before the first step."""
    chunks: list[Pcm] = field(default_factory=list)
    new_samples: int = 0
    samples: int = 0
    ended: bool = False
    guess_at_s: float | None = None
    """A guess is wanted, by this name."""
    asked_at: float = 0.0
    """Clock time at which the guess was, or the text."""
    said: tuple[str, int] = ("", 0)
    """Text and stable characters of the last partial: the same one is not sent twice."""


class Owner(Protocol):
    """What an ear belongs to: sees that its utterances are heard."""

    limits: Limits

    def consider(self, utterance: Utterance) -> None: ...

    def withdraw(self, utterance: Utterance) -> None: ...

    def forget(self, ear: "SessionEar") -> None: ...


class SessionEar:
    """An `Ear` in the process of its owner."""

    def __init__(self, owner: Owner, session_id: str) -> None:
        self.session_id = session_id
        self.open: dict[str, Utterance] = {}
        self._owner = owner
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

    def guess(self, utterance: Utterance, at_s: float, samples: int, answer: Hypothesis | Exception, work: Work = NO_WORK) -> None:
        """What its first `samples` say. A guess that fails fails the utterance: perhaps somebody takes it for the end and asks no more."""
        if self.open.get(utterance.name) is not utterance:
            return
        if isinstance(answer, Exception):
            self._finish(utterance, Failed(utterance.name, str(answer) or type(answer).__name__))
        else:
            self._tell(Guessed(utterance.name, answer.text, at_s, samples / HEARING_RATE, work))

    def answer(self, utterance: Utterance, last: bool, answer: Hypothesis | Exception, work: Work = NO_WORK) -> None:
        """What a step gave for it; nothing happens when it was dropped meanwhile."""
        if self.open.get(utterance.name) is not utterance:
            return
        if isinstance(answer, Exception):
            self._finish(utterance, Failed(utterance.name, str(answer) or type(answer).__name__))
        elif last:
            audio_s = utterance.samples / HEARING_RATE
            self._finish(utterance, Final(utterance.name, answer.text, audio_s, answer.words, answer.language, work))
        elif (said := (answer.text, answer.stable_chars)) != utterance.said:
            utterance.said = said
            self._tell(Partial(utterance.name, *said))

    def _begin(self, message: Begin) -> None:
        self._drop(message.utterance)
        if len(self.open) + len(self.unread) >= self._owner.limits.open_utterances:
            self.lose(f"session {self.session_id} has too many open utterances and unread results")
            raise EngineGone(self._lost)
        self.open[message.utterance] = Utterance(message.utterance, self, message.hints)

    def _continue(self, utterance: Utterance, message: Audio | End | Guess) -> None:
        if utterance.ended:
            return
        match message:
            case Audio():
                self._add(utterance, message.pcm)
            case Guess():
                utterance.guess_at_s, utterance.asked_at = message.at_s, time.monotonic()
                self._owner.consider(utterance)
            case End():
                utterance.ended, utterance.asked_at = True, time.monotonic()
                self._owner.consider(utterance)

    def _add(self, utterance: Utterance, pcm: Pcm) -> None:
        utterance.samples += len(pcm)
        if utterance.samples > self._owner.limits.longest_s * HEARING_RATE:
            self._finish(utterance, Failed(utterance.name, f"an utterance may have {self._owner.limits.longest_s:g} s of audio"))
            return
        utterance.chunks.append(pcm)
        utterance.new_samples += len(pcm)
        self._owner.consider(utterance)

    def _finish(self, utterance: Utterance, result: Final | Failed) -> None:
        del self.open[utterance.name]
        self._owner.withdraw(utterance)
        self._tell(result)

    def _drop(self, name: str) -> None:
        if (utterance := self.open.pop(name, None)) is not None:
            self._owner.withdraw(utterance)
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
        self._owner.forget(self)
        self._news.set()
