"""Numbers in English words: as amounts, in order, as years, as names, and digit by digit."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

Steps = tuple[tuple[re.Pattern[str], "str | Callable[[re.Match[str]], str]"], ...]

NUMBER = r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?|\d+(?:\.\d+)?"
"""As it is written in English, with Indian grouping too."""
LONGEST_SPOKEN = 12
"""Digits; what is longer is a code and is said digit by digit."""
LONGEST_NAME = 4
"""Digits of a number that is said in pairs: "seven forty-seven"."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def applied(steps: Steps, text: str) -> str:
    for pattern, said in steps:
        text = pattern.sub(said, text)
    return text


@functools.cache
def _num2words() -> Callable[..., str]:
    from num2words import num2words

    return num2words


def cardinal(digits: str) -> str:
    """Says a number as written: `1,234.50`, `007`, `3`."""
    whole, _, fraction = digits.replace(",", "").partition(".")
    if len(whole) > LONGEST_SPOKEN or (len(whole) > 1 and whole[0] == "0"):
        said = one_by_one(whole)
    else:
        said = _num2words()(int(whole)).replace(",", "")
    return f"{said} point {one_by_one(fraction)}" if fraction else said


def lakhs(number: int) -> str:
    """Says a number by crores and lakhs, as it was grouped."""
    crores, below = divmod(number, 10_000_000)
    many, rest = divmod(below, 100_000)
    parts = [f"{lakhs(crores)} crore"] if crores else []
    parts += [f"{cardinal(str(many))} lakh"] if many else []
    parts += [cardinal(str(rest))] if rest or not parts else []
    return " ".join(parts)


def ordinal(number: int) -> str:
    return _num2words()(number, to="ordinal").replace(",", "")


def year(number: int) -> str:
    return _num2words()(number, to="year").replace(",", "")


def pairs(digits: str) -> str:
    """Says a number that is a name: 747, 404, 4090, 2000, 22."""
    if len(digits) > LONGEST_NAME:
        return one_by_one(digits)
    if digits[0] == "0" and len(digits) > 1:
        return f"oh {pairs(digits[1:])}"
    if len(digits) < 3 or set(digits[-3:]) == {"0"} or digits[-2:] == "00":
        thousands = len(digits) == 4 and digits[1] == "0"
        return cardinal(digits) if len(digits) < 4 or thousands else f"{cardinal(digits[:2])} hundred"
    return f"{cardinal(digits[:-2])} {pairs(digits[-2:])}"


def one_by_one(digits: str) -> str:
    return " ".join(DIGITS[int(digit)] for digit in digits if digit.isdigit())


def spelled(code: str) -> str:
    """Says letters and digits one by one, groups apart."""
    groups = re.findall(r"[A-Za-z0-9]+", code)
    return ", ".join(" ".join(DIGITS[int(char)] if char.isdigit() else char.upper() for char in group) for group in groups)


def plural(word: str) -> str:
    return word[:-1] + "ies" if word.endswith("y") else word + "es" if word.endswith("x") else word + "s"


_NO_NOUNS = frozenset(
    "is was has as this its us his does yes plus minus thus always perhaps across towards besides sometimes less unless afterwards "
    "times-is versus various previous famous".split()
)
_IRREGULAR = frozenset("people men women children feet fish sheep mice teeth staff percent deer police cattle degrees or more".split())
_ADJECTIVES = frozenset(
    "new old more active other different young extra additional square metric cubic total daily monthly annual paid free unique "
    "registered local foreign small large big human american british french german chinese indian federal armed light full part of".split()
)


def counts(after: str) -> bool:
    """True where the words after a number say that it counts something: "people", "new users"."""
    words = re.match(r"[\s-]+([a-z]+)(?:\s+([a-z]+))?", after)
    if not words:
        return False
    first, second = words[1], words[2] or ""
    return _is_counted(first) or (first in _ADJECTIVES and first != "of" and _is_counted(second))


def _is_counted(word: str) -> bool:
    return word in _IRREGULAR or (len(word) > 3 and word.endswith("s") and not word.endswith("ss") and word not in _NO_NOUNS)
