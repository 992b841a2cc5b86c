"""The server knows what it is saying, and does not take it for the user's speech when it comes back through a loudspeaker.

    nothing is played ─> the frame is scored as it is; nothing else is done
    watching: the frame may be speech ─> is the last half second like something that was played within the last second?
        yes ─> it is an echo, and the lag is known: cancelling
        no ─> the user's, once it has gone on for `UNSURE_FRAMES`; until then it counts as silence. A shorter word counts after its end,
        from a client that has had no echo of the answers so far
    cancelling ─> the frame without the echo is scored, and goes to speech-to-text
    playback has paused since, and goes on ─> watching, because the lag is another

A client without an echo (a headset, a browser that cancels it) never gets beyond watching: what its user says reaches speech-to-text as it
is, and what it costs is one comparison a frame while its user speaks over an answer. Playback is only estimated, which is why the lag is
found again for each run: a canceller that was given the estimate alone took over a second to follow it (load_tests/bench/echo.py).

What likeness is says serve_app/likeness.py.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from serve_app.audio import Ring, level_dbfs
from serve_app.core.playback import Playback
from serve_app.engines import HEARING_RATE, Engines, Pcm, VoiceActivity, VoiceStream
from serve_app.likeness import SEGMENT, coherence, likeness
from serve_app.loudspeaker import REACH, Loudspeaker

COMPARED = 8192
"""Samples: half a second."""
ALIKE, KNOWN_ALIKE = 1.6, 1.25
"""A lag that two frames agree on is believed from the first on, and from the second on where it is about that of an earlier run. Users who
spoke over answers reach 1.6 in one frame of 100."""
COHERENT = 0.25
"""And where both are coherent at that lag. Echoes in a room of the benchmark had 0.3 to 0.5, and from 40 dB below the answer on 0.2 to 0.3;
users who spoke over answers 0.05, and 0.24 in one frame of 100. With the user louder than the echo an echo has less too: then it is the
user who speaks."""
SURE_FRAMES, SURE_ALIKE, LEAST_COHERENT = 3, 2.2, 0.1
"""So much alike in so many frames one after the other, less will do, or too little to tell."""
KNOWN_WITHIN = HEARING_RATE // 20
SAME = 16
"""Samples: 1 ms."""
MOSTLY_ECHO_DB = 15.0
"""By how much the level falls with the echo where what is left is taken for remains of it."""
FAILED_DB = 3.0
"""By how much it falls at least where a canceller takes an echo away and nobody else speaks."""
REMAINS_FRAMES = 2
"""So many frames that sound like speech may be left of an echo, the user has more."""
LIKELY = 0.2
"""Probability of speech from which a frame is looked at."""
UNSURE_FRAMES = 6
"""Frames of possible speech before what is like nothing that was played is the user's: 0.2 s."""
EARLY_FRAMES = 16
"""And up to so many more while too little has been played to tell: half a second of an answer that has just begun."""
COMPARED_AGAIN, MOVED = 4096, 160
"""Samples from which another lag is found while an echo is taken away, and by how many it must be another."""
NOW = 2048
"""Samples: what was heard last. An echo that was over before it does not explain it."""
MOST_RUNS = 3
"""So many are compared: the others are nearly always over."""
SELDOM = 8
"""Later only each so-many-eth frame is compared: an echo may begin under the user's speech."""
FORGOTTEN_FRAMES = 10
UNHEARD_FRAMES = 48
"""Frames of an answer without an echo after which there is none: the longest lag, and half a second in which it would be found."""
AHEAD = HEARING_RATE // 25
"""What was played is given to the canceller so much earlier than its loudest echo comes back: others may come before it."""


class EchoCanceller(Protocol):
    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        """`heard` without what is an echo of `played`, both int16 [n] at `HEARING_RATE`; consecutive calls are one stream. What comes
        back is as long, and may be some milliseconds late."""


class Microphone(Protocol):
    """One session's microphone, frame by frame."""

    frame_samples: int

    @property
    def echo_lag_s(self) -> tuple[float, float] | None:
        """The shortest and the longest lag with which it may hear what is played; None: it hears nothing of it."""

    def came(self, position: int) -> None:
        """The samples up to `position` are here, though not all are taken yet."""

    def take(self, frame: Pcm, start: int) -> tuple[Pcm, float]:
        """What of the frame is the user's, and the probability that it holds the user's speech. `start`: position of its first sample."""


class PlainMicrophone:
    def __init__(self, voice_activity: VoiceActivity) -> None:
        self.frame_samples = voice_activity.frame_samples
        self._voice = voice_activity.open()

    @property
    def echo_lag_s(self) -> None:
        return None

    def came(self, position: int) -> None:
        pass

    def take(self, frame: Pcm, start: int) -> tuple[Pcm, float]:
        return frame, self._voice.score(frame)


@dataclass(frozen=True, slots=True)
class _Found:
    lag: int
    run: int
    echo: bool
    """It is an echo."""
    perhaps: bool
    """It may be one: too little was played to tell."""


class EchoingMicrophone:
    def __init__(
        self,
        voice_activity: VoiceActivity,
        loudspeaker: Loudspeaker,
        canceller: Callable[[], EchoCanceller],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.frame_samples = voice_activity.frame_samples
        self._voice: VoiceStream = voice_activity.open()
        self._loudspeaker = loudspeaker
        self._new_canceller = canceller
        self._clock = clock
        self._canceller: EchoCanceller | None = None
        self._recent = Ring(COMPARED)
        self._lag: int | None = None
        self._candidate = (-HEARING_RATE, 0)
        """The lag that the last comparison found, and in which run."""
        self._agreed = 0
        """Comparisons that found it one after the other."""
        self._known: int | None = None
        """The lag of an earlier run."""
        self._run = self._newest = 0
        self._likely = 0
        self._unlikely = 0
        self._early = 0
        """Frames that might have been an echo, when too little had been played to tell."""
        self._withheld: deque[float] = deque()
        """The probabilities of a word's first frames, until it is known whose it is."""
        self._unheard = 0
        """Frames since an echo was last found during which an answer was played."""

    @property
    def echo_lag_s(self) -> tuple[float, float] | None:
        if self._unheard >= UNHEARD_FRAMES:
            return None
        if self._known is None:
            return 0.0, REACH / HEARING_RATE
        return max(0.0, (self._known - KNOWN_WITHIN) / HEARING_RATE), max(0.0, (self._known + KNOWN_WITHIN) / HEARING_RATE)

    def came(self, position: int) -> None:
        self._loudspeaker.microphone.came(position, self._clock())

    def take(self, frame: Pcm, start: int) -> tuple[Pcm, float]:
        self._recent.push(frame)
        if not self._loudspeaker.audible(start):
            self._lag, self._likely, self._early = None, 0, 0
            score = self._voice.score(frame)
            return frame, score if score >= LIKELY else max(score, self._overdue())
        if self._lag is not None:
            run = self._loudspeaker.follows(self._run, self._lag, start)
            if run is not None:
                self._run = run
                return self._cancelled(frame, start, self._lag)
            self._lag, self._likely = None, 0
        if self._known is not None and (newest := self._loudspeaker.newest(start)) != self._newest:
            self._newest, self._likely, self._early = newest, 0, 0  # of an answer that stops and goes on each beginning may be its echo
        self._unheard += bool(self._loudspeaker.played(start, len(frame)).any())
        score = self._voice.score(frame)
        if score >= LIKELY:
            return frame, self._watched(score, start + len(frame))
        return frame, max(self._unwatched(score), self._overdue())

    def _watched(self, score: float, end: int) -> float:
        self._likely, self._unlikely = self._likely + 1, 0
        if self._likely <= UNSURE_FRAMES or self._likely % SELDOM == 0:
            found = self._compared(COMPARED, end)
            if found.echo:
                self._cancel(found, end)
                return 0.0
            if found.perhaps and self._early < EARLY_FRAMES:
                self._early, self._likely = self._early + 1, self._likely - 1
        if self._likely > UNSURE_FRAMES + 1:
            self._withheld.clear()  # two frames are an onset
        if self._likely > UNSURE_FRAMES:
            return score
        self._withheld.append(score)
        return 0.0

    def _cancel(self, found: _Found, end: int) -> None:
        self._lag = self._known = found.lag
        self._run = found.run
        self._likely = self._early = self._unheard = 0
        self._withheld.clear()
        self._canceller = self._new_canceller()
        recent = self._recent.last(COMPARED)
        self._without_echo(recent, end - len(recent), found.lag)

    def _cancelled(self, frame: Pcm, start: int, lag: int) -> tuple[Pcm, float]:
        """Without its echo. Where more is left of it than remains of one, either the user speaks; or the lag is another, for the client's
        playback was late, or its microphone lost something; or the canceller fails, which sees an echo and leaves it where it is."""
        clean = self._without_echo(frame, start, lag)
        score, taken_db = self._voice.score(clean), level_dbfs(frame) - level_dbfs(clean)
        if taken_db >= MOSTLY_ECHO_DB:
            score = 0.0
        if score < LIKELY:
            return clean, self._unwatched(score)
        self._likely, self._unlikely = self._likely + 1, 0
        if self._likely > UNSURE_FRAMES and self._likely % SELDOM:
            return clean, score
        found = self._compared(COMPARED_AGAIN, start + len(frame))
        moved = abs(found.lag - lag) > MOVED
        if moved and found.echo:
            self._cancel(found, start + len(frame))
        elif found.echo and taken_db < FAILED_DB and self._early < EARLY_FRAMES:
            self._early, self._likely = self._early + 1, self._likely - 1
            return clean, 0.0
        return clean, score if self._likely > (UNSURE_FRAMES if moved else REMAINS_FRAMES) else 0.0

    def _overdue(self) -> float:
        """Of a word that was over before it was known to be the user's, frame by frame. It is where the client has no echo."""
        if self.echo_lag_s is not None:
            self._withheld.clear()
        return self._withheld.popleft() if self._withheld else 0.0

    def _unwatched(self, score: float) -> float:
        self._unlikely += 1
        if self._unlikely >= FORGOTTEN_FRAMES:
            self._likely = 0
        return score

    def _without_echo(self, heard: Pcm, start: int, lag: int) -> Pcm:
        assert self._canceller is not None
        return self._canceller.clean(heard, self._loudspeaker.played(start - lag + AHEAD, len(heard)))

    def _compared(self, samples: int, end: int) -> _Found:
        """What the last samples are most like."""
        recent = self._recent.last(samples)
        known, alike, lag, run = max(self._candidates(recent, end), default=(False, 0.0, -HEARING_RATE, 0))
        before, self._candidate = self._candidate, (lag, run)
        self._agreed = self._agreed + 1 if run == before[1] and abs(lag - before[0]) <= SAME else 1
        agreed = self._agreed > 1
        if alike < (KNOWN_ALIKE if known else ALIKE) or not (agreed or known):
            return _Found(lag, run, echo=False, perhaps=False)
        coherent = self._coherence(recent, end, lag, run) if agreed else None
        least = LEAST_COHERENT if self._agreed >= SURE_FRAMES and alike >= SURE_ALIKE else COHERENT
        if coherent is None:
            return _Found(lag, run, echo=least == LEAST_COHERENT, perhaps=True)
        return _Found(lag, run, echo=coherent >= least, perhaps=False)

    def _coherence(self, recent: Pcm, end: int, lag: int, run: int) -> float | None:
        """Only while the run was heard: before and after it others may be."""
        starts, ends = self._loudspeaker.span(run)
        begin = end - len(recent)
        start = max(begin, starts + lag)
        heard = recent[start - begin : max(start, min(end, ends + lag)) - begin]
        return coherence(heard, self._loudspeaker.played(start - lag, len(heard), run)) if len(heard) >= 2 * SEGMENT else None

    def _candidates(self, recent: Pcm, end: int) -> Iterator[tuple[bool, float, int, int]]:
        """Whether the lag is known, how alike the sounds are at it, the lag and the run: of each run that is heard now with that lag."""
        begin = end - len(recent)
        for run, early in list(self._loudspeaker.runs(end - NOW, end).items())[-MOST_RUNS:]:
            lag, alike = likeness(recent, self._loudspeaker.played(begin - REACH, REACH + len(recent) + early, run), early)
            starts, ends = self._loudspeaker.span(run)
            if starts + lag < end and ends + lag > end - NOW:
                yield self._known is not None and abs(lag - self._known) <= KNOWN_WITHIN, alike, lag, run


def acoustics(
    engines: Engines, playback: Playback, canceller: Callable[[], EchoCanceller] | None
) -> tuple[Loudspeaker, Microphone]:
    """Of one session's client. Without a canceller the microphone is taken to hear nothing of the loudspeaker."""
    loudspeaker = Loudspeaker(playback, engines.text_to_speech.sample_rate)
    if canceller is None:
        return loudspeaker, PlainMicrophone(engines.voice_activity)
    return loudspeaker, EchoingMicrophone(engines.voice_activity, loudspeaker, canceller)
