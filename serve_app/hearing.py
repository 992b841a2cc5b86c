"""One session's ear: the audio that comes in becomes sparse events for the conversation, and the samples of each utterance go to
speech-to-text.

Audio positions are samples at `HEARING_RATE` since the session began. `append` yields to other sessions between slices, because a client
may send minutes of audio in one message.
"""

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from serve_app.audio import Ring
from serve_app.core import events as ev
from serve_app.core.config import SemanticVad, TurnTaking
from serve_app.core.endpointing import Endpointer, Heard, Paused
from serve_app.core.language import Hints
from serve_app.echo import Microphone
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, HearingMessage, Pcm, TurnDetector

KEPT_S = 30
"""How much of the past is kept: for the padding before speech, for the turn detector (8 s), for a commit by hand under voice activity
detection."""
FRAMES_A_SLICE = 8
"""Frames taken before others have their turn: about a millisecond of work with Silero."""

log = logging.getLogger(__name__)


class Hearing:
    def __init__(
        self,
        microphone: Microphone,
        turn_detector: TurnDetector,
        send: Callable[[HearingMessage], None],
        post: Callable[[ev.Event], None],
        eager: Callable[[], bool],
    ) -> None:
        """`send`: to speech-to-text. `eager`: whether there is room for work that may be thrown away."""
        self._eager = eager
        self._send = send
        self._frame = microphone.frame_samples
        self._microphone = microphone
        self._turn_detector = turn_detector
        self._post = post
        self._ring = Ring(KEPT_S * HEARING_RATE)
        self._rest: Pcm = np.zeros(0, np.int16)
        self._turn_taking: TurnTaking = None
        self._endpointer: Endpointer | None = None
        self._utterance: str | None = None
        self._utterance_start = 0
        self._buffer_start = 0
        self._judging: asyncio.Task[None] | None = None

    @property
    def buffered_s(self) -> float:
        """Seconds of audio since the last commit or clear."""
        return (self._ring.position + len(self._rest) - self._buffer_start) / HEARING_RATE

    @property
    def position_s(self) -> float:
        """Audio time so far."""
        return self._ring.position / HEARING_RATE

    def configure(self, turn_taking: TurnTaking) -> None:
        if turn_taking != self._turn_taking:
            self._turn_taking = turn_taking
            self._endpointer = None if turn_taking is None else Endpointer(turn_taking)

    async def append(self, pcm: Pcm) -> None:
        """`pcm`: at HEARING_RATE, any length."""
        pcm = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        self._microphone.came(self._ring.position + len(pcm))
        frames = len(pcm) // self._frame
        self._rest = pcm[frames * self._frame :]
        for number in range(frames):
            self._take(pcm[number * self._frame : (number + 1) * self._frame])
            if number % FRAMES_A_SLICE == FRAMES_A_SLICE - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    def begin(self, item_id: str, start_s: float, hints: Hints) -> None:
        """The utterance starts at `start_s`, or where the last one ended if that is later."""
        start = max(int(start_s * HEARING_RATE), self._buffer_start)
        self._utterance, self._utterance_start = item_id, start
        self._send(Begin(item_id, hints))
        self._send(Audio(item_id, self._ring.since(start)))

    def end(self, item_id: str, guessed: bool = False) -> None:
        """`guessed`: a guess stands for the final text."""
        if len(self._rest):
            self._hear(self._rest)
            self._rest = self._rest[:0]
        self._stop_judging()
        self._utterance = None
        if not guessed:
            self._send(End(item_id))

    def drop(self, item_id: str) -> None:
        self._stop_judging()
        self._utterance = None
        self._send(Drop(item_id))

    def forget(self) -> None:
        """What was appended so far was committed or cleared."""
        self._buffer_start = self._ring.position
        self._rest = self._rest[:0]
        if self._endpointer is not None:
            self._endpointer.reset()

    def close(self) -> None:
        self._stop_judging()
        self._ring = Ring(1)  # a session is part of cycles, so that this object may stay for a long time

    def _take(self, frame: Pcm) -> None:
        start = self._ring.position
        if self._endpointer is not None:
            frame, score = self._microphone.take(frame, start)
        self._hear(frame)
        if self._endpointer is not None:
            heard = self._endpointer.feed(score, start / HEARING_RATE, self._ring.position / HEARING_RATE)
            if heard is not None:
                self._tell(heard)
        elif self._utterance is None:
            self._post(ev.BufferStarted(start / HEARING_RATE))

    def _hear(self, pcm: Pcm) -> None:
        self._ring.push(pcm)
        if self._utterance is not None:
            self._send(Audio(self._utterance, pcm))

    def _tell(self, heard: Heard) -> None:
        if isinstance(heard, Paused):
            self._post(ev.SpeechPaused(heard.last_speech_s, self.position_s, self._eager()))
            if isinstance(self._turn_taking, SemanticVad):
                self._stop_judging()
                self._judging = asyncio.create_task(self._judge(heard, self._endpointer))
        else:
            self._post(heard)

    async def _judge(self, pause: Paused, endpointer: Endpointer | None) -> None:
        try:
            score = await self._turn_detector.score(self._ring.since(self._utterance_start))
        except Exception:
            log.exception("turn detection failed; the longest silence decides")
            return
        stopped = endpointer.judge(pause.last_speech_s, score) if endpointer is not None and endpointer is self._endpointer else None
        if stopped is not None:
            self._post(stopped)

    def _stop_judging(self) -> None:
        """Never from within the judgement itself: it ends the turn, and must go on to the end."""
        if self._judging is not None and self._judging is not asyncio.current_task():
            self._judging.cancel()
        self._judging = None
