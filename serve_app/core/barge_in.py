"""Speech over an answer: does the user want the floor, or was it a cough, or a sign of listening ("mm-hm")?

    SpeechStarted while an answer is heard ─> undecided: nothing more of the answer is sent, and the client is told nothing
    a word that is no sign of listening, or speech that lasts ─> the user has the floor: the client is told, the answer ends
    the words are the agent's own, come back through a loudspeaker (own_words.py) ─> it never happened
    any word, and the speech ends later than `ENDING_S` before the last sound of the answer ─> it is a turn: what is said over the end of
    an answer replies to it, and then "yes" is no sign of listening
    the speech ends, and there was no such word ─> it never happened: the utterance is dropped, the answer goes on where it was held

What the client has got already it plays meanwhile. A short word that interrupts ("stop") is decided on in the pause after it, by a guess of
its text. An utterance that ends before its guess is there waits for it, for `GUESS_S`; after that it counts as an interruption.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from serve_app.core.events import SpeechPaused, SpeechStarted, SpeechStopped, TranscriptGrew, TranscriptGuessed
from serve_app.core.own_words import heard_back, many_words

SIGNS = frozenset(
    "ah aha alright cool exactly good great hm hmm huh mhm mm mmhm mmm nice oh ok okay really right sure uh uhhuh um wow yeah yep "
    "yes".split()
)
"""Words that a listener says without wanting the floor."""
LONGEST_SIGN = 3
"""Words; who says more has something to say."""
GOES_ON = 0.5
"""Share of the usual time that speech must last when it goes on after a pause."""
ENDING_S = 0.8
"""Before the end of an answer's sound: the last half second of its words, for voices leave 0.3 s of silence behind them."""
GUESS_S = 1.0


@dataclass(slots=True)
class Undecided:
    item_id: str
    start_s: float
    """Audio time at which the utterance starts, padding included."""
    since: float
    """When it was noticed."""
    asked: bool
    """Whether the answer asks something: then a sign of listening may be the reply to it."""
    echo_lag_s: tuple[float, float] | None
    """As in `SpeechStarted`."""
    text: str = ""
    """What is known to be said."""
    guessed_s: float | None = None
    """Audio time up to which `text` is a guess of all that was said; None: it is only the beginning."""
    spoke_until: float | None = None
    """Clock time of the last speech, when the speaker pauses."""
    stopped: tuple[SpeechStopped, float] | None = None
    """The utterance is over, and waits for its guess; with the clock time at which it ended."""


class Words(Enum):
    """What the words of an utterance over an answer are."""

    INTERRUPT = auto()
    ECHO = auto()
    """The agent's own."""
    NOTHING = auto()
    """They decide nothing yet."""


class BargeIn:
    def __init__(self, lasts_s: float, said: Callable[[float, float], str] | None = None) -> None:
        """`lasts_s`: how long speech lasts that wants the floor even without a word; 0: any does, at once. `said`: what the agent says
        between two times, where its own words may come back as an echo."""
        self.lasts_s = lasts_s
        self._said = said
        self.undecided: Undecided | None = None
        self.due: float | None = None
        """When the speech has lasted so long, or was waited for so long; None while the speaker pauses, and while nothing is undecided."""

    def hold(self, item_id: str, event: SpeechStarted, asked: bool, now: float) -> None:
        self.undecided, self.due = Undecided(item_id, event.start_s, now, asked, event.echo_lag_s), now + self.lasts_s

    def paused(self, event: SpeechPaused, now: float) -> None:
        self.due = None
        if self.undecided:
            self.undecided.spoke_until = now - (event.at_s - event.last_speech_s)

    def resumed(self, now: float) -> None:
        self.due = None
        if self.undecided:
            self.due, self.undecided.spoke_until, self.undecided.stopped = now + GOES_ON * self.lasts_s, None, None

    def over(self, event: SpeechStopped, now: float) -> None:
        """The utterance has ended, and the guess of its text is not there."""
        assert self.undecided is not None
        self.undecided.stopped, self.due = (event, now), now + GUESS_S

    def judged(self, event: TranscriptGrew | TranscriptGuessed, ends_at: float | None, now: float) -> Words:
        """What the words of the utterance decide, as far as they are known. `ends_at`: when the last sound of the answer is played; None
        while more may come."""
        one = self.undecided
        if one is None or one.item_id != event.item_id:
            return Words.NOTHING
        one.text, one.guessed_s = event.text, event.at_s if isinstance(event, TranscriptGuessed) else None
        return self.verdict(ends_at, now)

    def verdict(self, ends_at: float | None, now: float) -> Words:
        """As `judged`, of the words that are known."""
        one = self.undecided
        assert one is not None
        spoke_until = now if one.spoke_until is None else one.spoke_until
        replies = one.asked or (ends_at is not None and spoke_until >= ends_at - ENDING_S)
        if not wants_the_floor(one.text, replies):
            return Words.NOTHING
        if self._said is None or not heard_back(one.text, self._said, one.echo_lag_s, replies, one.since, spoke_until, now):
            return Words.INTERRUPT
        return Words.ECHO if one.guessed_s is not None or many_words(one.text) else Words.NOTHING

    @property
    def complete(self) -> bool:
        """Whether the utterance is over, and all of its words are known."""
        one = self.undecided
        return one is not None and one.stopped is not None and (one.guessed_s or 0.0) >= one.stopped[0].last_speech_s

    def overdue(self, now: float) -> bool:
        return self.due is not None and now >= self.due

    def decided(self) -> Undecided | None:
        """What was undecided, which it is not any more."""
        one, self.undecided, self.due = self.undecided, None, None
        return one


def wants_the_floor(text: str, replies: bool) -> bool:
    """Whether the words are more than signs of listening. `replies`: they may be a reply to the answer, and then any is more."""
    words = re.sub(r"[^\w\s]", "", text.lower().replace("-", "")).split()
    return len(words) > LONGEST_SIGN or any(replies or word not in SIGNS for word in words)
