"""Numbers, dates, times, money and measures as they are said in languages other than English.

Spanish, French, German, Italian, Portuguese and Hindi are read by the rules here, with num2words for the numbers; Chinese and Japanese by
the grammars of wetext. Both are loaded at the first text of a language. What no rule reads stays as it is: voices read plain digits
themselves.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from serve_app.speech_language_tables import HINDI_BELOW_100, HINDI_ORDINALS, HINDI_SIZES, TABLES, Language
from serve_app.speech_numerals import Steps, applied

if TYPE_CHECKING:
    from collections.abc import Callable

NUM2WORDS = {"es": "es", "fr": "fr", "de": "de", "it": "it", "pt": "pt_BR"}
GRAMMARS = ("zh", "ja")
"""Languages that wetext reads."""
LONGEST_SPOKEN = 12
"""Digits; what is longer is a code and is said digit by digit."""
SHARED_UNITS = {"°C": 0, "℃": 0, "ºC": 0, "°F": 1, "℉": 1, "ºF": 1}

_GROUPED = r"\d{1,3}(?:[. ]\d{3})+(?:,\d+)?(?![\d])|\d+(?:,\d+)?(?![.,]\d)|\d+\.\d+"
_INDIAN = r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?|\d+(?:\.\d+)?"


def read(text: str, language: str) -> str:
    """The text with its numbers in words. `language`: the two letters of one of `TABLES` or `GRAMMARS`; any other text stays as it is."""
    if language in TABLES:
        return applied(_rules(language), text)
    if language in GRAMMARS and (grammar := _grammar(language)):
        return grammar(text)
    return text


# --- Chinese and Japanese -----------------------------------------------------------------------------------------------------------------


@functools.cache
def _grammar(language: str) -> Callable[[str], str] | None:
    try:
        from wetext import Normalizer
    except ImportError:
        return None
    normalizer = Normalizer(lang=language, operator="tn")

    def said(text: str) -> str:
        if not any(char.isdigit() for char in text):
            return text
        if language == "ja":
            # Its grammar puts the scale behind the number without the word for degrees.
            text = re.sub(r"\s?(?:℃|°C)", "度", text)
        return normalizer.normalize(text)

    return said


# --- numbers ------------------------------------------------------------------------------------------------------------------------------


@functools.cache
def _num2words() -> Callable[..., str]:
    from num2words import num2words

    return num2words


class _Reader:
    """Says what the patterns of one language found."""

    def __init__(self, code: str, table: Language) -> None:
        self.code = code
        self.table = table
        self.indian = code == "hi"

    def whole(self, digits: str) -> str:
        if len(digits) > LONGEST_SPOKEN or (len(digits) > 1 and digits[0] == "0"):
            return self.one_by_one(digits)
        return self._below(int(digits)) if self.indian else _num2words()(int(digits), lang=NUM2WORDS[self.code]).replace(",", "")

    def _below(self, number: int) -> str:
        if number < 100:
            return HINDI_BELOW_100[number]
        size, name = next(each for each in HINDI_SIZES if number >= each[0])
        count, rest = divmod(number, size)
        return f"{self._below(count)} {name}" + (f" {self._below(rest)}" if rest else "")

    def one_by_one(self, digits: str) -> str:
        return " ".join(self.whole(digit) for digit in digits if digit.isdigit())

    def parts(self, written: str) -> tuple[str, str]:
        """The whole number and the fraction of what is grouped as this language does."""
        if self.indian or re.fullmatch(r"\d+\.\d+", written) and not re.fullmatch(r"\d{1,3}(?:\.\d{3})+", written):
            whole, _, fraction = written.replace(",", "").partition(".")
        else:
            whole, _, fraction = written.replace(".", "").replace(" ", "").partition(",")
        return whole, fraction

    def number(self, written: str) -> str:
        whole, fraction = self.parts(written)
        said = self.whole(whole)
        if not fraction:
            return said
        together = self.code in ("es", "fr", "it", "pt") and len(fraction) == 2 and fraction[0] != "0"
        return f"{said} {self.table.point} {self.whole(fraction) if together else self.one_by_one(fraction)}"

    def before_noun(self, said: str) -> str:
        return _ended(said, self.table.short_one)

    def year(self, number: int) -> str:
        if self.code == "de" and 1100 <= number < 2000:
            return _num2words()(number, lang="de", to="year")
        if self.indian and 1100 <= number < 2000:
            rest = number % 100
            return f"{self._below(number // 100)} सौ" + (f" {self._below(rest)}" if rest else "")
        return self.whole(str(number))

    # --- what the patterns find ---

    def plain(self, found: re.Match[str]) -> str:
        written = found[0]
        said = self.number(written)
        if re.fullmatch(r"1[1-9]\d\d", written) and self.code in ("de", "hi"):
            return self.year(int(written))
        after = found.string[found.end() :]
        return (
            self.before_noun(said)
            if re.match(r"\s[^\W\d_]{3,}", after) and not re.match(r"\s(?:por|per|pour|und|bis|Komma|punto)\b", after)
            else said
        )

    def day(self, number: int) -> str:
        return self.table.first if number == 1 and self.table.first else self.whole(str(number))

    def date(self, day: int, month: int, year: int, before: str) -> str:
        said = self.german_ordinal(day, before) if self.code == "de" else self.day(day)
        return self.table.date.format(day=said, month=self.table.months[month - 1], year=self.year(year))

    def numeric_date(self, found: re.Match[str]) -> str:
        first, second = int(found["first"]), int(found["second"])
        day, month = (first, second) if second <= 12 else (second, first)
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return found[0]
        year = int(found["year"])
        return self.date(day, month, year + 2000 if year < 70 else year + 1900 if year < 100 else year, found.string[: found.start()])

    def iso_date(self, found: re.Match[str]) -> str:
        year, month, day = (int(found[group]) for group in (1, 2, 3))
        if not (1 <= day <= 31 and 1 <= month <= 12):
            return found[0]
        return self.date(day, month, year, found.string[: found.start()])

    def first_of_month(self, found: re.Match[str]) -> str:
        return f"{self.table.first}{found['after']}"

    def german_ordinal(self, number: int, before: str) -> str:
        said = _num2words()(number, lang="de", to="ordinal")
        if re.search(r"\b(?:der|die|das|Die|Der|Das|eine)\s$", before):
            return said
        if re.search(r"\b(?:am|Am|vom|Vom|zum|Zum|beim|Beim|im|Im|dem|den|Den|des|ab|Ab|bis|Bis|seit|Seit|zur|zwischen|und|,)\s$", before):
            return said + "n"
        return said + "r"

    def german_date(self, found: re.Match[str]) -> str:
        year = f" {self.year(int(found['year']))}" if found["year"] else ""
        return f"{self.german_ordinal(int(found['day']), found.string[: found.start()])} {found['month']}{year}"

    def german_place(self, found: re.Match[str]) -> str:
        return self.german_ordinal(int(found[1]), found.string[: found.start()])

    def time(self, found: re.Match[str]) -> str:
        hour, minute = int(found["hour"]), int(found["minute"] or 0)
        if hour > 24 or minute > 59:
            return found[0]
        said = _ended(self.whole(str(hour)), self.table.feminine)
        if self.indian:
            return self._hindi_time(hour, minute, found[0])
        hours = {"fr": "heure", "pt": "hora"}.get(self.code, "") + ("" if hour == 1 else "s")
        if not minute:
            full = self.table.full_hour if self.code in ("fr", "de", "pt") else "{hour}"
            return full.format(hour=said, hours=hours)
        minutes = _ended(self.whole(str(minute)), self.table.feminine) if self.code == "fr" else self.whole(str(minute))
        return self.table.time.format(hour=said, hours=hours, minute=minutes)

    def _hindi_time(self, hour: int, minute: int, written: str) -> str:
        at = " बजे" if written.endswith("बजे") else ""
        if minute == 0:
            return f"{self.whole(str(hour))}{at}"
        if minute == 30:
            return {1: "डेढ़", 2: "ढाई"}.get(hour, f"साढ़े {self.whole(str(hour))}") + at
        if minute == 15:
            return f"सवा {self.whole(str(hour))}{at}"
        if minute == 45:
            return f"पौने {self.whole(str(hour % 24 + 1))}{at}"
        return self.table.time.format(hour=self.whole(str(hour)), minute=self.whole(str(minute)))

    def money(self, found: re.Match[str]) -> str:
        one, many, part = self.table.currencies[found["sign"]]
        minus = f"{self.table.minus} " if found["minus"] else ""
        whole, cents = self.parts(found["amount"])
        if found["size"]:
            of = self.table.of if re.search(r"ill|mrd|mio", found["size"], re.IGNORECASE) else " "
            return f"{minus}{self.number(found['amount'])} {found['size']}{of}{many}"
        name = one if whole in ("1",) else many
        if len(cents) != 2 or not part:
            return f"{minus}{self.before_noun(self.number(found['amount']))} {one if found['amount'] == '1' else many}"
        said = self.before_noun(self.whole(whole))
        if not int(cents):
            return f"{minus}{said} {name}"
        return minus + self.table.money.format(whole=said, name=name, cents=self.whole(str(int(cents))), part=part)

    def measure(self, found: re.Match[str]) -> str:
        one, many = self.table.units[found["unit"]]
        minus = f"{self.table.minus} " if found["minus"] else ""
        return f"{minus}{self.before_noun(self.number(found['amount']))} {one if found['amount'] == '1' else many}"

    def degrees(self, found: re.Match[str]) -> str:
        minus = f"{self.table.minus} " if found["minus"] else ""
        return f"{minus}{self.number(found['amount'])} {self.table.degrees[SHARED_UNITS.get(found['unit'].replace(' ', ''), 2)]}"

    def percent(self, found: re.Match[str]) -> str:
        minus = f"{self.table.minus} " if found["minus"] else ""
        said = self.number(found["amount"])
        return f"{minus}{self.before_noun(said) if self.code == 'de' else said} {self.table.percent}"

    def ordinal(self, found: re.Match[str]) -> str:
        number, ending = int(found[1]), found["ending"]
        if self.indian:
            stem = HINDI_ORDINALS.get(number)
            vowel = "ी" if ending.endswith(("ी", "वीं")) else "े" if ending.endswith(("े", "वें")) else "ा"
            return f"{stem}{vowel}" if stem else f"{self.whole(found[1])}{ending}"
        said = _num2words()(number, lang=NUM2WORDS[self.code], to="ordinal")
        if ending in ("ª", "ra", "da", "ta", "ma", "na", "re", "ère", "a"):
            said = "première" if self.code == "fr" and number == 1 else re.sub(r"o\b", "a", said)
        elif self.code == "es" and number in (1, 3) and re.match(r"\s\w", found.string[found.end() :]):
            said = said[:-1]
        elif self.code == "fr" and ending in ("d", "nd", "nde"):
            said = "seconde" if ending == "nde" else "second"
        return said

    def range_(self, found: re.Match[str]) -> str:
        return f"{found[1]} {self.table.until} "

    def minus_(self, found: re.Match[str]) -> str:
        return f"{self.table.minus} "

    def telephone(self, found: re.Match[str]) -> str:
        groups = re.findall(r"\d+", found[0])
        if self.code == "fr" and all(len(group) == 2 for group in groups):
            said = [f"{self.whole('0')} {self.whole(group[1])}" if group[0] == "0" else self.whole(group) for group in groups]
        else:
            said = [self.one_by_one(group) for group in groups]
        plus = f"{self.table.signs['+']} " if found[0].startswith("+") else ""
        return plus + ", ".join(said)

    def sign(self, found: re.Match[str]) -> str:
        return f" {self.table.signs.get(found[0], ' ')} "

    def abbreviation(self, found: re.Match[str]) -> str:
        said = self.table.abbreviations[found[0]]
        ends = found[0].endswith(".") and not found.string[found.end() :].strip() and said[0].islower()
        return said + ("." if ends else "")


def _ended(said: str, endings: dict[str, str]) -> str:
    for ending, instead in endings.items():
        if re.search(rf"(?:^|[\s-]){ending}$", said) or said == ending or (len(ending) > 4 and said.endswith(ending)):
            return said[: -len(ending)] + instead
    return said


def _any(words: Any) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


@functools.cache
def _rules(language: str) -> Steps:
    """The patterns of one language; what is more than a number is read before the numbers in it."""
    table = TABLES[language]
    reader = _Reader(language, table)
    number = _INDIAN if language == "hi" else _GROUPED
    amount, minus = rf"(?P<amount>{number})", r"(?P<minus>(?<![\w.,])[-−])?"
    months, currency, unit = _any(table.months), _any(table.currencies), _any(table.units)
    signs = re.escape("".join(table.signs))
    size = rf"(?:\s(?P<size>{table.magnitudes}))?"
    clock = {"fr": r"\s?[h:]\s?", "pt": r"[h:]", "es": r"[h:]", "de": r"(?::|\.(?=\d\d\sUhr))", "it": r":", "hi": r":"}[language]
    after_time = {"de": r"(?:\sUhr)?", "hi": r"(?:\sबजे)?"}.get(language, r"(?:\s?h(?:s|oras)?\b)?")
    endings = {
        "es": r"\.?(?P<ending>[ºª]|er\b|ra\b|do\b|da\b|to\b|ta\b|ro\b)(?!\s?[CF]\b)",
        "fr": r"(?P<ending>ers?|res?|ère|èmes?|es?|nde?|d)\b",
        "it": r"(?P<ending>[º°ª])(?!\s?[CF]\b)",
        "pt": r"\.?(?P<ending>[ºª°]|o|a)(?!\w|\s?[CF]\b)",
        "hi": r"(?P<ending>ला|ली|ले|रा|री|रे|था|थी|थे|ठा|ठी|ठे|वां|वाँ|वीं|वें)",
    }
    steps: list[tuple[re.Pattern[str], Any]] = [
        (re.compile(rf"(?<![\w.])(?:{_any(table.abbreviations)})(?!\w)"), reader.abbreviation),
        (re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b"), reader.iso_date),
        (
            re.compile(
                r"(?<![\d/.,-])(?P<first>\d{1,2})(?P<sep>[/.-])(?P<second>\d{1,2})(?P=sep)(?P<year>\d{4}|\d\d)(?![\d/]|"
                r"[.-]\d)"
            ),
            reader.numeric_date,
        ),
        (
            re.compile(
                r"(?<![\w.,])(?:\+\d{1,3}[ .-]?\(?\d[\d .()-]{5,16}\d|\(?0\d{1,4}\)?(?:[ ./-]\d{2,8}){1,4})(?![\d,.:]\d|"
                r"\d)"
            ),
            reader.telephone,
        ),
        (re.compile(rf"\b(?P<hour>\d{{1,2}}){clock}(?P<minute>[0-5]\d)(?::\d\d)?(?![\d:.,]\d|\d){after_time}"), reader.time),
    ]
    if language == "de":
        steps += [
            (re.compile(r"\b(?P<hour>\d{1,2})(?P<minute>)\sUhr\b"), reader.time),
            (re.compile(rf"\b(?P<day>\d{{1,2}})\.\s(?P<month>{months})(?:\s(?P<year>[12]\d{{3}}))?\b"), reader.german_date),
            (
                re.compile(
                    r"(?<=\b(?:der|die|das|den|dem|des|vom|zum|zur)\s)(\d{1,3})\.(?=\s[^\W\d])|(?<=\b(?:am|im|Am|"
                    r"Im)\s)(\d{1,3})\.(?=\s[^\W\d])"
                ),
                lambda found: reader.german_ordinal(int(found[1] or found[2]), found.string[: found.start()]),
            ),
        ]
    if language in ("fr", "pt", "es"):
        steps.append((re.compile(r"\b(?P<hour>\d{1,2})(?P<minute>)\s?h\b(?!\s?\d)"), reader.time))
    if table.first:
        steps.append((re.compile(rf"(?<![\w.,/])1(?:er|º|°|o)?(?P<after>\s(?:de\s)?(?:{months})\b)"), reader.first_of_month))
    if language in endings:
        steps.append((re.compile(rf"(?<![\w.,])(\d{{1,3}}){endings[language]}"), reader.ordinal))
    steps += [
        (re.compile(r"(?<![\d.,])(\d+)\s?[-–]\s?(?=\d+(?![\d-]))"), reader.range_),
        (re.compile(rf"{minus}(?<![\w.,])(?P<sign>{currency})\s?{amount}{size}"), reader.money),
        (re.compile(rf"{minus}(?<![\w.,]){amount}{size}\s?(?P<sign>{currency})(?!\w)"), reader.money),
        (re.compile(rf"{minus}(?<![\w.,]){amount}\s?%"), reader.percent),
        (re.compile(rf"{minus}(?<![\w.,]){amount}\s?(?P<unit>{_any(SHARED_UNITS)}|°\sC|°\sF|°)(?!\w)"), reader.degrees),
        (re.compile(rf"{minus}(?<![\w.,]){amount}\s?(?P<unit>{unit})(?![\w²³/])"), reader.measure),
        (re.compile(rf"(?<![\w.,])[-−](?={number})"), reader.minus_),
        (re.compile(rf"(?<![\w.,])(?:{number})"), reader.plain),
        (re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"), " "),
        (re.compile(r"\d+"), lambda found: reader.whole(found[0])),
        (re.compile(rf"(?<=\s)[{signs}](?=\s)|(?<=\w)[&@+=×÷](?=\w)|[€$£₹§](?=\w|\s|$)"), reader.sign),
    ]
    return tuple(steps)
