"""When an utterance begins and ends, from the probability of speech frame by frame.

Theory of operation
1. Speech begins when the probability has been at or above the threshold for `ONSET_S`: a click is shorter.
2. It goes on while the probability stays above the threshold less `HYSTERESIS`: the ends of words are faint.
3. A pause of `PAUSE_S` is told (`Paused`), for the turn may be over, and so is that the speaker goes on after it (`SpeechResumed`), once
   that has lasted `RESUMED_S`: a breath is shorter.
4. Under server_vad speech ends after `silence_s` of less. Under semantic_vad the turn detector is asked in each pause, and again each
   time that the pause has doubled; speech ends when the detector says so (`judge`), at the latest after `longest_silence_s`.
5. All times are audio time: what matters is what was heard, not when it came.
"""

import math
from dataclasses import dataclass

from serve_app.core.config import SemanticVad, ServerVad
from serve_app.core.events import SpeechResumed, SpeechStarted, SpeechStopped

ONSET_S = 0.06
HYSTERESIS = 0.15
PAUSE_S = 0.2
RESUMED_S = 0.1
FINISHED = 0.5
"""Probability of the turn detector from which a turn counts as finished (Smart Turn is trained to be cut there)."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The speaker paused. Under semantic_vad: ask the turn detector, then call `judge` with its answer."""

    last_speech_s: float
    """Names the pause."""


Heard = SpeechStarted | SpeechStopped | SpeechResumed | Paused


class Endpointer:
    def __init__(self, policy: ServerVad | SemanticVad) -> None:
        self._policy = policy
        self._onset_s: float | None = None
        self._last_speech_s = 0.0
        self._ask_after_s = PAUSE_S
        self._resuming_since_s: float | None = None
        self._paused = False
        self._now_s = 0.0
        self.speaking = False

    def feed(self, probability: float, start_s: float, end_s: float) -> Heard | None:
        """One frame, from `start_s` to `end_s` of audio time. Frames come without gaps."""
        self._now_s = end_s
        return self._in_speech(probability, start_s, end_s) if self.speaking else self._in_silence(probability, start_s, end_s)

    def judge(self, last_speech_s: float, probability: float) -> SpeechStopped | None:
        """The turn detector's answer about the pause after `last_speech_s`; late answers, about another pause, are ignored."""
        if self.speaking and last_speech_s == self._last_speech_s and probability >= FINISHED:
            return self._stop()
        return None

    def change(self, policy: ServerVad | SemanticVad) -> None:
        """Another policy holds from now on. Speech that is under way goes on; in a pause the turn detector is asked if it was not."""
        if type(policy) is not type(self._policy):
            self._ask_after_s = PAUSE_S
        self._policy = policy

    def reset(self) -> None:
        """Forget an utterance that was committed or cleared by hand."""
        self.speaking = False
        self._onset_s = None

    def _in_silence(self, probability: float, start_s: float, end_s: float) -> SpeechStarted | None:
        if probability < self._policy.threshold:
            self._onset_s = None
            return None
        if self._onset_s is None:
            self._onset_s = start_s
        if end_s - self._onset_s < ONSET_S:
            return None
        began, self._onset_s = self._onset_s, None
        self.speaking, self._last_speech_s, self._ask_after_s, self._paused = True, end_s, PAUSE_S, False
        return SpeechStarted(max(0.0, began - self._policy.prefix_padding_s))

    def _in_speech(self, probability: float, start_s: float, end_s: float) -> SpeechStopped | SpeechResumed | Paused | None:
        if probability >= max(self._policy.threshold - HYSTERESIS, 0.01):
            self._last_speech_s, self._ask_after_s = end_s, PAUSE_S
            return self._resumed(start_s, end_s) if self._paused else None
        self._resuming_since_s = None
        silence_s = end_s - self._last_speech_s
        match self._policy:
            case ServerVad(silence_s=longest_s) | SemanticVad(longest_silence_s=longest_s):
                return self._stop() if silence_s >= longest_s else self._pause(silence_s)

    def _pause(self, silence_s: float) -> Paused | None:
        if silence_s < self._ask_after_s:
            return None
        self._ask_after_s = 2 * silence_s if isinstance(self._policy, SemanticVad) else math.inf
        self._paused = True
        return Paused(self._last_speech_s)

    def _resumed(self, start_s: float, end_s: float) -> SpeechResumed | None:
        if self._resuming_since_s is None:
            self._resuming_since_s = start_s
        if end_s - self._resuming_since_s < RESUMED_S:
            return None
        self._resuming_since_s, self._paused = None, False
        return SpeechResumed()

    def _stop(self) -> SpeechStopped:
        self.speaking = False
        return SpeechStopped(end_s=self._now_s, last_speech_s=self._last_speech_s)
