"""One session's line to speech-to-text, over the loss of a replica: what is owed then is told to another one from the kept audio.

Of each utterance only that is sent in which somebody speaks (speech_gate.py). One without any speech is answered here, with no words.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from serve_app.core import events as ev
from serve_app.core.language import Hints
from serve_app.core.retries import Retries
from serve_app.engines import (
    HEARING_RATE,
    Audio,
    Begin,
    Drop,
    Ear,
    End,
    Failed,
    Final,
    Guess,
    Guessed,
    HearingMessage,
    HearingResult,
    Partial,
    Pcm,
    SpeechToText,
    VoiceActivity,
)
from serve_app.errors import EngineBusy, EngineGone
from serve_app.owed import Owed
from serve_app.speech_gate import SpeechGate
from serve_app.tapes import Tapes

SLICE = 4096
"""Samples of a whole utterance that are looked at before others have their turn: about a millisecond of work."""

log = logging.getLogger(__name__)


class Dictation:
    def __init__(
        self,
        session_id: str,
        speech_to_text: SpeechToText,
        ear: Ear,
        post: Callable[[ev.Event], None],
        tapes: Tapes,
        voice_activity: VoiceActivity,
    ) -> None:
        """`ear`: opened with that id. What is sent is kept on `tapes`, whether it is speech or not."""
        self._session_id = session_id
        self._speech_to_text = speech_to_text
        self._ear = ear
        self._post = post
        self._tapes = tapes
        self._owed = Owed()
        self._voice_activity = voice_activity
        self._gates: dict[str, SpeechGate] = {}
        """By utterance: those that were begun, and neither answered nor dropped."""
        self._bringing: set[asyncio.Task[None]] = set()

    def send(self, message: HearingMessage) -> None:
        """A lost replica is noticed by `listen`; here it is only survived."""
        match message:
            case Begin(utterance):
                self._gates[utterance] = SpeechGate(self._voice_activity)
            case Audio(utterance, pcm):
                self._tapes.keep(utterance, pcm, HEARING_RATE)
                if (gate := self._gates.get(utterance)) is not None:
                    self._pass_speech(utterance, gate.feed(pcm))
                return
            case Guess(utterance, at_s) if (gate := self._gates.get(utterance)) is not None and not gate.passed:
                self._post(ev.TranscriptGuessed(utterance, "", at_s, gate.withheld_s))
                return
            case End(utterance) if (gate := self._gates.get(utterance)) is not None:
                self._pass_speech(utterance, gate.finish())
                if not gate.passed:
                    self._pass_on(Drop(utterance))
                    self._heard(Final(utterance, "", 0.0))
                    return
            case Drop(utterance):
                self._tapes.drop(utterance)
                self._gates.pop(utterance, None)
        self._pass_on(message)

    def _pass_speech(self, utterance: str, pcm: Pcm) -> None:
        if len(pcm):
            self._pass_on(Audio(utterance, pcm))

    def _pass_on(self, message: HearingMessage) -> None:
        self._owed.sent(message)
        self._tell(message)

    def _tell(self, message: HearingMessage) -> None:
        try:
            self._ear.send(message)
        except EngineGone:
            log.debug("utterance %s could not be sent", message.utterance)

    def transcribe(self, item_id: str, pcm: Pcm, hints: Hints) -> None:
        """A whole utterance at once, at HEARING_RATE. Returns at once; the utterance is looked at and sent slice by slice."""
        self.send(Begin(item_id, hints))
        task = asyncio.create_task(self._bring(item_id, pcm), name=f"transcribe {item_id}")
        self._bringing.add(task)
        task.add_done_callback(self._bringing.discard)

    async def _bring(self, item_id: str, pcm: Pcm) -> None:
        gate = self._gates[item_id]
        for start in range(0, len(pcm), SLICE):
            if self._gates.get(item_id) is not gate:  # dropped, or another item took the id
                return
            self.send(Audio(item_id, pcm[start : start + SLICE]))
            await asyncio.sleep(0)
        if self._gates.get(item_id) is gate:
            self.send(End(item_id))

    def settle(self, item_id: str) -> None:
        """Its text is known: nothing more is wanted."""
        self._gates.pop(item_id, None)
        self._pass_on(Drop(item_id))

    async def listen(self) -> None:
        """Posts the results until `close`."""
        while True:
            try:
                async for result in self._ear.results():
                    self._heard(result)
                return
            except EngineGone as gone:
                log.warning("session %s lost its speech-to-text: %s", self._session_id, gone)
            self._fail(self._owed.lost())
            await self._reopen()

    async def close(self) -> None:
        for task in self._bringing:
            task.cancel()
        await self._ear.close()

    async def _reopen(self) -> None:
        """On another replica, or on the same once it is back. A session may wait for longer than an utterance may."""
        await self._ear.close()
        retries = Retries(time.monotonic(), most=None)
        while True:
            try:
                self._ear = await self._speech_to_text.open(self._session_id)
                break
            except (EngineGone, EngineBusy) as error:
                if retries.again_in(time.monotonic()) is None:
                    log.warning("session %s finds no speech-to-text: %s", self._session_id, error)
                    self._fail(self._owed.all_given_up())
            await asyncio.sleep(retries.pause_s)
        for message in self._owed.messages():
            self._tell(message)

    def _fail(self, utterances: list[str]) -> None:
        for name in utterances:
            self._heard(Failed(name, "The replica of speech-to-text was lost."))

    def _heard(self, result: HearingResult) -> None:
        match result:
            case Partial():
                if result.stable_chars:
                    self._post(ev.TranscriptGrew(result.utterance, result.text[: result.stable_chars]))
            case Guessed():
                self._owed.guessed(result.utterance)
                audio_s = result.audio_s + self._withheld_s(result.utterance)
                self._post(ev.TranscriptGuessed(result.utterance, result.text, result.at_s, audio_s))
            case Final():
                self._owed.settled(result.utterance)
                audio_s = result.audio_s + self._withheld_s(result.utterance)
                self._gates.pop(result.utterance, None)
                self._post(ev.TranscriptFinished(result.utterance, result.text, audio_s))
            case Failed():
                self._owed.settled(result.utterance)
                self._gates.pop(result.utterance, None)
                self._post(ev.TranscriptFailed(result.utterance, result.reason))

    def _withheld_s(self, utterance: str) -> float:
        """Seconds of it that the recogniser was not sent: the client is told of all that it said."""
        gate = self._gates.get(utterance)
        return gate.withheld_s if gate is not None else 0.0
