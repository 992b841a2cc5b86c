"""Dates, times of day, durations, years and decades as they are said in American English."""

from __future__ import annotations

import re

from serve_app.speech_numerals import Steps, cardinal, counts, ordinal, plural, year
from serve_app.speech_tables import DAYS, MONTHS

_MONTH = "(?:" + "|".join(rf"{month}|{month[:3]}\b\.?" for month in MONTHS) + r"|Sept\b\.?)"
_ORD = r"(?:st|nd|rd|th)?"
_TO = r"\s?[-–—]\s?|\s(?:to|through|until)\s"
_HALF = r"(?P<half>[aApP]\.?\s?[mM]\b\.?(?!\w))"
_YEAR = r"(?P<year>[12]\d{3})"
_DAY = r"(?P<day>\d{1,2})"
_SHORT_DAY = "Mon|Tues?|Weds?|Thurs?|Thu|Fri|Sat|Sun"
_TOO_MUCH = r"(?![\d:./,%]\d|\d|\s?[ap]\.?m)"
# Where only these words come before, m/d is a date whatever the numbers are.
_ON = r"\b(?:[Oo]n|[Dd]ue|[Dd]ated|[Dd]ate:?|[Ss]ince|[Uu]ntil|[Tt]ill|[Dd]eadline(?:\sis)?:?)\s"
_FROM = r"\b(?:[Bb]y|[Ff]rom|[Bb]efore|[Aa]fter|[Bb]etween|[Ss]tarting|[Ee]nding|[Ss]tarts|[Ee]nds|[Tt]hrough|[Tt]o|[Aa]nd)\s"


# --- dates --------------------------------------------------------------------------------------------------------------------------------


def _full_year(digits: str) -> int:
    return int(digits) if len(digits) == 4 else int(digits) + (2000 if int(digits) < 70 else 1900)


def _date(month: int, day: int, when: int | None) -> str:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return ""
    said = f"{MONTHS[month - 1]} {ordinal(day)}"
    return said if when is None else f"{said}, {year(when)}"


def _month_number(name: str) -> int:
    return next(index for index, month in enumerate(MONTHS, 1) if month[:3] == name[:3])


def _year_first(found: re.Match[str]) -> str:
    return _date(int(found[2]), int(found[3]), int(found[1])) or found[0]


def _year_last(found: re.Match[str]) -> str:
    first, second, when = int(found[1]), int(found[3]), _full_year(found[4])
    by_day = found[2] == "." and second <= 12
    # American order, unless it cannot be, or the dots of other countries are there.
    return (by_day and _date(second, first, when)) or _date(first, second, when) or _date(second, first, when) or found[0]


def _moment(found: re.Match[str]) -> str:
    day = _date(int(found["month"]), int(found["day"]), int(found["year"]))
    if not day or int(found["hour"]) > 24:
        return found[0]
    said = f"{day}, at {_clock(int(found['hour']), int(found['minute']), '')}"
    if found["second"] and int(found["second"]):
        said += f" and {cardinal(str(int(found['second'])))} seconds"
    if found["zone"] == "Z":
        return said + " UTC"
    if not found["zone"]:
        return said
    hours, _, minutes = found["zone"][1:].partition(":")
    offset = cardinal(str(int(hours[:2]))) + (f" {cardinal(minutes)}" if minutes.strip("0") else "")
    return f"{said} UTC {'plus' if found['zone'][0] == '+' else 'minus'} {offset}"


def _month_day(found: re.Match[str]) -> str:
    when = found["year"]
    return _date(_month_number(found["month"]), int(found["day"]), int(when) if when else None) or found[0]


def _days_of_month(found: re.Match[str]) -> str:
    first, last, when = int(found["day"]), int(found["last"]), found["year"]
    month = MONTHS[_month_number(found["month"]) - 1]
    if not 1 <= first < last <= 31:
        return found[0]
    return f"{month} {ordinal(first)} to {ordinal(last)}" + (f", {year(int(when))}" if when else "")


def _day_month(found: re.Match[str]) -> str:
    days = [int(day) for day in (found["day"], found["last"]) if day]
    if not all(1 <= day <= 31 for day in days):
        return found[0]
    said = f"{' to '.join(ordinal(day) for day in days)} of {MONTHS[_month_number(found['month']) - 1]}"
    article = found["the"] or "the "
    return f"{article}{said}" + (f", {year(int(found['year']))}" if found["year"] else "")


def _month_year(found: re.Match[str]) -> str:
    return f"{MONTHS[_month_number(found[1]) - 1]} {year(int(found[2]))}"


def _month_of_year(found: re.Match[str]) -> str:
    """Says 2024-03 as a month, 2024-25 as a season, and leaves what is neither."""
    first, second = int(found[1]), int(found[2])
    if found[3] != "–" and 1 <= second <= 12 and second != first % 100 + 1:
        return f"{MONTHS[second - 1]} {year(first)}"
    if first % 100 < second:
        return f"{year(first)} to {cardinal(str(second))}"
    return found[0]


def _month_of_card(found: re.Match[str]) -> str:
    month, two_digits = found[2] or found[4], found[3] or found[5]
    return f"{found['before'] or ''}{MONTHS[int(month) - 1]} {year(2000 + int(two_digits))}"


def _slashed_day(found: re.Match[str]) -> str:
    month, day = int(found["m"]), int(found["d"])
    return f"{found['before']}{_date(month, day, None) or _date(day, month, None) or found['m'] + '/' + found['d']}"


def _month_alone(found: re.Match[str]) -> str:
    # The dot may be the sentence's own.
    ends = found[0].endswith(".") and not found.string[found.end() :].strip()
    return MONTHS[_month_number(found["month"]) - 1] + ("." if ends else "")


def _weekday(found: re.Match[str]) -> str:
    return re.sub(rf"\b({_SHORT_DAY})\b\.?", lambda day: DAYS[day[1][:3]], found[0])


def _weekday_alone(found: re.Match[str]) -> str:
    ends = found[0].endswith(".") and not found.string[found.end() :].strip()
    return DAYS[found[1][:3]] + ("." if ends else "")


# --- times --------------------------------------------------------------------------------------------------------------------------------


def _time(found: re.Match[str]) -> str:
    hour, minute, half = int(found["hour"]), int(found["minute"]), _half(found["half"])
    if hour > 24 or minute > 59:
        return found[0]
    if found["second"]:
        return _with_seconds(found, hour, minute, half)
    return _clock(hour, minute, half)


def _with_seconds(found: re.Match[str], hour: int, minute: int, half: str) -> str:
    second = int(found["second"])
    return f"{_clock(hour, minute, half or ' ').rstrip()} and {cardinal(str(second))} second{'' if second == 1 else 's'}{half}"


def _clock(hour: int, minute: int, half: str) -> str:
    if hour == 0 and minute == 0 and not half:
        return "midnight"
    said = cardinal(str(hour))
    if minute:
        said += f" {'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    elif not half:
        said += " o'clock" if 1 <= hour <= 12 else " hundred"
    return f"{said}{half}"


def _hour(found: re.Match[str]) -> str:
    return f"{cardinal(found['hour'])}{_half(found['half'])}"


def _hours(found: re.Match[str]) -> str:
    first = found["first"]
    hour, _, minute = first.partition(":")
    return (_clock(int(hour), int(minute), " ").rstrip() if minute else cardinal(hour)) + " to "


def _half(written: str | None) -> str:
    return f" {written[0].upper()}M" if written else ""


def _military(found: re.Match[str]) -> str:
    hour, minute = int(found[1]), int(found[2])
    if hour > 24 or minute > 59:
        return found[0]
    early = "oh " if found[1][0] == "0" else ""
    rest = "hundred" if not minute else f"{'oh ' if minute < 10 else ''}{cardinal(str(minute))}"
    return f"{early}{cardinal(str(hour))} {rest} hours"


_DURATION_PARTS = (("d", "day"), ("h", "hour"), ("m", "minute"), ("s", "second"))


def _duration(found: re.Match[str]) -> str:
    given = [(name, found[group]) for group, name in _DURATION_PARTS if found[group]]
    if len(given) < 2:
        return found[0]
    return " ".join(_some(int(count), name) for name, count in given)


def _some(count: int, name: str) -> str:
    return f"{cardinal(str(count))} {name}{'' if count == 1 else 's'}"


def _hours_and_minutes(found: re.Match[str]) -> str:
    return f"{_some(int(found[1]), 'hour')} {_some(int(found[2]), 'minute')}"


def _minutes(found: re.Match[str]) -> str:
    return f"{found['before'] or ''}{found['count']} minute{'' if found['count'] == '1' else 's'}"


def _seconds(found: re.Match[str]) -> str:
    return f"{found[1]} second{'' if found[1] == '1' else 's'}"


# --- years --------------------------------------------------------------------------------------------------------------------------------

_DECADE_BEFORE = re.compile(r"(?:\b(?:the|his|her|their|my|your|our|early|late|mid|in|of|since)[\s-]|')$", re.IGNORECASE)
_CERTAIN = re.compile(
    r"(?:\b(?:in|since|until|till|from|circa|year|years|early|late|mid|year was|year is|summer|winter|spring|fall|autumn|"
    r"founded|established|"
    r"built|built in|opened|published|born|died|"
    r"copyright|class of|war of|act of|treaty of|revolution of|crash of|fire of|constitution of|election of|back in|ago in|"
    rf"{'|'.join(MONTHS)})[\s,-]+|©\s?|[(\[]|\d{{4}}\s?(?:to|and|until|through|or|-|–)\s?)$",
    re.IGNORECASE,
)
_LIKELY = re.compile(r"\b(?:by|before|after|during|around|between|of|the|and|to)\s$", re.IGNORECASE)
_AMOUNT = re.compile(
    r"\b(?:over|nearly|almost|under|than|least|most|up to|only|approximately|roughly|exactly|some|total of|population of|number of|sum of|"
    r"average of|maximum of|minimum of|group of|list of|out of|crowd of|these|those|all|costs?|weighs?|pay|paid|score of|speed of|times|"
    r"plus|minus|equals|score[ds]?|by about|worth|another|first|last|next|top)\s$",
    re.IGNORECASE,
)


def _year_or_number(found: re.Match[str]) -> str:
    number, before, after = int(found[0]), found.string[: found.start()], found.string[found.end() :]
    if re.match(r"\s?(?:BCE?|CE|AD)\b", after):
        return year(number)
    if not 1001 <= number < 2100:
        return cardinal(found[0])
    modern, counted = 1900 <= number, counts(after)
    certain = bool(_CERTAIN.search(before)) and not re.search(r"\b(?:total|population|number|cost) of $", before)
    if counted:
        # "the 2024 elections", "in 2020 elections": these years are more often meant than as many of something.
        is_year = modern and number > 2000 and (certain or before.lower().endswith("the "))
    elif _AMOUNT.search(before):
        is_year = False
    else:
        is_year = modern or certain or (bool(_LIKELY.search(before)) and not re.search(r"\bof $", before))
    return year(number) if is_year else cardinal(found[0])


def _decade(found: re.Match[str]) -> str:
    century, tens, before = found[1], int(found[2]), found.string[: found.start()]
    if not century and "'" not in found[0][:1] and not _DECADE_BEFORE.search(before):
        return found[0]
    if tens == 0:
        return f"{year(int(century + '00'))}s" if century else "two thousands"
    name = plural(cardinal(str(tens)))
    return f"{cardinal(century)} {name}" if century else name


def _short_year(found: re.Match[str]) -> str:
    return f"oh {cardinal(found[1][1])}" if found[1][0] == "0" else cardinal(found[1])


_LONG = r"ago|later|from now|left|remaining|delay|wait|break|timer|walk|drive|run\b|per\b|away by|early|late\b|each|intervals?"
_FOR = r"(?:in|every|wait|waited|for|within|after|takes|took|takes about|lasts|lasted|last|next|past|another|sleep)"
_FAR = r"tall|long|wide|deep|high|away|x\b|by\b|from the|dash|sprint|pool|race|of\b|above|below|up\b|down\b|apart|swim|freestyle"

DATES: Steps = (
    (
        re.compile(
            r"\b(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)(?:T|\s|"
            r",\s)(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?"
            r"(?P<zone>Z|[+-]\d\d:?(?:\d\d)?)?(?![\d:])"
        ),
        _moment,
    ),
    (re.compile(r"\b(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})\b(?![-/.]\d)"), _year_first),
    (re.compile(r"(?<![\d/.,-])(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?![\d/]|[.-]\d)"), _year_last),
    (re.compile(r"(?<![\d/.,-])(\d{1,2})(/)(\d{1,2})/(\d{2})(?![\d/]|[.-]\d)"), _year_last),
    (
        re.compile(rf"\b(?P<month>{_MONTH})\s{_DAY}{_ORD}(?:{_TO})(?P<last>\d{{1,2}}){_ORD}{_TOO_MUCH}(?:,?\s{_YEAR}\b)?"),
        _days_of_month,
    ),
    (
        re.compile(
            rf"\b(?P<month>{_MONTH})\s{_DAY}{_ORD}{_TOO_MUCH}(?:,?\s{_YEAR}\b)?(?:\s?[-–—]\s?(?="
            rf"(?:{_MONTH})\s\d))"
        ),
        lambda found: _month_day(found) + " to ",
    ),
    (re.compile(rf"\b(?P<month>{_MONTH})\s{_DAY}{_ORD}{_TOO_MUCH}(?:,?\s{_YEAR}\b)?"), _month_day),
    (
        re.compile(
            rf"\b(?P<the>[Tt]he )?{_DAY}{_ORD}(?:(?:{_TO})(?P<last>\d{{1,2}}){_ORD})?\s(?:of )?(?P<month>{_MONTH})(?:,?\s{_YEAR}\b)?"
        ),
        _day_month,
    ),
    (re.compile(rf"\b({_MONTH})\s([12]\d{{3}})\b"), _month_year),
    (re.compile(r"(?<![\d,.$€£/-])((?:1[5-9]|20)\d\d)(?:-|–|/)(\d\d)(?![\d.,/%-]\d|\d|–|\s?[a-z]{1,3}/)()"), _month_of_year),
    (re.compile(r"\b9/11\b"), "nine eleven"),
    (
        re.compile(
            r"(?P<before>\b(?:[Ee]xp(?:ires|iry|iration)?\.?(?: date)?:?|[Vv]alid (?:thru|until|through|to)) )(0?[1-9]|"
            r"1[0-2])/(\d\d)(?![\d/])|(?<![\d/])(0[1-9])/(\d\d)(?![\d/])"
        ),
        _month_of_card,
    ),
    (
        re.compile(
            rf"(?P<before>{_ON})(?P<m>\d{{1,2}})/(?P<d>\d{{1,2}})(?![\d/]|\s(?:of|cup|inch|teaspoon|tablespoon|mile)|"
            r"-inch)"
        ),
        _slashed_day,
    ),
    (re.compile(rf"(?P<before>{_FROM})(?P<m>1[0-2]|0?[1-9])/(?P<d>1[3-9]|2\d|3[01]|0[1-9])(?![\d/]|\s(?:of|inch))"), _slashed_day),
)
"""Of texts with digits."""

DAYS_AND_MONTHS: Steps = (
    (
        re.compile(
            rf"\b(?:{_SHORT_DAY})\b\.?(?:(?:\s?[-–/&,]\s?|,?\s(?:to|and|or|through)\s)(?:{_SHORT_DAY})\b\.?(?=\W|"
            r"$))+"
        ),
        lambda found: re.sub(r"\s?[-–]\s?", " to ", _weekday(found)),
    ),
    (re.compile(r"\b(Mon|Tues?|Weds?|Thurs?|Thu|Fri)\b(?:\.(?=\s[a-z\d])|\.)?(?!['’-]|\s(?:Chéri|Dieu))"), _weekday_alone),
    (re.compile(r"\b(Sat|Sun)\b(?:\.(?=,|\s?[a-z\d])|(?=,?\s(?:\d|at\s\d|" + _MONTH + r")))"), _weekday_alone),
    (
        re.compile(
            rf"(?<=\b(?:on|On)\s)({_SHORT_DAY})\b\.?(?=\W|$)|(?<=\b(?:every|Every|until|since)\s)(?:Sat|"
            r"Sun)\b"
        ),
        lambda found: DAYS[found[0][:3]],
    ),
    (
        re.compile(
            r"(?<=\b(?:open|Open)\s)(Sat|Sun)\b\.?|(?<=\b(?:closed|Closed)\s)(?:Sat|Sun)\b\.?|(?<=\b(?:last|next|this)\s)(?:Sat|"
            r"Sun)\b\.?"
        ),
        lambda found: DAYS[found[0][:3]],
    ),
    (
        re.compile(
            r"(?<=\b(?:until|since)\s)(?P<month>Mar|Apr|Jun|Jul)\.|(?<=\bthrough\s)(?:Mar|Apr|Jun|Jul)\.|(?<=[-–])(?:Mar|Apr|Jun|"
            r"Jul)\."
        ),
        lambda found: MONTHS[_month_number(found[0]) - 1],
    ),
    (re.compile(r"\b(?P<month>Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\.(?!\w)"), _month_alone),
    (re.compile(r"(?<=\b(?:in|by|of|to)\s)(?P<month>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"), _month_alone),
    (re.compile(r"(?<=\b(?:last|next|late|this|from)\s)(?P<month>Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?"), _month_alone),
)

TIMES: Steps = (
    (re.compile(r"\b([01]\d|2[0-4])([0-5]\d)\s(?:hours|hrs)\b"), _military),
    (re.compile(rf"\b(?P<hour>\d{{1,2}})\.(?P<minute>[0-5]\d)(?P<second>)\s?{_HALF}"), _time),
    (re.compile(rf"(?<![\d:.])(?P<first>\d{{1,2}}(?::[0-5]\d)?)\s?(?:[-–—]|to)\s?(?=\d{{1,2}}(?::[0-5]\d)?\s?{_HALF})"), _hours),
    (
        re.compile(rf"(?P<whole>\b(?P<hour>\d{{1,2}})(?::(?P<minute>[0-5]\d))?\s?{_HALF})\s?[-–—]\s?(?=\d)"),
        lambda found: f"{found['whole']} to ",
    ),
    (re.compile(r"(?<=\d:\d\d)\s?[-–—]\s?(?=\d{1,2}:\d\d)"), " to "),
    (
        re.compile(rf"\b(?P<hour>\d{{1,2}}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?(?![\d:])(?:\s?{_HALF})?"),
        _time,
    ),
    (re.compile(rf"\b(?P<hour>\d{{1,2}})\s?{_HALF}"), _hour),
)

DURATIONS: Steps = (
    (re.compile(r"(?<![\w.,])(\d{1,3})h([0-5]\d)(?!\w)"), _hours_and_minutes),
    (
        re.compile(
            r"(?<![\w.,:])(?=\d+\s?[dhm])(?:(?P<d>\d+)\s?d(?:ays?)?,?\s?)?(?:(?P<h>\d+)\s?h(?:(?:ou)?rs?)?\.?,?\s?)?"
            r"(?:(?P<m>\d+)\s?m(?:in(?:ute)?s?)?\.?,?\s?)?(?:(?P<s>\d+)\s?s(?:ec(?:ond)?s?)?)?(?<![\s,])(?!\w)"
        ),
        _duration,
    ),
    (re.compile(rf"(?<![\w.,$€£])(?P<before>)(?P<count>\d+)\s?m\b(?=\s(?:{_LONG}))"), _minutes),
    (re.compile(rf"(?P<before>\b{_FOR}\s)(?P<count>\d+)\s?m\b(?!\s?(?:{_FAR}))"), _minutes),
)

DECADES: Steps = (
    (re.compile(r"(?<![\w'])'?(\d\d)?([1-9]0|00)'?s\b"), _decade),
    (re.compile(r"\b(10|100|1,?000)s(?=\sof\b)"), lambda found: {2: "tens", 3: "hundreds"}.get(len(found[1]), "thousands")),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?s\b(?!')"), _seconds),
    (re.compile(r"(?<![\w'\"])'(\d\d)\b(?!['\d])"), _short_year),
)

YEARS: Steps = ((re.compile(r"(?<![\d,.])\d{4}(?![\d,.]\d|\d)"), _year_or_number),)
