"""One session's line to speech-to-text, over the loss of a replica: what was open then has failed, and the next utterance goes to
another."""

import logging
from collections.abc import Callable

from serve_app.core import events as ev
from serve_app.core.language import Hints
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
from serve_app.errors import EngineGone
from serve_app.tapes import Tapes

log = logging.getLogger(__name__)


class Dictation:
    def __init__(self, session_id: str, speech_to_text: SpeechToText, ear: Ear, post: Callable[[ev.Event], None], tapes: Tapes) -> None:
        """`ear`: opened with that id. What is sent is kept on `tapes`."""
        self._session_id = session_id
        self._speech_to_text = speech_to_text
        self._ear = ear
        self._post = post
        self._tapes = tapes
        self._open: set[str] = set()  # utterances that speech-to-text still owes a text

    def send(self, message: HearingMessage) -> None:
        """A lost replica is noticed by `listen`; here it is only survived."""
        match message:
            case Begin(utterance):
                self._open.add(utterance)
            case Audio(utterance, pcm):
                self._tapes.keep(utterance, pcm, HEARING_RATE)
            case Drop(utterance):
                self._open.discard(utterance)
                self._tapes.drop(utterance)
        self._pass_on(message)

    def _pass_on(self, message: HearingMessage) -> None:
        try:
            self._ear.send(message)
        except EngineGone:
            log.debug("utterance %s could not be sent", message.utterance)

    def transcribe(self, item_id: str, pcm: Pcm, hints: Hints) -> None:
        """A whole utterance at once, at HEARING_RATE."""
        for message in (Begin(item_id, hints), Audio(item_id, pcm), End(item_id)):
            self.send(message)

    def settle(self, item_id: str) -> None:
        """Its text is known: nothing more is wanted."""
        self._open.discard(item_id)
        self._pass_on(Drop(item_id))

    async def listen(self) -> None:
        """Posts the results until `close`. Raises what opening another ear raises."""
        while True:
            try:
                async for result in self._ear.results():
                    self._heard(result)
                return
            except EngineGone as gone:
                log.warning("session %s lost its speech-to-text: %s", self._session_id, gone)
            for item_id in list(self._open):
                self._heard(Failed(item_id, "The replica of speech-to-text was lost."))
            self._ear = await self._speech_to_text.open(self._session_id)

    async def close(self) -> None:
        await self._ear.close()

    def _heard(self, result: HearingResult) -> None:
        match result:
            case Partial():
                if result.stable_chars:
                    self._post(ev.TranscriptGrew(result.utterance, result.text[: result.stable_chars]))
            case Guessed():
                self._post(ev.TranscriptGuessed(result.utterance, result.text, result.at_s, result.audio_s))
            case Final():
                self._open.discard(result.utterance)
                self._post(ev.TranscriptFinished(result.utterance, result.text, result.audio_s))
            case Failed():
                self._open.discard(result.utterance)
                self._post(ev.TranscriptFailed(result.utterance, result.reason))
