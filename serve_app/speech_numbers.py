"""Numbers as they are said in English: plain ones, money, times, dates, telephone numbers, fractions, measures."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from serve_app.speech_tables import CURRENCIES, DIGITS, MAGNITUDES, MONTHS, UNITS

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
LONGEST_SPOKEN = 12
"""Digits; what is longer is a code and is said digit by digit."""
_MONTH = "(?:" + "|".join(rf"{month}|{month[:3]}\b\.?" for month in MONTHS) + r"|Sept\b\.?)"
_SYMBOLS = "".join(re.escape(symbol) for symbol in CURRENCIES)
_MAGNITUDE = r"(?:\s?(?P<size>thousand|million|billion|trillion)\b|(?P<short>[kKMB])\b|(?P<tn>bn|tn)\b)?"
_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))


@functools.cache
def _num2words() -> Callable[..., str]:
    from num2words import num2words

    return num2words


def cardinal(digits: str) -> str:
    """Of a number as written: `1,234.50`, `007`, `3`."""
    whole, _, fraction = digits.replace(",", "").partition(".")
    if len(whole) > LONGEST_SPOKEN or (len(whole) > 1 and whole[0] == "0"):
        said = one_by_one(whole)
    else:
        said = _num2words()(int(whole)).replace(",", "")
    return f"{said} point {one_by_one(fraction)}" if fraction else said


def ordinal(number: int) -> str:
    return _num2words()(number, to="ordinal").replace(",", "")


def year(number: int) -> str:
    return _num2words()(number, to="year").replace(",", "")


def one_by_one(digits: str) -> str:
    return " ".join(DIGITS[int(digit)] for digit in digits if digit.isdigit())


def _plural(word: str) -> str:
    return word[:-1] + "ies" if word.endswith("y") else word + "es" if word.endswith("x") else word + "s"


# --- dates and times ----------------------------------------------------------------------------------------------------------------------


def _iso_date(found: re.Match[str]) -> str:
    return _date(int(found[2]), int(found[3]), int(found[1])) or found[0]


def _slashed_date(found: re.Match[str]) -> str:
    first, second, when = int(found[1]), int(found[2]), int(found[3])
    # American order, unless it cannot be.
    return _date(first, second, when) or _date(second, first, when) or found[0]


def _date(month: int, day: int, when: int | None) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return ""
    said = f"{MONTHS[month - 1]} {ordinal(day)}"
    return said if when is None else f"{said}, {year(when)}"


def _month_number(name: str) -> int:
    return next(index for index, month in enumerate(MONTHS, 1) if month[:3] == name[:3])


def _month_day(found: re.Match[str]) -> str:
    when = found["year"]
    return _date(_month_number(found["month"]), int(found["day"]), int(when) if when else None) or found[0]


def _day_month(found: re.Match[str]) -> str:
    if not 1 <= int(found["day"]) <= 31:
        return found[0]
    said = f"{ordinal(int(found['day']))} of {MONTHS[_month_number(found['month']) - 1]}"
    article = "" if found["the"] else "the "
    return f"{found['the'] or ''}{article}{said}" + (f", {year(int(found['year']))}" if found["year"] else "")


def _month_year(found: re.Match[str]) -> str:
    return f"{MONTHS[_month_number(found[1]) - 1]} {year(int(found[2]))}"


def _time(found: re.Match[str]) -> str:
    hour, minute, half = int(found["hour"]), int(found["minute"]), _half(found["half"])
    if hour > 24 or minute > 59:
        return found[0]
    said = cardinal(str(hour))
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    elif not half:
        said += " o'clock" if 1 <= hour <= 12 else " hundred"
    seconds = f" and {cardinal(str(int(found['second'])))} seconds" if found["second"] else ""
    return f"{said}{seconds}{half}"


def _hour(found: re.Match[str]) -> str:
    return f"{cardinal(found['hour'])}{_half(found['half'])}"


def _half(written: str | None) -> str:
    return f" {written[0].upper()}M" if written else ""


def _decade(found: re.Match[str]) -> str:
    century, tens = found[1], int(found[2])
    if tens == 0:
        return f"{year(int(century + '00'))}s" if century else found[0]
    name = _plural(cardinal(str(tens)))
    return f"{cardinal(century)} {name}" if century else name


# --- money, measures, fractions -----------------------------------------------------------------------------------------------------------


def _money(found: re.Match[str]) -> str:
    one, many, cent = CURRENCIES[found["symbol"]]
    amount, size = found["amount"], found["size"] or MAGNITUDES.get(found["short"] or found["tn"] or "", "")
    minus = "minus " if found["minus"] else ""
    if size:
        return f"{minus}{cardinal(amount)} {size} {many}"
    whole, _, cents = amount.replace(",", "").partition(".")
    if len(cents) != 2 or not cent:
        return f"{minus}{cardinal(amount)} {one if amount == '1' else many}"
    return minus + _with_cents(int(whole), int(cents), (one, many, cent))


def _with_cents(whole: int, cents: int, names: tuple[str, str, str]) -> str:
    one, many, cent = names
    large = f"{cardinal(str(whole))} {one if whole == 1 else many}"
    small = f"{cardinal(str(cents))} {cent if cents == 1 or cent == 'pence' else _plural(cent)}"
    if not cents:
        return large
    return f"{large} and {small}" if whole else small


def _measure(found: re.Match[str]) -> str:
    one, many = UNITS[found["unit"]]
    return f"{found['amount']} {one if found['amount'] == '1' else many}"


def _fraction(found: re.Match[str]) -> str:
    whole, above, below = found["whole"], int(found["above"]), int(found["below"])
    if not 0 < above < below or below > 20:
        said = f"{cardinal(found['above'])} {'out of' if above == below else 'over'} {cardinal(found['below'])}"
        return f"{whole or ''}{said}"
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
    part = f"{cardinal(str(above))} {name if above == 1 else 'halves' if below == 2 else name + 's'}"
    if not whole:
        return part
    return f"{cardinal(whole.strip())} and {'a' + part[3:] if above == 1 else part}"


# --- telephone numbers, versions, ratios --------------------------------------------------------------------------------------------------


def _telephone(found: re.Match[str]) -> str:
    groups = ", ".join(one_by_one(group) for group in re.findall(r"\d+", found[0]))
    return f"plus {groups}" if found[0].startswith("+") else groups


def _version(found: re.Match[str]) -> str:
    return " point ".join(cardinal(part) for part in found[0].split("."))


_HALF = r"(?P<half>[aApP]\.?\s?[mM]\b\.?(?!\w))"
_YEAR = r"(?P<year>[12]\d{3})"
_DAY = r"(?P<day>\d{1,2})"

STEPS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"), _iso_date),
    (re.compile(r"(?<![\d/])(\d{1,2})/(\d{1,2})/(\d{4})(?![\d/])"), _slashed_date),
    (re.compile(rf"\b(?P<month>{_MONTH})\s{_DAY}(?:st|nd|rd|th)?(?![\d:./,%]\d|\d|\s?[ap]\.?m)(?:,?\s{_YEAR}\b)?"), _month_day),
    (re.compile(rf"\b(?P<the>the )?{_DAY}(?:st|nd|rd|th)?\s(?:of )?(?P<month>{_MONTH})(?:,?\s{_YEAR}\b)?"), _day_month),
    (re.compile(rf"\b({_MONTH})\s([12]\d{{3}})\b"), _month_year),
    (re.compile(rf"\b(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d))?(?![\d:])(?:\s?{_HALF})?"), _time),
    (re.compile(rf"\b(?P<hour>\d{{1,2}})\s?{_HALF}"), _hour),
    (re.compile(r"\b24/7\b"), "twenty-four seven"),
    (re.compile(r"\b([3-8])'\s?(1[01]|\d)(?:\"|\b)"), r"\1 foot \2"),
    (re.compile(r"(?<![\w.,])\.(?=\d)"), "0."),
    (re.compile(r"(?<![\w.])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d[\d .-]{4,14}\d\b"), _telephone),
    (re.compile(r"(?<![\w.,-])(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}\b(?![.,-]?\d)"), _telephone),
    (re.compile(r"(?<![\w.,$-])[2-9]\d\d-\d{3}[1-9]\b(?![.,-]?\d|\s?%)"), _telephone),
    (re.compile(r"(?<![\w'])'?(\d\d)?([1-9]0|00)'?s\b"), _decade),
    (re.compile(r"(?<=\d)\s?–\s?(?=[\d$€£])|(?<=\d)-(?=[$€£]?\d)|(?<=[%])[-–](?=\d)"), " to "),
    (re.compile(rf"(?P<minus>[-−])?(?P<symbol>[{_SYMBOLS}])\s?(?P<amount>{NUMBER}){_MAGNITUDE}"), _money),
    (re.compile(r"(?<![\w.,/])(?P<whole>\d+\s)?(?P<above>\d+)[/⁄](?P<below>\d+)(?![\d/.]\d|\d|\w)"), _fraction),
    (re.compile(rf"(?<![\w.])(?P<amount>{NUMBER})[\s-]?(?P<unit>{_UNIT})(?![\w²³/])"), _measure),
    (re.compile(r"(?<![\w.])(\d+):(\d+)(?![\d:.])"), r"\1 to \2"),
    (re.compile(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w.]?\d)"), _version),
    (re.compile(r"(?<![\w.])(\d[\d,]*)(?:st|nd|rd|th)\b"), lambda found: ordinal(int(found[1].replace(",", "")))),
    (re.compile(rf"(?<![\w.,)])[-−](?={NUMBER})"), "minus "),
    (re.compile(r"(?<=\d)(?:\s?[xX×]\s?|\s[*]\s)(?=\d)"), " times "),
    (re.compile(r"(?<=\d)[xX×]\b"), " times"),
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), " minus "),
    (re.compile(r"(?<=[^\W\d])-?(?=\d)|(?<=\d)(?=[^\W\d])"), " "),
    (re.compile(r"(?<![\d,.])(?:19|20)\d\d(?![\d,.]\d|\d)"), lambda found: year(int(found[0]))),
    (re.compile(NUMBER), lambda found: cardinal(found[0])),
)
"""In this order: what is more than a number is read before the numbers in it."""


def spoken_numbers(text: str) -> str:
    """The text without a digit in it."""
    for pattern, said in STEPS:
        text = pattern.sub(said, text)
    return text
