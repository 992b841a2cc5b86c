"""What is written -> what is said.

A language model writes for the eye: markdown, digits, signs, addresses. A voice needs words. `speakable` works on a clause, a fragment of a
reply as it comes (core/clauses.py), and needs nothing of what comes before or after; only fenced code does, which `CodeFilter` follows.
`Wording` is both, for the clauses of one text in their order: whatever speaks a text words it so.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from typing import TYPE_CHECKING

from serve_app import speech_languages
from serve_app.core.clauses import ClauseCutter
from serve_app.languages import primary
from serve_app.speech_identifiers import ANNOUNCED, CLAUSE_BORDER
from serve_app.speech_markdown import CodeFilter as CodeFilter
from serve_app.speech_markdown import without_markdown
from serve_app.speech_maths import FORMULAS, LEFT_OVER, before_markdown
from serve_app.speech_numbers import spoken_numbers
from serve_app.speech_numerals import applied
from serve_app.speech_unicode import plain
from serve_app.speech_words import ADDRESSES, CODE, SIGNS_LEFT, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

LANGUAGES = ("en", "es", "fr", "de", "it", "pt", "hi", "zh", "ja")
"""Languages that a text may be in."""

LONGEST_ANNOUNCEMENT = 60
"""Characters at the end of a clause that may say what the number is that the next one begins with."""

MOST_PASSES = 6
"""One pass may uncover what the next one reads ("&amp;amp;"); text has two at most, noise may have more."""

_MARKS = str.maketrans(dict.fromkeys("*_`#~|<>[]{}\\^=\u200d\ufe0f\ufe0e\u20e3", " "))
_PLAIN_SIGNS = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "\u202f": " ", "…": "...", "‑": "-", "−": "-"})
_VULGAR = re.compile(r"(\d)?\s?([¼½¾⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])")
_EMOTICON = re.compile(r"(?<!\S)[:;8=][-']?[()DPpO/|](?!\w)")
_TIDY = (
    (re.compile(r"\(\s*\)"), " "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s+(?=[,.;:!?)])"), ""),
    (re.compile(r"\.{2,}"), "..."),
    (re.compile(r"([!?])[!?]+"), r"\1"),
    (re.compile(r"([,;:])[,;:]+"), r"\1"),
    (re.compile(r"\s?[–—](?:\s?[–—])*\s?"), " — "),
    (re.compile(r"(?<=[\w,.)]) - (?=\w)"), " — "),
    (re.compile(r"(?<!\w)-+|-{2,}|-+(?!\w)"), " "),
    (re.compile(r"^[\s,.;:!?—+)-]+|\s+$"), ""),
    (re.compile(r"\s+"), " "),
)


class Wording:
    """Words the clauses of one text, given one after the other."""

    def __init__(self, language: str = "en") -> None:
        self._code = CodeFilter()
        self._language = language
        self._announced = ""
        """The last words of the clause before, where they say what the number is that this one begins with."""

    def words(self, clause: str) -> str:
        """Empty when nothing in the clause can be said."""
        prose = self._code.feed(clause)
        if not prose.strip():
            return ""
        announced, found = self._announced, ANNOUNCED.search(prose.rstrip()[-LONGEST_ANNOUNCEMENT:])
        self._announced = found[0] if found else ""
        if announced and re.match(r"\W*\w*\d", prose):
            return speakable(f"{announced} {CLAUSE_BORDER}{prose.lstrip()}", self._language).partition(CLAUSE_BORDER)[2].strip()
        return speakable(prose, self._language)


def clauses_in_words(text: str, language: str = "en") -> Iterator[str]:
    """Yields the words of each clause of a whole text, as a response with that text would be spoken."""
    cutter, wording = ClauseCutter(), Wording(language)
    for clause in [*cutter.feed(text), *cutter.flush()]:
        if words := wording.words(clause):
            yield words


def speakable(text: str, language: str = "en") -> str:
    """The clause in words. Empty when nothing in it can be said.

    `language`: BCP 47 tag. Markdown, emoji and addresses go in every language; numbers, signs and abbreviations are read in `LANGUAGES`,
    and stay as they are in others.
    """
    code = primary(language)
    for _ in range(MOST_PASSES):
        before, text = text, _pass(text, code)
        if text == before:
            break
    return text


_prepared: set[str] = set()


def language_of_text(said: str | None, spoken: tuple[str, ...] | None) -> str:
    """The language to read a text in. `said`: that of its author, None where nobody said it. `spoken`: those of the voices, None where they
    do not say."""
    tag = primary(said) if said else ""
    if tag in LANGUAGES and (spoken is None or tag in map(primary, spoken)):
        return tag
    return primary(spoken[0]) if spoken and len({primary(one) for one in spoken}) == 1 else "en"


async def prepared(language: str) -> None:
    """Returns once texts of the language are read without waiting; what that loads is loaded in another thread."""
    if language not in _prepared:
        await asyncio.to_thread(prepare, language)


def prepare(language: str = "en") -> None:
    """Imports and compiles what the first clause in the language would wait for: about 0.3 s, of Chinese and Japanese about 1 s."""
    speakable("**It** costs $4.50 on 3 May, see https://example.com \U0001f600", language)
    _prepared.add(language)


def _pass(text: str, language: str) -> str:
    english = language == "en"
    text = _ascii_digits(_without_emoji(plain(text)))
    text = without_markdown(before_markdown(text) if english else text).translate(_PLAIN_SIGNS)
    text = applied(ADDRESSES, text)
    if english:
        text = applied(WORDS, applied(CODE, _VULGAR.sub(_fraction, text)))
        text = spoken_numbers(applied(FORMULAS, text))
        text = applied(SIGNS_LEFT, applied(LEFT_OVER, text))
    else:
        text = speech_languages.read(text, language)
    text = text.translate(_MARKS)
    for pattern, instead in _TIDY:
        text = pattern.sub(instead, text)
    return text.strip() if any(char.isalnum() for char in text) else ""


def _without_emoji(text: str) -> str:
    import emoji

    return _EMOTICON.sub(" ", text if text.isascii() else emoji.replace_emoji(text, " "))


def _ascii_digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(char)) if char.isdecimal() else char for char in text)


def _fraction(found: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", found[2]).partition("\u2044")
    return f"{found[1] + ' ' if found[1] else ''}{above}/{below}"
