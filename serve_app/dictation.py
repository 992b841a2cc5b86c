"""One session's line to speech-to-text, over the loss of a replica: what is owed then is told to another one from the kept audio."""

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
    Guessed,
    HearingMessage,
    HearingResult,
    Partial,
    Pcm,
    SpeechToText,
)
from serve_app.errors import EngineBusy, EngineGone
from serve_app.owed import Owed
from serve_app.tapes import Tapes

PIECE = 10 * HEARING_RATE
"""Samples of one message of a long utterance that comes at once."""

log = logging.getLogger(__name__)


class Dictation:
    def __init__(self, session_id: str, speech_to_text: SpeechToText, ear: Ear, post: Callable[[ev.Event], None], tapes: Tapes) -> None:
        """`ear`: opened with that id. What is sent is kept on `tapes`."""
        self._session_id = session_id
        self._speech_to_text = speech_to_text
        self._ear = ear
        self._post = post
        self._tapes = tapes
        self._owed = Owed()

    def send(self, message: HearingMessage) -> None:
        """A lost replica is noticed by `listen`; here it is only survived."""
        match message:
            case Audio(utterance, pcm):
                self._tapes.keep(utterance, pcm, HEARING_RATE)
            case Drop(utterance):
                self._tapes.drop(utterance)
        self._pass_on(message)

    def _pass_on(self, message: HearingMessage) -> None:
        self._owed.sent(message)
        self._tell(message)

    def _tell(self, message: HearingMessage) -> None:
        try:
            self._ear.send(message)
        except EngineGone:
            log.debug("utterance %s could not be sent", message.utterance)

    def transcribe(self, item_id: str, pcm: Pcm, hints: Hints) -> None:
        """A whole utterance at once, at HEARING_RATE. In pieces: a message to a replica has a longest length."""
        self.send(Begin(item_id, hints))
        for start in range(0, len(pcm), PIECE):
            self.send(Audio(item_id, pcm[start : start + PIECE]))
        self.send(End(item_id))

    def settle(self, item_id: str) -> None:
        """Its text is known: nothing more is wanted."""
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
                self._post(ev.TranscriptGuessed(result.utterance, result.text, result.at_s, result.audio_s))
            case Final():
                self._owed.settled(result.utterance)
                self._post(ev.TranscriptFinished(result.utterance, result.text, result.audio_s))
            case Failed():
                self._owed.settled(result.utterance)
                self._post(ev.TranscriptFailed(result.utterance, result.reason))
