"""When an utterance begins and ends, from the probability of speech frame by frame.

Theory of operation
1. Speech begins when the probability has been at or above the threshold for `ONSET_S`: a click is shorter.
2. It goes on while the probability stays above the threshold less `HYSTERESIS`: the ends of words are faint.
3. A pause of `PAUSE_S` is told (`Paused`), for the turn may be over, and so is that the speaker goes on after it (`SpeechResumed`), once
   that has lasted `RESUMED_S`: a breath is shorter.
4. Under server_vad speech ends after `silence_s` of less. Under semantic_vad the turn detector is asked in each pause, and again each
   time that the pause has doubled; speech ends when the detector says so (`judge`), at the latest after `longest_silence_s`.
5. A turn is its speaker's. Speech that stays `FAR_DB` below the loudest of the turn for `FAR_S` is another's, perhaps a television: the
   turn ends, and what is no louder than that background begins none for `BACKGROUND_S`, or until it has paused. Where nobody louder has
   spoken there is no background, however faint the speech. The ends of sentences are 10 dB below their loudest words, for a second.
6. No turn lasts longer than `longest_s`: the next gap between words ends it, at the latest `GAP_WITHIN_S` later. What is said goes on as
   a new turn, without a gap.
7. All times are audio time: what matters is what was heard, not when it came.
"""

import math
from collections import deque
from dataclasses import dataclass, replace
from statistics import median

from serve_app.core.config import SemanticVad, ServerVad
from serve_app.core.events import SpeechResumed, SpeechStarted, SpeechStopped

ONSET_S = 0.06
HYSTERESIS = 0.15
PAUSE_S = 0.2
RESUMED_S = 0.1
FAR_DB = 15.0
FAR_S = 2.5
LONGEST_FAR_S = 5.0
"""At least so long, and as long as the longest silence of the turn, at most this."""
LEVEL_FRAMES = 9
"""The level of speech is the median of so many frames (0.3 s): a click or a slammed door is shorter."""
FADES_DB_A_S = 0.5
"""The loudest of a turn counts less with time: a speaker may walk away."""
BACKGROUND_S = 30.0
BACKGROUND_PAUSE_S = 5.0
ABOVE_BACKGROUND_DB = 6.0
GAP_S = 0.06
GAP_WITHIN_S = 5.0
LONGEST_S = 60.0
FINISHED = 0.5
"""Probability of the turn detector from which a turn counts as finished (Smart Turn is trained to be cut there)."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The speaker paused. Under semantic_vad: ask the turn detector, then call `judge` with its answer."""

    last_speech_s: float
    """Names the pause."""


Heard = SpeechStarted | SpeechStopped | SpeechResumed | Paused


class _Speaker:
    """How loud the speaker of one turn is."""

    def __init__(self, at_s: float) -> None:
        self._recent: deque[float] = deque(maxlen=LEVEL_FRAMES)
        self._loudest_db = -math.inf
        self.last_s = at_s
        """When the speaker was last heard."""
        self.others_db = -math.inf
        """The loudest frame of others' speech since then."""

    def hears(self, level_db: float, start_s: float, end_s: float) -> None:
        """A frame of speech, the speaker's or another's."""
        self._recent.append(level_db)
        level = median(self._recent)
        self._loudest_db = max(level, self._loudest_db - FADES_DB_A_S * (end_s - start_s))
        if level >= self._loudest_db - FAR_DB:
            self.last_s, self.others_db = end_s, -math.inf
        else:
            self.others_db = max(self.others_db, level_db)


class _Background:
    """Speech of others, which went on when a turn ended."""

    def __init__(self, level_db: float, now_s: float) -> None:
        self._level_db = level_db
        self._until_s = now_s + BACKGROUND_S
        self._last_s = now_s

    def goes_on(self, start_s: float) -> bool:
        return start_s < self._until_s and start_s - self._last_s < BACKGROUND_PAUSE_S

    def holds(self, level_db: float, end_s: float) -> bool:
        """Whether a frame of speech may be its own."""
        if level_db > self._level_db + ABOVE_BACKGROUND_DB:
            return False
        self._last_s = end_s
        return True


class Endpointer:
    def __init__(self, policy: ServerVad | SemanticVad, longest_s: float = LONGEST_S) -> None:
        self._policy = policy
        self._longest_s = longest_s
        self._began_s = 0.0
        self._speaker = _Speaker(0.0)
        self._background: _Background | None = None
        self._onset_s: float | None = None
        self._last_speech_s = 0.0
        self._ask_after_s = PAUSE_S
        self._resuming_since_s: float | None = None
        self._paused = False
        self._now_s = 0.0
        self.speaking = False

    @property
    def others_speak(self) -> bool:
        """Whether what is heard since the speaker of the turn was heard last is the speech of others, as far as that is known."""
        return self.speaking and self._speaker.others_db > -math.inf

    def feed(self, probability: float, start_s: float, end_s: float, level_db: float = 0.0) -> Heard | None:
        """One frame, from `start_s` to `end_s` of audio time, with its level against full scale. Frames come without gaps."""
        self._now_s = end_s
        if self.speaking:
            return self._in_speech(probability, start_s, end_s, level_db)
        return self._in_silence(probability, start_s, end_s, level_db)

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

    def _in_silence(self, probability: float, start_s: float, end_s: float, level_db: float) -> SpeechStarted | None:
        if self._background is not None and not self._background.goes_on(start_s):
            self._background = None
        speech = probability >= self._policy.threshold
        if not speech or (self._background is not None and self._background.holds(level_db, end_s)):
            self._onset_s = None
            return None
        if self._onset_s is None:
            self._onset_s = start_s
        if end_s - self._onset_s < ONSET_S:
            return None
        began, self._onset_s = self._onset_s, None
        self.speaking, self._last_speech_s, self._ask_after_s, self._paused = True, end_s, PAUSE_S, False
        self._began_s, self._speaker, self._background = began, _Speaker(end_s), None
        self._speaker.hears(level_db, start_s, end_s)
        return SpeechStarted(max(0.0, began - self._policy.prefix_padding_s))

    def _in_speech(
        self, probability: float, start_s: float, end_s: float, level_db: float
    ) -> SpeechStopped | SpeechResumed | Paused | None:
        speech = probability >= max(self._policy.threshold - HYSTERESIS, 0.01)
        if speech:
            self._last_speech_s, self._ask_after_s = end_s, PAUSE_S
            self._speaker.hears(level_db, start_s, end_s)
        silence_s, longest_s = end_s - self._last_speech_s, self._longest_silence_s
        if self._speaker.others_db > -math.inf and end_s - self._speaker.last_s >= min(max(FAR_S, longest_s), LONGEST_FAR_S):
            self._background, self._last_speech_s = _Background(self._speaker.others_db, end_s), self._speaker.last_s
            return replace(self._stop(), others=True)
        over_s = end_s - self._began_s - self._longest_s
        if over_s >= GAP_WITHIN_S or (over_s >= 0.0 and silence_s >= GAP_S):
            return self._stop()
        if speech:
            return self._resumed(start_s, end_s) if self._paused else None
        self._resuming_since_s = None
        return self._stop() if silence_s >= longest_s else self._pause(silence_s)

    @property
    def _longest_silence_s(self) -> float:
        match self._policy:
            case ServerVad(silence_s=longest_s) | SemanticVad(longest_silence_s=longest_s):
                return longest_s

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
