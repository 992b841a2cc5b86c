"""One session's ear: the audio that comes in becomes sparse events for the conversation, and the samples of each utterance go to
speech-to-text.

Audio positions are samples at `HEARING_RATE` since the session began. `append` yields to other sessions between slices, because a client
may send minutes of audio in one message.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from serve_app.audio import NO_PCM, Ring, level_dbfs
from serve_app.core import events as ev
from serve_app.core.config import SemanticVad, TurnTaking
from serve_app.core.endpointing import LONGEST_S, Endpointer, Heard, Paused
from serve_app.core.events import SpeechStarted, SpeechStopped
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
        longest_turn_s: float = LONGEST_S,
    ) -> None:
        """`send`: to speech-to-text. `eager`: whether there is room for work that may be thrown away. `longest_turn_s`: after so much
        speech a turn ends, and what is said goes on as another."""
        self._longest_turn_s = longest_turn_s
        self._eager = eager
        self._send = send
        self._frame = microphone.frame_samples
        self._microphone = microphone
        self._turn_detector = turn_detector
        self._post = post
        self._ring = Ring(KEPT_S * HEARING_RATE)
        self._rest: Pcm = NO_PCM
        """What was appended and not taken yet: the frames to come, and the samples after them that are no whole frame."""
        self._turn_taking: TurnTaking = None
        self._endpointer: Endpointer | None = None
        self._utterance: str | None = None
        self._utterance_start = 0
        self._buffer_start = 0
        self._others: list[Pcm] = []
        """The end of the utterance, in which others may speak: not sent while that is open."""
        self._judging: asyncio.Task[None] | None = None
        self._unreviewed = False
        """Voice activity detection begins, and the buffer holds audio already."""

    @property
    def buffered_s(self) -> float:
        """Seconds of audio since the last commit or clear."""
        return (self._ring.position + len(self._rest) - self._buffer_start) / HEARING_RATE

    @property
    def position_s(self) -> float:
        """Audio time so far."""
        return self._ring.position / HEARING_RATE

    def configure(self, turn_taking: TurnTaking) -> None:
        """What is being said goes on under the new policy. Call `review` next, when the client may be told of speech."""
        self._turn_taking = turn_taking
        if not isinstance(turn_taking, SemanticVad):
            self._stop_judging()
        if turn_taking is None:
            self._endpointer = None
        elif self._endpointer is None:
            self._endpointer, self._unreviewed = Endpointer(turn_taking, self._longest_turn_s), self._ring.position > self._buffer_start
        else:
            self._endpointer.change(turn_taking)

    async def review(self) -> None:
        """Voice activity detection that was switched on looks through the audio that the buffer holds already: speech that is in it is one
        utterance, which is over or goes on."""
        if not self._unreviewed or self._endpointer is None:
            return
        self._unreviewed = False
        pcm, first, last = self._ring.since(self._buffer_start), None, None
        begin = self._ring.position - len(pcm)
        for number, at in enumerate(range(len(pcm) % self._frame, len(pcm), self._frame)):
            start, end = begin + at, begin + at + self._frame
            frame, score = self._microphone.take(pcm[at : at + self._frame], start)
            heard = self._endpointer.feed(score, start / HEARING_RATE, end / HEARING_RATE, level_dbfs(frame))
            first, last = first or heard, heard or last
            if number % FRAMES_A_SLICE == FRAMES_A_SLICE - 1:
                await asyncio.sleep(0)
        if first is not None:
            self._tell(first)
        if isinstance(last, SpeechStopped | Paused):
            self._tell(last if isinstance(last, Paused) else replace(last, end_s=self.position_s))

    async def append(self, pcm: Pcm) -> None:
        """`pcm`: at HEARING_RATE, any length."""
        self._rest = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        self._microphone.came(self._ring.position + len(self._rest))
        frames = len(self._rest) // self._frame
        for number in range(frames):
            frame, self._rest = self._rest[: self._frame], self._rest[self._frame :]
            self._take(frame)
            if number % FRAMES_A_SLICE == FRAMES_A_SLICE - 1:
                await asyncio.sleep(0)
        await asyncio.sleep(0)

    def append_rest(self) -> None:
        """The samples that are no whole frame belong to what is committed or cleared by hand now."""
        rest, self._rest = self._rest, NO_PCM
        if len(rest):
            self._hear(rest)

    def begin(self, item_id: str, start_s: float, hints: Hints) -> None:
        """The utterance starts at `start_s`, or where the last one ended if that is later."""
        start = max(int(start_s * HEARING_RATE), self._buffer_start)
        self._utterance, self._utterance_start = item_id, start
        self._send(Begin(item_id, hints))
        self._send(Audio(item_id, self._ring.since(start)))

    def end(self, item_id: str, guessed: bool = False) -> None:
        """`guessed`: a guess stands for the final text. What others said after the speaker, until the turn ended for it, is left out."""
        self._send_others()
        self._stop_judging()
        self._utterance = None
        if not guessed:
            self._send(End(item_id))

    def drop(self, item_id: str) -> None:
        self._stop_judging()
        self._utterance = None
        self._others.clear()
        self._send(Drop(item_id))

    def forget(self) -> None:
        """What was taken so far was committed or cleared."""
        self._buffer_start = self._ring.position
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
            heard = self._endpointer.feed(score, start / HEARING_RATE, self._ring.position / HEARING_RATE, level_dbfs(frame))
            if heard is not None:
                self._tell(heard)
        elif self._utterance is None:
            self._post(ev.BufferStarted(self._buffer_start / HEARING_RATE))

    def _hear(self, pcm: Pcm) -> None:
        self._ring.push(pcm)
        if self._utterance is not None:
            self._others.append(pcm)
            if self._endpointer is None or not self._endpointer.others_speak:
                self._send_others()

    def _send_others(self) -> None:
        """It was the speaker after all."""
        for pcm in self._others:
            assert self._utterance is not None
            self._send(Audio(self._utterance, pcm))
        self._others.clear()

    def _tell(self, heard: Heard) -> None:
        if isinstance(heard, SpeechStopped) and heard.others:
            self._others.clear()
        if isinstance(heard, Paused):
            self._send_others()
            self._post(ev.SpeechPaused(heard.last_speech_s, self.position_s, self._eager()))
            if isinstance(self._turn_taking, SemanticVad):
                self._stop_judging()
                self._judging = asyncio.create_task(self._judge(heard, self._endpointer))
        elif isinstance(heard, SpeechStarted):
            start_s = max(heard.start_s, self._buffer_start / HEARING_RATE)
            self._post(replace(heard, start_s=start_s, echo_lag_s=self._microphone.echo_lag_s))
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
