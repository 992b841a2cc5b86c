"""What a client's loudspeaker plays of what it was sent, laid beside the samples of its microphone.

Positions are samples at `HEARING_RATE` since the session began, as those of the microphone. Audio is laid where it would be heard if it
took no time to the client and back; the echo comes later, by a lag that is nearly constant while playback does not stop (a run). A client
that is late itself, or loses samples of its microphone, plays beside an earlier sample than the clock says: never beside one that had
come before the audio was sent.
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
GOES_ON = HEARING_RATE // 2
"""Samples between two runs of which one goes on with the other, at most."""
WATCHED_S = 2.0
GAP_S = 0.5
"""Audio that comes so much later than before: the client had stopped its microphone, or something was stalled."""
CATCHES_UP_S = 1.0
"""What was stalled has caught up by then, and a microphone that was stopped has not."""
MOST_EARLY_S = 2.0
"""The earliest that an echo is looked for before the place where its sound was laid."""
FORGOTTEN_S = 4.0
"""After it was played, by the clock: its sample of the microphone may be late, or never come."""
ROUNDING_S = 0.01


class MicrophoneClock:
    """Which sample of the microphone belongs to a moment. Networks delay packets and never hurry them: the earliest of the last seconds
    tells the time."""

    def __init__(self) -> None:
        self.newest = 0
        """The samples up to there are here."""
        self.stopped_s = 0.0
        """For how long the client has stopped its microphone, altogether."""
        self._earliest = self._earlier = math.inf  # of this stretch of WATCHED_S, and of the one before
        self._since = -math.inf
        self._late: tuple[float, float] | None = None
        """Since when all has come late, and as what that has the microphone begin."""

    def came(self, position: int, now: float) -> None:
        """The samples up to `position` are here."""
        self.newest = position
        begins_at = now - position / HEARING_RATE
        if begins_at > min(self._earliest, self._earlier) + GAP_S:
            self._came_late(begins_at, now)
            return
        self._late = None
        if now > self._since + WATCHED_S:
            self._since, self._earlier, self._earliest = now, self._earliest, math.inf
        self._earliest = min(self._earliest, begins_at)

    def _came_late(self, begins_at: float, now: float) -> None:
        since, earliest = self._late or (now, math.inf)
        self._late = since, min(earliest, begins_at)
        if now >= since + CATCHES_UP_S:
            self.stopped_s += self._late[1] - min(self._earliest, self._earlier)
            self._earliest, self._earlier, self._since, self._late = self._late[1], math.inf, now, None

    def position(self, at: float) -> int | None:
        """None before anything came."""
        begins_at = min(self._earliest, self._earlier)
        return None if math.isinf(begins_at) else int((at - begins_at) * HEARING_RATE)


@dataclass(slots=True)
class _Piece:
    start: int
    pcm: Pcm
    run: int
    early: int
    """By how much earlier it may be heard: with the first sample that had not come yet when the run began."""

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
        self._stopped_s = 0.0
        """Of `MicrophoneClock.stopped_s`: what the places take account of."""

    def sent(self, pcm: Pcm, now: float) -> None:
        """Call it before the conversation is told: `playback` must not have it yet."""
        self._lay_anew()
        self._cut()
        starts_at = max(self._playback.ends_at, now)
        position, played = self.microphone.position(starts_at), self.microphone.position(now - FORGOTTEN_S)
        if position is None or played is None:
            return  # a client without a microphone
        self._forget(played)
        early = self._pieces[-1].early if self._pieces else 0
        if self._resampler is None or not self._pieces or starts_at > self._ends_at + ROUNDING_S:
            self._resampler = Resampler(self._rate, HEARING_RATE)
            self._run += 1
            early = min(max(0, position - self.microphone.newest), int(MOST_EARLY_S * HEARING_RATE))
        else:
            position = self._pieces[-1].end
        self._pieces.append(_Piece(position, self._resampler.push(pcm), self._run, early))
        self._ends_at = starts_at + len(pcm) / self._rate

    def audible(self, position: int) -> bool:
        """Whether something that was played may be heard at that sample of the microphone. What is older is forgotten."""
        self._lay_anew()
        self._cut()
        self._forget(position - KEPT)
        pieces = self._pieces
        return bool(pieces) and pieces[0].start - pieces[0].early <= position < pieces[-1].end + REACH

    def played(self, start: int, samples: int, run: int | None = None) -> Pcm:
        """Silence where nothing was. `run`: nothing of the others."""
        played = np.zeros(samples, np.int16)
        for piece in self._pieces:
            if run not in (None, piece.run):
                continue
            if piece.start >= start + samples:
                break
            begin, end = max(start, piece.start), min(start + samples, piece.end)
            if begin < end:
                played[begin - start : end - start] = piece.pcm[begin - piece.start : end - piece.start]
        return played

    def runs(self, start: int, end: int) -> dict[int, int]:
        """Those that may be heard from the one sample to the other, the oldest first, and by how many samples before its place each may
        be."""
        return {p.run: p.early for p in self._pieces if p.start - p.early < end and p.end + REACH > start}

    def newest(self, position: int) -> int:
        """The last run that may be heard by then; 0: none."""
        return max((piece.run for piece in self._pieces if piece.start - piece.early <= position), default=0)

    def span(self, run: int) -> tuple[int, int]:
        """Where it begins and ends. It must be one of `runs`."""
        pieces = [piece for piece in self._pieces if piece.run == run]
        return pieces[0].start, pieces[-1].end

    def follows(self, run: int, lag: int, position: int) -> int | None:
        """The run that is heard there, if its lag is about the one of `run`: that itself, or one that goes on after it, as playback does
        when an answer is not made fast enough. None where one that begins anew may be heard."""
        ends = max((piece.end for piece in self._pieces if piece.run == run), default=None)
        for piece in self._pieces:
            if piece.run <= run or piece.start - piece.early > position:
                continue
            if ends is None or piece.start > ends + GOES_ON:
                return None if ends is None or position >= ends + lag else run
            if piece.start + lag <= position:
                run = piece.run
            ends = piece.end
        return run

    def _forget(self, position: int) -> None:
        """What ended before that sample."""
        while self._pieces and self._pieces[0].end < position:
            self._pieces.popleft()

    def _lay_anew(self) -> None:
        """While the client's microphone was stopped its samples did not go on, and playback did: that lies so much earlier beside those
        that come now, in another run."""
        stopped = round((self.microphone.stopped_s - self._stopped_s) * HEARING_RATE)
        if not stopped:
            return
        self._stopped_s = self.microphone.stopped_s
        self._run += 1
        for piece in self._pieces:
            piece.start, piece.run, piece.early = piece.start - stopped, self._run, 0

    def _cut(self) -> None:
        """The client threw away what it had not played, when it was interrupted."""
        if self._playback.ends_at >= self._ends_at - ROUNDING_S:
            return
        self._ends_at = self._playback.ends_at
        end = self.microphone.position(self._ends_at)
        while end is not None and self._pieces and self._pieces[-1].end > end:
            last = self._pieces.pop()
            if last.start < end:
                self._pieces.append(_Piece(last.start, last.pcm[: end - last.start], last.run, last.early))
