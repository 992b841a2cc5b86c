"""Addresses, abbreviations, Roman numerals and signs as they are said in English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from serve_app.speech_numbers import cardinal, ordinal
from serve_app.speech_tables import ABBREVIATIONS, CURRENCY_CODES, ENDINGS, SIGNS, TOP_LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
_PARTS = "World War|Chapter|Part|Act|Scene|Section|Volume|Book|Type|Phase|Stage|Level|Episode|Super Bowl|Rocky|Apollo"
_RULERS = (
    "Louis|Henry|Elizabeth|George|Charles|Edward|Richard|James|William|Philip|Nicholas|Catherine|Frederick|Alexander|Peter|Ivan|Napoleon|"
    "Benedict|John Paul|Pius|Gregory|Leo|Urban|Ramses|Ramesses"
)
_PUNCTUATED = "|".join(re.escape(short) for short in sorted(ABBREVIATIONS, key=len, reverse=True))

Steps = tuple[tuple[re.Pattern[str], "str | Callable[[re.Match[str]], str]"], ...]


def _host(found: re.Match[str]) -> str:
    host, rest = re.sub(r"^www\.", "", found[1]), found[0][found.end(1) - found.start() :]
    stop = re.search(r"[.,!?;:)]*$", rest)
    return host.rstrip(".").replace(".", " dot ") + (stop[0] if stop and rest else "." if host.endswith(".") else "")


def _mail(found: re.Match[str]) -> str:
    name = found[1].replace(".", " dot ").replace("_", " underscore ").replace("+", " plus ").replace("-", " dash ")
    return f"{name} at {found[2].replace('.', ' dot ')}"


def _dotted(found: re.Match[str]) -> str:
    return found[0].replace(".", " dot ")


def _abbreviation(found: re.Match[str]) -> str:
    said = ABBREVIATIONS[found[1]]
    # The dot of an abbreviation may be the sentence's own.
    ends = found[1].endswith(".") and found[1] not in ("Dr.", "Mr.", "Mrs.", "Ms.", "Prof.") and not found.string[found.end() :].strip()
    return said + ("." if ends else "")


def _initials(found: re.Match[str]) -> str:
    ends = not found.string[found.end() :].strip()
    return found[0].replace(".", "") + ("." if ends else "")


def _roman(numeral: str) -> int:
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _part(found: re.Match[str]) -> str:
    return f"{found[1]} {cardinal(str(_roman(found[2])))}"


def _ruler(found: re.Match[str]) -> str:
    return f"{found[1]} the {ordinal(_roman(found[2]))}"


ADDRESSES: Steps = (
    (re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([\w.-]+)(?:[/:?#][^\s<>\"')\]]*)?"), _host),
    (re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)"), _mail),
    (re.compile(rf"\b((?:[a-zA-Z0-9][\w-]*\.)+(?:{TOP_LEVELS}))(?:/[^\s<>\"')\]]*)?(?![\w.-]*\w)"), _host),
    (re.compile(rf"\b[a-zA-Z]\w*\.(?:{ENDINGS})\b"), _dotted),
)

WORDS: Steps = (
    (re.compile(rf"(?<![\w.])({_PUNCTUATED})(?!\w)"), _abbreviation),
    (re.compile(r"\bSt\.(?=\s[A-Z])"), "Saint"),
    (re.compile(r"(?<=[a-z]\s)St\.(?!\w)"), "Street"),
    (re.compile(r"\b(?:No|no)\.\s?(?=\d)|\bNr\.\s?(?=\d)|(?<!\w)#(?=\d)"), "number "),
    (re.compile(r"(?<![\w.])(?:[A-Z]\.){2,}"), _initials),
    (re.compile(rf"\b({_PARTS}) ([IVX]{{1,5}})\b"), _part),
    (re.compile(rf"\b({_RULERS}) ([IVX]{{2,5}}|V|X)\b"), _ruler),
    (re.compile(rf"\b({'|'.join(CURRENCY_CODES)})\s?(\d[\d,.]*\d|\d)"), lambda found: f"{found[2]} {CURRENCY_CODES[found[1]]}"),
    (re.compile(rf"(?<=\d)\s?({'|'.join(CURRENCY_CODES)})\b"), lambda found: f" {CURRENCY_CODES[found[1]]}"),
)

SIGNS_LEFT: Steps = (
    (re.compile(r"(?<=[a-z])/or\b"), " or"),
    (re.compile(r"(?<=[A-Z])/(?=[A-Z]{2})"), " "),
    (re.compile(r"(?<=\w)\s?/\s?(?=\w)"), " or "),
    (re.compile("|".join(re.escape(sign) for sign in SIGNS)), lambda found: f" {SIGNS[found[0]]} "),
)


def applied(steps: Steps, text: str) -> str:
    for pattern, said in steps:
        text = pattern.sub(said, text)
    return text
