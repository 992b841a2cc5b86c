"""A model that has lost the thread writes the same thing for ever. Heard while it writes, in any language; pure.

The text is taken as words; a script without blanks (Chinese, Japanese, Thai ...) has a word for each character. For each period of up to
`LONGEST_PERIOD` words it is known how many words in a row equal the word one period before. Once two copies of something stand in a row,
the next ones are held back, from the end of a sentence on where the copies hold one: either something else follows, and all that was held
is said, or it goes on until `_most_copies`, and that was a loop: what was held is never said, and the reply ends.

So a refrain, a list, a sentence said three times or laughter lose nothing but a moment. What the user has said himself the model may
have been asked to repeat: of that it may write `ASKED_FOR` times as many copies. Digits alone may be a table.
"""

from __future__ import annotations

from enum import Enum, auto

import regex

LONGEST_PERIOD = 160
"""Words."""
ASKED_FOR = 5
LEAST_HELD = 8
"""Words that repeat before anything is held back: so many has no "very, very, very good"."""

_ALONE = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Extended_Pictographic}]"
"""A character that is a word."""
_WORD = regex.compile(rf"(?P<alone>{_ALONE})|(?:(?!{_ALONE})[\p{{L}}\p{{M}}\p{{N}}])+(?:['’][\p{{L}}\p{{M}}]+)*")
_STRETCHED = regex.compile(r"(?=.{300})((?=\s*\S).{1,20}?)\1{14,}$", regex.DOTALL)
"""A word, or signs between words, that never end: hahaha..., !!!..."""
_ENUMERATOR = regex.compile(r"(?:^|\n)[ \t]*\d{1,3}[.)](?=\s)")
_SENTENCE_END = regex.compile(r"[.!?…]+[\"'”’»)\]*]*(?=\s)|[。！？।]+[」』”]*|\n+")
_NO_END = regex.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|[A-Z])|(?:^|\n)\s*\d{1,3})\.$")


class _State(Enum):
    SAYING = auto()
    ENDING = auto()
    """Something repeats: the sentence is said to its end."""
    HOLDING = auto()


class LoopFilter:
    def __init__(self, user_said: str = "") -> None:
        """`user_said`: the last words of the user."""
        self._user_said = f" {' '.join(_folded(user_said))} "
        self._state = _State.SAYING
        self._words: list[str] = []
        self._ends: list[bool] = []
        """Whether a sentence ends after the word."""
        self._runs: dict[int, int] = {}
        """By period, how many words in a row equal the word one period before; those of which there are any."""
        self._places: dict[str, list[int]] = {}
        """Of each word, where it stands, within the longest period."""
        self._text = ""
        """What was not said, or holds the word that is being written."""
        self._read = 0
        """Up to where its words are known."""
        self._told = 0
        """Up to where it was said."""
        self._hold_from = 0
        self.looped = False

    def feed(self, text: str) -> str:
        """What of it is to be said now. Nothing more after `looped`."""
        if self.looped:
            return ""
        self._text += text
        while (word := _WORD.search(self._text, self._read)) and self._is_whole(word):
            self._take(word)
            if self.looped:
                self._text = ""
                return ""
        if _STRETCHED.search(self._text, self._read):
            self.looped, self._text = True, ""
            return ""
        return self._ready()

    def end(self) -> str:
        """What was held back: it did not go on long enough to be a loop."""
        rest, self._text = self._text[self._told :], ""
        self._told = self._read = 0
        return "" if self.looped else rest

    def _is_whole(self, word: regex.Match[str]) -> bool:
        """The number of an item is known by the blank after its full stop."""
        return word["alone"] is not None or word.end() + word[0].isdigit() < len(self._text)

    def _take(self, word: regex.Match[str]) -> None:
        gap = self._text[self._read : word.start()]
        if self._ends:
            self._ends[-1] = self._ends[-1] or _SENTENCE_END.search(gap) is not None
        self._read = word.end()
        if _is_enumerator(self._text, word):
            return
        self._words.append(word[0].casefold())
        self._ends.append(False)
        self._count()
        period = self._period()
        if period is None:
            self._state = _State.SAYING
        elif self._runs[period] >= period * (self._most_copies(period) - 1):
            self.looped = True
        elif self._state is _State.SAYING:
            self._state = _State.ENDING if any(self._ends[-period - 1 :]) else _State.HOLDING
            self._hold_from = self._read

    def _count(self) -> None:
        last = len(self._words) - 1
        places = [place for place in self._places.get(self._words[last], ()) if place >= last - LONGEST_PERIOD]
        self._runs = {last - place: self._runs.get(last - place, 0) + 1 for place in places}
        self._places[self._words[last]] = [*places, last]

    def _period(self) -> int | None:
        """The shortest of which two copies stand in a row at the end."""
        return min((period for period, run in self._runs.items() if run >= max(period, LEAST_HELD)), default=None)

    def _most_copies(self, period: int) -> int:
        most = 30 if period <= 2 else 10 if period <= 5 else 6 if period <= 20 else 4 if period <= 60 else 3
        unit = self._words[-period:]
        asked = any(f" {' '.join(unit[turn:] + unit[:turn])} " in self._user_said for turn in range(period))
        return most * ASKED_FOR if asked or all(word.isdigit() for word in unit) else most

    def _ready(self) -> str:
        end = len(self._text)
        if self._state is _State.ENDING and (over := sentence_end(self._text, self._hold_from)) is not None:
            self._state, self._hold_from = _State.HOLDING, over
        if self._state is _State.HOLDING:
            end = max(self._hold_from, self._told)
        ready, self._told = self._text[self._told : end], end
        if self._state is _State.SAYING and (word_begun := max(0, min(self._read, end))):
            self._text, self._told, self._read = self._text[word_begun:], self._told - word_begun, 0
        return ready


def sentence_end(text: str, begin: int = 0) -> int | None:
    """Where the first sentence ends that ends after `begin`; None when none does, or when it is not known yet."""
    for found in _SENTENCE_END.finditer(text, begin):
        if not _NO_END.search(text[: found.end()]):
            return int(found.end())
    return None


def _folded(text: str) -> list[str]:
    return [word[0].casefold() for word in _WORD.finditer(text)]


def _is_enumerator(text: str, word: regex.Match[str]) -> bool:
    """The number before an item of a list."""
    return word[0].isdigit() and any(found.end() - 1 == word.end() for found in _ENUMERATOR.finditer(text, 0, word.end() + 2))
