"""Speech-to-text where each utterance is heard by itself: the model is behind a network and makes batches of its own, or none.

    Ear.send ──> samples of each utterance ──> a task of its own: Transcriber.transcribe ──> Ear.results

One that waits for its answer holds up no other. Bounds, partials that replace each other, sessions that end: all in ears.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from serve_app.ears import Limits, SessionEar, Utterance
from serve_app.engines import Engine, Hints, Hypothesis, Pcm, Recogniser
from serve_app.errors import EngineBusy, SparkvoxError
from serve_app.listening import Listening

log = logging.getLogger(__name__)


class Transcriber(Engine, Protocol):
    async def transcribe(self, hints: Hints, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]) -> Hypothesis:
        """What was said in one utterance, whose samples come while it is spoken and end with it. `tell` may be given what is known so
        far, as often as there is news. Cancelling stops the work. Raises `EngineFailed` or `EngineGone`: that utterance has failed."""


class ListeningApart:
    """A `SpeechToText` around any `Transcriber`."""

    def __init__(self, transcriber: Transcriber, limits: Limits | None = None) -> None:
        self._transcriber = transcriber
        self.limits = limits or Limits()
        self._ears: set[SessionEar] = set()
        self._work: dict[Utterance, tuple[asyncio.Queue[Pcm | None], asyncio.Task[None]]] = {}

    @property
    def sessions(self) -> int:
        return len(self._ears)

    @property
    def utterances(self) -> int:
        """Open ones: begun, and neither answered nor dropped."""
        return sum(len(ear.open) for ear in self._ears)

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
        tasks = [task for _, task in self._work.values()]
        for ear in list(self._ears):
            ear.lose("speech-to-text was shut down")
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- of an ear ------------------------------------------------------------------------------------------------------------------------

    def forget(self, ear: SessionEar) -> None:
        self._ears.discard(ear)

    def consider(self, utterance: Utterance) -> None:
        """The first samples start its task; all are handed on."""
        if utterance not in self._work:
            audio: asyncio.Queue[Pcm | None] = asyncio.Queue()
            self._work[utterance] = audio, asyncio.create_task(self._hear(utterance, audio), name=f"hear {utterance.name}")
        audio, _ = self._work[utterance]
        for chunk in utterance.chunks:
            audio.put_nowait(chunk)
        utterance.chunks, utterance.new_samples = [], 0
        if utterance.ended:
            audio.put_nowait(None)

    def withdraw(self, utterance: Utterance) -> None:
        if utterance in self._work:
            _, task = self._work.pop(utterance)
            task.cancel()

    async def _hear(self, utterance: Utterance, audio: asyncio.Queue[Pcm | None]) -> None:
        answer: Hypothesis | Exception
        try:
            answer = await self._transcriber.transcribe(utterance.hints, _until_none(audio), lambda said: _partial(utterance, said))
        except SparkvoxError as error:
            log.warning("an utterance was not heard: %s", error)
            answer = error
        except Exception as error:
            log.exception("an utterance was not heard")
            answer = error
        # Before the answer: to answer is to withdraw, which must not cancel the one who answers.
        self._work.pop(utterance, None)
        utterance.ear.answer(utterance, True, answer)


def speech_to_text(engine: Recogniser | Transcriber, limits: Limits | None = None) -> Listening | ListeningApart:
    """The `SpeechToText` that fits an engine of the registry."""
    return ListeningApart(engine, limits) if hasattr(engine, "transcribe") else Listening(engine, limits)  # type: ignore[arg-type]


def _partial(utterance: Utterance, said: Hypothesis) -> None:
    utterance.ear.answer(utterance, False, said)


async def _until_none(audio: asyncio.Queue[Pcm | None]) -> AsyncIterator[Pcm]:
    while (chunk := await audio.get()) is not None:
        yield chunk
