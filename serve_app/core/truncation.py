"""Which words of an answer were heard, when only the first seconds of its audio were played."""

import re
from dataclasses import dataclass, field

from serve_app.core.language import Word

_WORD = re.compile(r"\s*\S+")

ROUNDING_S = 1e-6
"""Sums of durations are not exact; a word that ends where playback ends was heard."""

SECONDS_A_CHARACTER = 0.065
"""Kokoro's pace at speed 1 on English prose; used only while a clause's audio has not all been sent, so that its length is not known."""


@dataclass(slots=True)
class SpokenClause:
    text: str
    """As written; the clauses joined are the transcript."""
    duration_s: float = 0.0
    words: list[Word] = field(default_factory=list)
    """Of the spoken form, whose words may be others than the written ones ("4" is "four"): only their number and times are used."""
    complete: bool = False


class SpokenAudio:
    """The clauses of one item with the audio that was sent for each."""

    def __init__(self) -> None:
        self.clauses: dict[int, SpokenClause] = {}

    def add(self, clause: int, text: str) -> None:
        self.clauses[clause] = SpokenClause(text)

    def grow(self, clause: int, duration_s: float, words: tuple[Word, ...]) -> None:
        self.clauses[clause].duration_s += duration_s
        self.clauses[clause].words += words

    @property
    def duration_s(self) -> float:
        return sum(clause.duration_s for clause in self.clauses.values())

    def heard(self, played_s: float) -> str:
        """The written text of what was spoken within `played_s`, cut at a word. Within a clause by word times where the engine gave them,
        by proportion of the audio otherwise."""
        text = ""
        for _, clause in sorted(self.clauses.items()):
            if clause.duration_s <= 0 and clause.complete:  # nothing to speak, such as a block of code: it goes with what is before it
                text += clause.text if played_s > 0 or (text and played_s + ROUNDING_S >= 0) else ""
                continue
            if played_s <= 0 or clause.duration_s <= 0:
                break
            if clause.complete and played_s + ROUNDING_S >= clause.duration_s:
                text += clause.text
            else:
                text += _leading_words(clause.text, _share(clause, played_s))
            played_s -= clause.duration_s
        return text

    def said(self, from_s: float, to_s: float) -> str:
        """The words that were spoken then, as spoken where the engine gave their times."""
        text, start_s = "", 0.0
        for _, clause in sorted(self.clauses.items()):
            if clause.words:
                at = (word for word in clause.words if word.end_s > from_s - start_s and word.start_s < to_s - start_s)
                text += "".join(f" {word.text}" for word in at)
            else:
                before = _leading_words(clause.text, _share(clause, max(0.0, from_s - start_s)))
                text += _leading_words(clause.text, _share(clause, max(0.0, to_s - start_s)))[len(before) :]
            start_s += clause.duration_s
        return text

    @property
    def timed_by_words(self) -> bool:
        return any(clause.words for clause in self.clauses.values())


def _share(clause: SpokenClause, played_s: float) -> float:
    """Returns the share of the clause's text that was spoken within `played_s`, 0 to 1. A clause without audio, such as a block of code,
    has nothing to share out: nothing of it was spoken."""
    if clause.words:
        played = sum(word.end_s <= played_s + ROUNDING_S for word in clause.words)
        return played / (len(clause.words) if clause.complete else max(len(clause.words), len(_WORD.findall(clause.text))))
    whole_s = clause.duration_s if clause.complete else max(clause.duration_s, len(clause.text) * SECONDS_A_CHARACTER)
    return min(1.0, max(0.0, played_s / whole_s)) if whole_s > 0 else 0.0


def _leading_words(text: str, share: float) -> str:
    words = _WORD.findall(text)
    return "".join(words[: int(len(words) * share)])
