"""Numbers as they are said in English: plain ones, money, measures, fractions, ratios.

Dates and times are in speech_calendar.py, numbers that name something in speech_identifiers.py.
"""

from __future__ import annotations

import re

from serve_app.speech_calendar import DATES, DAYS_AND_MONTHS, DECADES, DURATIONS, TIMES, YEARS
from serve_app.speech_identifiers import IDENTIFIERS
from serve_app.speech_numerals import NUMBER, Steps, applied, cardinal, lakhs, ordinal, pairs, plural
from serve_app.speech_tables import CODE_NAMES, CURRENCIES, CURRENCY_CODES, MAGNITUDES, RATES, UNITS

LARGEST_PART = 100
"""Fractions of smaller parts than this are said with "over"."""


def _any(words: object) -> str:
    """Alternatives, the longest first."""
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


_SYMBOL = _any(CURRENCIES)
_CODE = _any(CURRENCY_CODES)
_UNIT = _any(UNITS)
_RATE = _any(RATES)
_SIZES = "hundred|thousand|million|billion|trillion|lakhs?|crores?|mil"
_MAGNITUDE = rf"(?:\s?(?P<size>{_SIZES})\b|(?:\s?(?P<tn>bn|tn|mn|cr)|(?P<short>[kKmMbBT]|MM|mm))\b(?![²³]))?"
_AMOUNT = r"\d{1,3}(?:\.\d{3})+,\d{2}|\d+,\d{2}(?![\d,])|" + NUMBER
_MINUS = r"(?P<minus>(?<![\w.,)\]%])[-−+]\s?)?"
_SIGNS = {"-": "minus ", "−": "minus ", "+": "plus ", "": ""}

_NO_NOUN = frozenset(
    "a an the of in on at to for from by with and or but as is are was were be been am has have had do does did will would can could may "
    "might must shall should than then that this these those it its he she they we you i his her their our your my me him them us when "
    "where while if so because since until before after into onto over under about above below per each every more less fewer away ago "
    "long tall wide deep high old later earlier apart left not no only just now today tonight yesterday tomorrow here there up down out "
    "off back again too also still plus minus times went goes got gets cost costs seems became extra depending compared between through "
    "during against without within upon across along behind beyond near via which who whom whose what why how yet nor unless although "
    "though both either neither all any some such very even said says".split()
)


def _before_noun(found: re.Match[str]) -> bool:
    """True where the amount stands between an article and a noun: "a $20 bill", "the 5 km run"."""
    before, after = found.string[: found.start()], found.string[found.end() :]
    noun = re.match(r"\s([a-z]+|TVs?|PC|LCD|OLED|SSD|HDD)\b", after)
    determined = re.search(
        r"\b(?:an?|another|one|the|this|that|each|every|my|your|his|her|our|their|[A-Z]\w+'s)\s(?:[a-z]+\s)?$", before, re.IGNORECASE
    )
    return bool(noun and determined and noun[1] not in _NO_NOUN)


# --- money --------------------------------------------------------------------------------------------------------------------------------


def _english(amount: str) -> str:
    """The amount with a point for its decimals, whichever way it was grouped."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d{2}|\d+,\d{2}", amount):
        return amount.replace(".", "").replace(",", ".")
    return amount.replace(",", "")


def _names(sign: str) -> tuple[str, str, str]:
    return CURRENCIES.get(sign) or CODE_NAMES.get(sign) or CURRENCIES[CURRENCY_CODES[sign]]


def _size(found: re.Match[str]) -> str:
    return found["size"] or MAGNITUDES.get(found["short"] or found["tn"] or "", "")


def _money(found: re.Match[str]) -> str:
    one, many, cent = _names(found["symbol"])
    minus = _SIGNS[(found["minus"] or found.groupdict().get("inner") or "").strip()]
    size, amount = _size(found), _english(found["amount"])
    if size:
        return (
            f"{minus}{cardinal(amount)} {size.replace('mil', 'million') if size == 'mil' else size} {one if _before_noun(found) else many}"
        )
    if re.fullmatch(r"\d{1,2}(?:,\d{2})+,\d{3}", found["amount"]):
        return f"{minus}{lakhs(int(amount))} {many}"
    whole, _, cents = amount.partition(".")
    if len(cents) != 2 or not cent:
        return f"{minus}{cardinal(amount)} {one if amount == '1' or _before_noun(found) else many}"
    return minus + _with_cents(int(whole), int(cents), (one, one if _before_noun(found) else many, cent))


def _with_cents(whole: int, cents: int, names: tuple[str, str, str]) -> str:
    one, many, cent = names
    large = f"{cardinal(str(whole))} {one if whole == 1 else many}"
    if cent == "pence":
        cent = "penny" if cents == 1 else cent
    elif cents != 1:
        cent = plural(cent)
    small = f"{cardinal(str(cents))} {cent}"
    if not cents:
        return large
    return f"{large} and {small}" if whole else small


def _money_range(found: re.Match[str]) -> str:
    one, many, _ = _names(found["symbol"])
    size = _size(found)
    name = one if _before_noun(found) else many
    said = f"{cardinal(_english(found['first']))} to {cardinal(_english(found['amount']))}"
    return f"{_SIGNS[(found['minus'] or '').strip()]}{said}{' ' + size if size else ''} {name}"


def _magnitude(found: re.Match[str]) -> str:
    short = found["short"]
    return f"{cardinal(found['amount'])} {MAGNITUDES[short]}"


# --- measures -----------------------------------------------------------------------------------------------------------------------------


def _measure(found: re.Match[str]) -> str:
    one, many = UNITS[found["unit"]]
    single = found["amount"] == "1" or _before_noun(found) or (found["joint"] == "-" and re.match(r"\s[a-z]", found.string[found.end() :]))
    said = one if single else many
    if found["rate"]:
        said += f" per {RATES[found['rate']]}"
    return f"{_SIGNS[(found['minus'] or '').strip()]}{cardinal(found['amount'])} {said}"


_HEAT = re.compile(
    r"\b(?:temperatures?|degrees|today|tonight|tomorrow|outside|weather|hot|cold|warm|cool|oven|heat|preheat|bake|below|"
    r"above|feels|high|highs|"
    r"low|lows|set|turn|turned|forecast|fever|boils?|freez\w*|melts?|sunny|roast|cook|thermostat|around|about|it's|is|was)\b",
    re.IGNORECASE,
)
_CURRENT = re.compile(r"\b(?:fuse|current|charg\w*|circuit|breaker|amps?|draws?|rated|outlet|socket|supply|\d+\s?[VW]|volts?|watts?)\b")


def _degrees(found: re.Match[str]) -> str:
    if not _HEAT.search(found.string):
        return found[0]
    scale = "Celsius" if found["scale"] == "C" else "Fahrenheit"
    return f"{_SIGNS[(found['minus'] or '').strip()]}{cardinal(found['amount'])} degrees {scale}"


def _amps(found: re.Match[str]) -> str:
    if not _CURRENT.search(found.string):
        return found[0]
    return f"{cardinal(found[1])} amp{'' if found[1] == '1' or _before_noun(found) else 's'}"


def _feet_and_inches(found: re.Match[str]) -> str:
    return f"{cardinal(found[1])} foot {cardinal(found[2])}"


def _inches(found: re.Match[str]) -> str:
    # A quotation that ends with a number has its beginning before.
    if found.string[: found.start()].count('"') % 2:
        return found[0]
    return f"{cardinal(found[1])} inch{'' if _before_noun(found) or found[1] == '1' else 'es'}"


def _by(found: re.Match[str]) -> str:
    of_screen = all(re.fullmatch(r"\d{3,4}", side) for side in found.groups())
    return f"{pairs(found[1])} by {pairs(found[2])}" if of_screen else f"{found[1]} by {found[2]}"


def _per(found: re.Match[str]) -> str:
    return f" per {RATES[found['rate']]}"


# --- fractions, ratios, ranges ------------------------------------------------------------------------------------------------------------


def _fraction(found: re.Match[str]) -> str:
    whole, above, below = found["whole"], int(found["above"]), int(found["below"])
    before = found.string[: found.start()]
    if above == below and above != 10 or (above + below == 100 and above % 5 == 0):
        return f"{whole or ''}{cardinal(found['above'])} {cardinal(found['below'])}"
    rated = re.search(r"\b(?:rat(?:e|ed|ing)|scor(?:e|ed)|got|gave|give|grade|marks?)\b[^.]*$", before, re.IGNORECASE)
    if above == below or (rated and below in (5, 10, 20, 100)):
        return f"{whole or ''}{cardinal(found['above'])} out of {cardinal(found['below'])}"
    if not 0 < above < below or below > LARGEST_PART:
        return f"{whole or ''}{cardinal(found['above'])} over {cardinal(found['below'])}"
    name = {2: "half", 4: "quarter"}.get(below) or ordinal(below)
    single = above == 1 or re.match(r"-[a-z]", found.string[found.end() :])
    part = f"{cardinal(str(above))} {name if single else 'halves' if below == 2 else name + 's'}"
    if not whole:
        return part
    return f"{cardinal(whole.strip())} and {'a' + part[3:] if above == 1 else part}"


def _spaced_range(found: re.Match[str]) -> str:
    return f"{found[1]} to {found[2]}" if float(found[1]) < float(found[2]) else found[0]


def _ordinal(found: re.Match[str]) -> str:
    return ordinal(int(found[1].replace(",", "")))


_THOUSANDS = (re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3}){2,}(?![\d])(?! \d)"), lambda found: found[0].replace(" ", ","))

MONEY: Steps = (
    (
        re.compile(
            rf"{_MINUS}(?P<symbol>{_SYMBOL})\s?(?P<first>{_AMOUNT})(?:[kKmMbB]|bn)?\s?[-–—]\s?(?P<amount>{_AMOUNT}){_MAGNITUDE}"
            r"(?!\s?[-–—]\d)"
        ),
        _money_range,
    ),
    (
        re.compile(
            rf"(?P<minus>)(?P<first>\b{_AMOUNT})\s?[-–—]\s?(?P<amount>{_AMOUNT}){_MAGNITUDE}\s?(?P<symbol>[€£₹]|"
            rf"(?:{_CODE})\b)"
        ),
        _money_range,
    ),
    (re.compile(r"(?<=[\dkKmMbBn])\s?[-–—]\s?(?=[$€£₹]\d)"), " to "),
    (re.compile(rf"{_MINUS}(?P<symbol>{_SYMBOL})\s?(?P<inner>[-−])?(?P<amount>{_AMOUNT}){_MAGNITUDE}"), _money),
    (re.compile(rf"(?P<minus>)\b(?P<symbol>(?:{_CODE})\b|Rs\.?)\s?(?P<amount>{_AMOUNT}){_MAGNITUDE}"), _money),
    (re.compile(rf"{_MINUS}(?P<amount>\b(?:{_AMOUNT})){_MAGNITUDE}\s?(?P<symbol>[€£₹]|(?:{_CODE})\b)"), _money),
    (re.compile(r"(?<![\w.])(\d+)p\b(?=\s(?:each|a\b|per)|[.,]|$)"), r"\1 pence"),
    (re.compile(r"(?<![\w.])\$(?=[A-Z]{1,5}\b)|\${2,}"), " "),
)

RANGES: Steps = (
    (re.compile(r"(?<![\w.,/-])([1-9]\d)-\1(?![\w.,/%-])"), r"\1 \1"),
    (re.compile(r"(?<![\w.,/-])([1-9]0)-([1-9]0)(?=\s(?:split|rule|mix|chance|odds|ratio|blend|deal|partnership|custody)\b)"), r"\1 \2"),
    (re.compile(r"(?<![\d.,:/-])(\d+(?:\.\d+)?) [-–—] (\d+(?:\.\d+)?)(?=\s+[a-z]|\s?[%°])"), _spaced_range),
    (
        re.compile(r"(?<=\d)\s?–\s?(?=[\d$€£])|(?<=\d)-(?=[$€£]?\d)|(?<=[%°])[-–](?=\d)|(?<=°[CF])\s?[-–]\s?(?=\d)|(?<=[kKmMg])[-–](?=\d)"),
        " to ",
    ),
)

MEASURES: Steps = (
    (re.compile(r"\b(?=[3-8]|\d['′]\s?\d+[\"″])([1-9])['′]\s?(1[01]|\d)(?:[\"″]|''|\b)"), _feet_and_inches),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:[\"″])(?=\s?[a-z,.;:)]|\s?$|\s[A-Z])"), _inches),
    (re.compile(r"(?<![\w.])(\d+)['′](?=\s[a-z])"), r"\1 feet"),
    (re.compile(r"(?<![\w.,])(\d+(?:\.\d+)?)[x×](\d+(?:\.\d+)?)(?![\d^.])"), _by),
    (
        re.compile(
            rf"(?<=\d)(\s(?:{_UNIT})?)\s?[x×]\s?(?=\d+(?:\.\d+)?\s?(?:in|ft|cm|mm|m|inches|feet|meters)\b)|(?<=\d)(cm|mm|m|ft|"
            r"in)\s?[x×]\s?(?=\d)"
        ),
        lambda found: f"{found[1] or found[2] or ' '} by ",
    ),
    (re.compile(r"(?<![\w.])l/100\s?km\b|(?<=\d)\s?[lL]/100\s?km\b"), " liters per hundred kilometers"),
    (re.compile(r"(?<=\d)(\s?(?:ft|feet|foot)\.?\s)(\d+)\s?in\b\.?"), r"\1\2 inches"),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(?:in\b\.?(?=\s?[,;)x×]|\s[a-z]|$)|\sin\.(?=\s[a-z]|\s?[,;)]))"), _inches),
    (re.compile(rf"(?<![\w.]){_MINUS}(?P<amount>\d{{2,3}})\s?(?P<scale>[CF])\b(?!['#+])"), _degrees),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s?A\b(?!['.])"), _amps),
    (
        re.compile(
            r"(?<![\w.])(\d+(?:\.\d+)?)m\b(?=\s(?:people|users|views|followers|subscribers|copies|downloads|viewers|customers|"
            r"dollars))"
        ),
        r"\1 million",
    ),
    (
        re.compile(
            rf"(?<![\w.]){_MINUS}(?P<amount>{NUMBER})(?P<joint>[\s-]?)(?P<unit>{_UNIT})(?:\s?/\s?(?P<rate>{_RATE})(?!\w)|"
            r"(?P<none>)(?!/[a-zA-Z]*\d))(?![\w²³])"
            r"(?<!\d[ -]l)(?<!\d[ -]h)(?<!\d[ -]N)(?:\.(?=\s[a-z\d]))?"
        ),
        _measure,
    ),
    (
        re.compile(
            r"(?<![\w.,$])(?P<amount>\d+(?:\.\d+)?)(?P<short>[Mk]|bn|B(?=\s(?:param|tokens|people|users|views|in\b|of\b|years|"
            r"dollars|model)))\b(?![-'/])"
        ),
        _magnitude,
    ),
    (
        re.compile(
            r"(?<![\w.,$])(?P<amount>\d+(?:\.\d+)?)(?P<short>K)\b(?!\s(?:TV|video|monitor|resolution|display|screen|run|race|UHD|"
            r"HDR|camera|footage|streaming|walk|movie|content|quality|OLED|and)\b|[-'])"
        ),
        _magnitude,
    ),
)

_WORDED_RATE = _any(rate for rate in RATES if len(rate) > 2 or rate in ("hr", "mo", "yr", "wk", "kg", "lb"))

PER: Steps = (
    (
        re.compile(rf"(?<=[a-z²³])/(?P<rate>{_WORDED_RATE})\b(?<!day/night)(?<!week/month)(?<!month/year)(?<!day/week)"),
        _per,
    ),
)

STEPS: Steps = (
    *DATES,
    *DAYS_AND_MONTHS,
    *IDENTIFIERS,
    *TIMES,
    (re.compile(r"\b24/7(?:/365)?\b"), lambda found: "twenty-four seven" + (" three sixty-five" if len(found[0]) > 4 else "")),
    _THOUSANDS,
    (re.compile(r"(?<![\w.,])\.(?=\d)"), "0."),
    *DURATIONS,
    *DECADES,
    *MONEY,
    *RANGES,
    (re.compile(r"(?<=\d)[/⁄](\d+)(?:[\"″])(?=\s[a-z]|\s?[,.;)]|\s?$)"), r"/\1 inch"),
    (re.compile(r"(?<![\w.,/])(?P<whole>\d+\s)?(?P<above>\d+)[/⁄](?P<below>\d+)(?![\d/.]\d|\d|\w)"), _fraction),
    *MEASURES,
    *PER,
    (re.compile(r"\b(degrees?)\s([CF])\b"), lambda found: f"{found[1]} {'Celsius' if found[2] == 'C' else 'Fahrenheit'}"),
    (re.compile(r"(?<=\d)\s?★"), " stars"),
    (re.compile(r"(?<![\d,])(\d),(?=\d(?![\d,]))"), r"\1, "),
    (re.compile(r"(?<![\w.])(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)(?![\d:]|\.\d)"), r"\1 to \2"),
    (re.compile(r"(?<![\w.])(\d[\d,]*)(?:st|nd|rd|th)\b"), _ordinal),
    (re.compile(rf"(?<![\w.,)])[-−](?={NUMBER})"), "minus "),
    (re.compile(r"(?<![\w.,)+])\+(?=\d)"), "plus "),
    (re.compile(r"(?<=\d)(?:\s?[xX×]\s?|\s?[*·]\s?)(?=\d)|(?<=\d)\s[xX×]\s(?=[a-z]\b)"), " times "),
    (re.compile(r"(?<=\d)[xX×]\b(?!\s?[-+=*/^])"), " times"),
    (re.compile(r"(?<=\d)\s-\s(?=\d)"), " minus "),
    (re.compile(r"(?<=\d)\s?/\s?(?=\d)"), " divided by "),
    (re.compile(r"(?<=[^\W\d])-?(?=\d)|(?<=\d)(?=[^\W\d])"), " "),
    *YEARS,
    (re.compile(NUMBER), lambda found: cardinal(found[0])),
)
"""In this order: what is more than a number is read before the numbers in it."""


def spoken_numbers(text: str) -> str:
    """The text without a digit in it."""
    if not any(char.isdigit() for char in text):
        return applied(PER, applied(DAYS_AND_MONTHS, text))
    return applied(STEPS, text)
