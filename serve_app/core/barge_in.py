"""Speech over an answer: does the user want the floor, or was it a cough, or a sign of listening ("mm-hm")?

    SpeechStarted while an answer is heard ─> undecided: nothing more of the answer is sent, and the client is told nothing
    a word that is no sign of listening, or speech that lasts ─> the user has the floor: the client is told, the answer ends
    the speech ends, and there was no such word ─> it never happened: the utterance is dropped, the answer goes on where it was held

What the client has got already it plays meanwhile. A short word that interrupts ("stop") is decided on in the pause after it, by a guess of
its text; where the engine cannot guess, the utterance counts as an interruption when it ends.
"""

import re
from dataclasses import dataclass

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
    asked: bool
    """Whether the answer asks something: then a sign of listening may be the reply to it."""


class BargeIn:
    def __init__(self, lasts_s: float) -> None:
        """`lasts_s`: how long speech lasts that wants the floor even without a word; 0: any does, at once."""
        self.lasts_s = lasts_s
        self.undecided: Undecided | None = None
        self.due: float | None = None
        """When the speech has lasted so long; None while the speaker pauses, and while nothing is undecided."""

    def hold(self, item_id: str, start_s: float, asked: bool, now: float) -> None:
        self.undecided, self.due = Undecided(item_id, start_s, asked), now + self.lasts_s

    def paused(self) -> None:
        self.due = None

    def resumed(self, now: float) -> None:
        self.due = now + GOES_ON * self.lasts_s if self.undecided else None

    def wanted(self, item_id: str, text: str) -> bool:
        """Whether these words of the utterance decide it."""
        one = self.undecided
        return one is not None and one.item_id == item_id and wants_the_floor(text, one.asked)

    def overdue(self, now: float) -> bool:
        return self.due is not None and now >= self.due

    def decided(self) -> Undecided | None:
        """What was undecided, which it is not any more."""
        one, self.undecided, self.due = self.undecided, None, None
        return one


def wants_the_floor(text: str, asked: bool) -> bool:
    words = re.sub(r"[^\w\s]", "", text.lower().replace("-", "")).split()
    return len(words) > LONGEST_SIGN or any(asked or word not in SIGNS for word in words)
