"""Speech over an answer: does the user want the floor, or was it a cough, or a sign of listening ("mm-hm")?

    SpeechStarted while an answer is heard ─> undecided: nothing more of the answer is sent, and the client is told nothing
    a word that is no sign of listening, or speech that lasts ─> the user has the floor: the client is told, the answer ends
    the words are the agent's own, come back through a loudspeaker (own_words.py) ─> it never happened
    the speech ends, and there was no such word ─> it never happened: the utterance is dropped, the answer goes on where it was held

What the client has got already it plays meanwhile. A short word that interrupts ("stop") is decided on in the pause after it, by a guess of
its text; where the engine cannot guess, the utterance counts as an interruption when it ends.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from serve_app.core.events import TranscriptGrew, TranscriptGuessed
from serve_app.core.own_words import LAG_S, SOON_S, many_words, own_words

SIGNS = frozenset(
    "ah aha alright cool exactly good great hm hmm huh mhm mm mmhm mmm nice oh ok okay really right sure uh uhhuh um wow yeah yep "
    "yes".split()
)
"""Words that a listener says without wanting the floor."""
LONGEST_SIGN = 3
"""Words; who says more has something to say."""
GOES_ON = 0.5
"""Share of the usual time that speech must last when it goes on after a pause."""


@dataclass(slots=True)
class Undecided:
    item_id: str
    start_s: float
    """Audio time at which the utterance starts, padding included."""
    since: float
    """When it was noticed."""
    asked: bool
    """Whether the answer asks something: then a sign of listening may be the reply to it."""


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
        """When the speech has lasted so long; None while the speaker pauses, and while nothing is undecided."""

    def hold(self, item_id: str, start_s: float, asked: bool, now: float) -> None:
        self.undecided, self.due = Undecided(item_id, start_s, now, asked), now + self.lasts_s

    def paused(self) -> None:
        self.due = None

    def resumed(self, now: float) -> None:
        self.due = now + GOES_ON * self.lasts_s if self.undecided else None

    def judged(self, event: TranscriptGrew | TranscriptGuessed, now: float) -> Words:
        """What the words of the utterance decide, as far as they are known."""
        one = self.undecided
        if one is None or one.item_id != event.item_id or not wants_the_floor(event.text, one.asked):
            return Words.NOTHING
        if self._said is None or not own_words(event.text, self._said(one.since - LAG_S, now + SOON_S)):
            return Words.INTERRUPT
        return Words.ECHO if isinstance(event, TranscriptGuessed) or many_words(event.text) else Words.NOTHING

    def overdue(self, now: float) -> bool:
        return self.due is not None and now >= self.due

    def decided(self) -> Undecided | None:
        """What was undecided, which it is not any more."""
        one, self.undecided, self.due = self.undecided, None, None
        return one


def wants_the_floor(text: str, asked: bool) -> bool:
    words = re.sub(r"[^\w\s]", "", text.lower().replace("-", "")).split()
    return len(words) > LONGEST_SIGN or any(asked or word not in SIGNS for word in words)
