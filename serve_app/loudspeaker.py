"""What a client's loudspeaker plays of what it was sent, laid beside the samples of its microphone.

Positions are samples at `HEARING_RATE` since the session began, as those of the microphone. Audio is laid where it would be heard if it
took no time to the client and back; the echo comes later, by a lag that is nearly constant while playback does not stop (a run).
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from serve_app.audio import Resampler
from serve_app.core.playback import Playback
from serve_app.engines import HEARING_RATE, Pcm

REACH_S = 1.0
"""The longest lag: a browser's or a telephone's buffers and a slow network take less."""
REACH = int(REACH_S * HEARING_RATE)
KEPT = 2 * HEARING_RATE
"""Samples of what was played that are kept: the longest lag and the half second that is compared (serve_app/echo.py), with room."""
WATCHED_S = 2.0
GAP_S = 0.5
"""Audio that comes so much later than before: the client had stopped its microphone."""
ROUNDING_S = 0.01


class MicrophoneClock:
    """Which sample of the microphone belongs to a moment. Networks delay packets and never hurry them: the earliest of the last seconds
    tells the time."""

    def __init__(self) -> None:
        self._earliest = self._earlier = math.inf  # of this stretch of WATCHED_S, and of the one before
        self._since = -math.inf

    def came(self, position: int, now: float) -> None:
        """The samples up to `position` are here."""
        begins_at = now - position / HEARING_RATE
        if begins_at > min(self._earliest, self._earlier) + GAP_S:
            self._earliest = self._earlier = math.inf
        if now > self._since + WATCHED_S:
            self._since, self._earlier, self._earliest = now, self._earliest, math.inf
        self._earliest = min(self._earliest, begins_at)

    def position(self, at: float) -> int | None:
        """None before anything came."""
        begins_at = min(self._earliest, self._earlier)
        return None if math.isinf(begins_at) else int((at - begins_at) * HEARING_RATE)


@dataclass(slots=True)
class _Piece:
    start: int
    pcm: Pcm
    run: int

    @property
    def end(self) -> int:
        return self.start + len(self.pcm)


class Loudspeaker:
    def __init__(self, playback: Playback, rate: int) -> None:
        """`playback`: how far the conversation takes the client to be. `rate`: of what is sent."""
        self.microphone = MicrophoneClock()
        self._playback = playback
        self._rate = rate
        self._resampler: Resampler | None = None
        self._pieces: deque[_Piece] = deque()
        self._run = 0
        self._ends_at = -math.inf

    def sent(self, pcm: Pcm, now: float) -> None:
        """Call it before the conversation is told: `playback` must not have it yet."""
        starts_at = max(self._playback.ends_at, now)
        position = self.microphone.position(starts_at)
        if position is None:
            return  # a client without a microphone
        if self._resampler is None or not self._pieces or starts_at > self._ends_at + ROUNDING_S:
            self._resampler = Resampler(self._rate, HEARING_RATE)
            self._run += 1
        else:
            position = self._pieces[-1].end
        self._pieces.append(_Piece(position, self._resampler.push(pcm), self._run))
        self._ends_at = starts_at + len(pcm) / self._rate

    def audible(self, position: int) -> bool:
        """Whether something that was played may be heard at that sample of the microphone. What is older is forgotten."""
        self._cut()
        while self._pieces and self._pieces[0].end + KEPT < position:
            self._pieces.popleft()
        return bool(self._pieces) and self._pieces[0].start <= position < self._pieces[-1].end + REACH

    def played(self, start: int, samples: int) -> Pcm:
        """Silence where nothing was."""
        played = np.zeros(samples, np.int16)
        for piece in self._pieces:
            if piece.start >= start + samples:
                break
            begin, end = max(start, piece.start), min(start + samples, piece.end)
            if begin < end:
                played[begin - start : end - start] = piece.pcm[begin - piece.start : end - piece.start]
        return played

    def run(self, position: int) -> int:
        """Names the run to which what is played there belongs, or the last before it."""
        return max((piece.run for piece in self._pieces if piece.start <= position), default=0)

    def _cut(self) -> None:
        """The client threw away what it had not played, when it was interrupted."""
        if self._playback.ends_at >= self._ends_at - ROUNDING_S:
            return
        self._ends_at = self._playback.ends_at
        end = self.microphone.position(self._ends_at)
        while end is not None and self._pieces and self._pieces[-1].end > end:
            last = self._pieces.pop()
            if last.start < end:
                self._pieces.append(_Piece(last.start, last.pcm[: end - last.start], last.run))
