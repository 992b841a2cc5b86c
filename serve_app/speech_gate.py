"""Which of an utterance's samples are recognised: those in which somebody speaks, and a little around them.

A recogniser puts words into noise: "You" into a hiss, a sentence into music. So voice activity looks at every utterance before it is
recognised, however it came: found by voice activity, committed by hand, or brought in an item.

    shut: the last frames are held back ─> enough of them sound like speech: they are let through, and what follows
    open: all is let through ─> for `TAIL_S` nothing has sounded like speech: shut

What is held back at the end holds no speech. Samples keep their order, pauses lose all but their ends, and what is let through is never
changed.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.engines import HEARING_RATE

if TYPE_CHECKING:
    from serve_app.engines import Pcm, VoiceActivity, VoiceStream

LIKELY = 0.3
"""Probability of speech from which a frame counts. Noise, hum and tones stay below 0.2 at every level; whispered words reach 0.3 to 0.9."""
ONSET_S, WITHIN_S = 0.15, 0.26
"""Speech lasts so long within so much time. A knock or a note of music may sound like speech for 0.13 s; the shortest words take 0.4 s."""
CUT_OFF_S = 0.06
"""How long speech lasts that is cut off by the end of the utterance."""
LEAD_S = 0.3
"""Let through before speech: a word may begin with a breath or a hiss that does not sound like speech yet."""
TAIL_S = 0.6
"""And after it: more than the pause that ends a turn by default."""
LOUDEST = 0.06 * 32768
"""Peak to which faint sound is raised before voice activity scores it (-24 dBFS): below -36 dBFS Silero misses ever more of it."""
MOST_GAIN = 32.0
FADES = 0.25
"""In a second, by how much the loudest sound so far counts less: 12 dB."""


class LevelledVoice:
    """A stream of voice activity that is given faint sound at a usual level. Noise may be raised too: it scores low at every level."""

    def __init__(self, voice: VoiceStream) -> None:
        self._voice = voice
        self._loudest = 1.0

    def score(self, frame: Pcm) -> float:
        """The probability, 0 to 1, that the frame holds speech."""
        faded = self._loudest * FADES ** (len(frame) / HEARING_RATE)
        self._loudest = max(1.0, faded, float(np.abs(frame.astype(np.int32)).max(initial=0)))
        gain = min(MOST_GAIN, LOUDEST / self._loudest)
        return self._voice.score(frame if gain <= 1.0 else (frame * gain).astype(np.int16))


class SpeechGate:
    """Of one utterance."""

    def __init__(self, voice_activity: VoiceActivity) -> None:
        self._frame = voice_activity.frame_samples
        self._voice = LevelledVoice(voice_activity.open())
        self._rest: Pcm = NO_PCM
        """Samples that are no whole frame yet."""
        self._held: deque[tuple[Pcm, bool]] = deque()
        """Frames that were not let through, and whether they sounded like speech."""
        self._open = False
        self._unlikely = 0
        """Frames since the last one that sounded like speech, while the gate is open."""
        self.came = 0
        self.passed = 0
        """Samples so far."""

    @property
    def withheld_s(self) -> float:
        """Seconds of audio that came and were not let through, so far."""
        return (self.came - self.passed) / HEARING_RATE

    def feed(self, pcm: Pcm) -> Pcm:
        """Takes samples at HEARING_RATE, any number, and gives those that are to be recognised next. Scores each frame: 0.2 ms of work for
        32 ms of audio."""
        self.came += len(pcm)
        pcm = np.concatenate((self._rest, pcm)) if len(self._rest) else pcm
        whole = len(pcm) // self._frame * self._frame
        self._rest = pcm[whole:]
        return self._passing([out for at in range(0, whole, self._frame) for out in self._take(pcm[at : at + self._frame])])

    def finish(self) -> Pcm:
        """The utterance is over: gives the last samples that are to be recognised. Call `feed` no more."""
        if not self._open and self._likely_in(self._held, WITHIN_S) >= self._frames(CUT_OFF_S):
            return self._passing([*self._let_through(), self._rest])
        return self._passing([self._rest] if self._open else [])

    def _take(self, frame: Pcm) -> list[Pcm]:
        likely = self._voice.score(frame) >= LIKELY
        if self._open:
            self._unlikely = 0 if likely else self._unlikely + 1
            self._open = self._unlikely < self._frames(TAIL_S)
            return [frame]
        self._held.append((frame, likely))
        if len(self._held) > self._frames(LEAD_S) + self._frames(WITHIN_S):
            self._held.popleft()
        return self._let_through() if self._likely_in(self._held, WITHIN_S) >= self._frames(ONSET_S) else []

    def _let_through(self) -> list[Pcm]:
        self._open, self._unlikely = True, 0
        frames = [frame for frame, _ in self._held]
        self._held.clear()
        return frames

    def _likely_in(self, held: deque[tuple[Pcm, bool]], last_s: float) -> int:
        return sum(likely for _, likely in list(held)[-self._frames(last_s) :])

    def _frames(self, seconds: float) -> int:
        return round(seconds * HEARING_RATE / self._frame)

    def _passing(self, frames: list[Pcm]) -> Pcm:
        pcm = np.concatenate(frames) if frames else NO_PCM
        self.passed += len(pcm)
        return pcm


def speech_in(pcm: Pcm, voice_activity: VoiceActivity) -> Pcm:
    """What of a whole utterance is to be recognised."""
    gate = SpeechGate(voice_activity)
    return np.concatenate((gate.feed(pcm), gate.finish()))
