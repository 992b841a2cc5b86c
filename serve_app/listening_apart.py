"""Speech-to-text where each utterance is heard by itself: the model is behind a network and makes batches of its own, or none.

    Ear.send ──> samples of each utterance ──> a task of its own: Transcriber.transcribe ──> Ear.results

One that waits for its answer holds up no other. Bounds, partials that replace each other, sessions that end: all in ears.py.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.ears import Limits, SessionEar, Utterance
from serve_app.engines import Engine, Hints, Hypothesis, Pcm, Recogniser, known_languages
from serve_app.errors import EngineBusy, SparkvoxError
from serve_app.listening import Listening
from serve_app.work import Work

log = logging.getLogger(__name__)


class Transcriber(Engine, Protocol):
    async def transcribe(self, hints: Hints, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]) -> Hypothesis:
        """What was said in one utterance, whose samples come while it is spoken and end with it. `tell` may be given what is known so
        far, as often as there is news. Cancelling stops the work. Raises `EngineFailed` or `EngineGone`: that utterance has failed."""


@dataclass(slots=True)
class _Work:
    """On one utterance."""

    audio: asyncio.Queue[Pcm | None] = field(default_factory=asyncio.Queue)
    heard: list[Pcm] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    """The hearing, and a guess."""

    def stop_guessing(self) -> None:
        for task in self.tasks[1:]:
            task.cancel()
        del self.tasks[1:]


class ListeningApart:
    """A `SpeechToText` around any `Transcriber`."""

    def __init__(self, transcriber: Transcriber, limits: Limits | None = None) -> None:
        self._transcriber = transcriber
        self.limits = limits or Limits()
        self._ears: set[SessionEar] = set()
        self._work: dict[Utterance, _Work] = {}

    @property
    def sessions(self) -> int:
        return len(self._ears)

    @property
    def utterances(self) -> int:
        """Open ones: begun, and neither answered nor dropped."""
        return sum(len(ear.open) for ear in self._ears)

    @property
    def languages(self) -> tuple[str, ...] | None:
        return known_languages(self._transcriber)

    async def warm(self) -> None:
        await self._transcriber.warm()

    async def open(self, session_id: str) -> SessionEar:
        if self.limits.sessions is not None and len(self._ears) >= self.limits.sessions:
            raise EngineBusy(f"speech-to-text already hears {len(self._ears)} sessions")
        ear = SessionEar(self, session_id)
        self._ears.add(ear)
        return ear

    async def close(self) -> None:
        """Every session is lost, its work cancelled."""
        tasks = [task for work in self._work.values() for task in work.tasks]
        for ear in list(self._ears):
            ear.lose("speech-to-text was shut down")
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- of an ear ------------------------------------------------------------------------------------------------------------------------

    def forget(self, ear: SessionEar) -> None:
        self._ears.discard(ear)

    def consider(self, utterance: Utterance) -> None:
        """The first samples start its task; all are handed on, and kept, because a guess hears them again."""
        work = self._work.setdefault(utterance, _Work())
        if not work.tasks:
            work.tasks.append(asyncio.create_task(self._hear(utterance, work.audio), name=f"hear {utterance.name}"))
        for chunk in utterance.chunks:
            work.audio.put_nowait(chunk)
        work.heard += utterance.chunks
        utterance.chunks, utterance.new_samples = [], 0
        at_s, utterance.guess_at_s = utterance.guess_at_s, None
        if utterance.ended:
            work.audio.put_nowait(None)
        elif at_s is not None:
            work.stop_guessing()
            work.tasks.append(asyncio.create_task(self._guess(utterance, list(work.heard), at_s), name=f"guess {utterance.name}"))

    def withdraw(self, utterance: Utterance) -> None:
        work = self._work.pop(utterance, None)
        for task in work.tasks if work else ():
            if task is not asyncio.current_task():
                task.cancel()

    async def _guess(self, utterance: Utterance, heard: list[Pcm], at_s: float) -> None:
        asked_at = utterance.asked_at
        answer = await self._transcribed(utterance, _all(heard), lambda _: None)
        utterance.ear.guess(utterance, at_s, sum(map(len, heard)), answer, Work(step_s=time.monotonic() - asked_at))

    async def _hear(self, utterance: Utterance, audio: asyncio.Queue[Pcm | None]) -> None:
        answer = await self._transcribed(utterance, _until_none(audio), lambda said: _partial(utterance, said))
        utterance.ear.answer(utterance, True, answer, Work(step_s=time.monotonic() - utterance.asked_at))

    async def _transcribed(
        self, utterance: Utterance, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]
    ) -> Hypothesis | Exception:
        try:
            return await self._transcriber.transcribe(utterance.hints, audio, tell)
        except SparkvoxError as error:
            log.warning("an utterance was not heard: %s", error)
            return error
        except Exception as error:
            log.exception("an utterance was not heard")
            return error


def speech_to_text(engine: Recogniser | Transcriber, limits: Limits | None = None) -> Listening | ListeningApart:
    """The `SpeechToText` that fits an engine of the registry."""
    return ListeningApart(engine, limits) if hasattr(engine, "transcribe") else Listening(engine, limits)  # type: ignore[arg-type]


def _partial(utterance: Utterance, said: Hypothesis) -> None:
    utterance.ear.answer(utterance, False, said)


async def _all(chunks: list[Pcm]) -> AsyncIterator[Pcm]:
    for chunk in chunks:
        yield chunk


async def _until_none(audio: asyncio.Queue[Pcm | None]) -> AsyncIterator[Pcm]:
    while (chunk := await audio.get()) is not None:
        yield chunk
