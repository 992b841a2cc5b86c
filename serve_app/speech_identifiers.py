"""Numbers that name something, as they are said in English: telephone numbers, codes, cards, versions, models, rooms.

Nothing is counted by them, so they are said digit by digit, by pairs, or with their dots.
"""

from __future__ import annotations

import re

from serve_app.speech_numerals import Steps, cardinal, counts, one_by_one, pairs, plural, spelled
from serve_app.speech_tables import MONTHS, STREETS

_SEP = r"[ .-]"
_CALL = (
    r"\b(?:[Cc]all(?:s|ed|ing)?|[Dd]ial(?:s|l?ed|l?ing)?|[Pp]hon(?:e|ed|es|ing)|[Rr]ing|[Tt]ext(?:ed|ing|s)?|[Ff]ax(?:ed)?|"
    r"[Hh]otline|[Hh]elpline|"
    r"[Tt]el(?:ephone)?\.?|[Mm]obile|[Cc]ell|[Ww]hats[Aa]pp|SMS|[Cc]ontact|(?:me|us|him|her|them) (?:at|on)|"
    r"(?:phone|telephone|mobile|cell|fax)(?: number)?|[Nn]umber is)"
)
_EMERGENCY = "911|999|112|000|111|988|101|110|119|311|411|511|211|711|811|118"
_SERVICE = r"operators?|callers?|calls?|dispatch(?:er|ers)?|emergency|services?|lines?|numbers?|centers?|centres?|system|lifeline|hotline"
_EXTENSION = r"(?:,?\s?(?:ext(?:ension)?\b\.?|x)\s?(?P<ext>\d{1,6}))?"
_SECRET = (
    r"(?:[Pp]ass)?[Cc]odes?|PIN|pin|OTP|[Pp]assword|[Pp]assphrase|[Cc]onfirmation|[Tt]racking|[Aa]ccount|[Aa]cct\.?|[Ss]erial|[Rr]eference|"
    r"[Rr]ef\.?|[Bb]ooking|[Rr]eservation|[Oo]rder|[Ii]nvoice|[Tt]icket|[Cc]ase|[Cc]laim|[Pp]olicy|[Mm]embership|[Mm]ember|[Cc]ustomer|"
    r"[Ee]mployee|[Ss]tudent|[Ll]icen[sc]e|[Pp]assport|[Rr]outing|[Cc]ard|ZIP|[Zz]ip|[Pp]ostcode|[Pp]ostal|SKU|IMEI|VIN|ISBN|SSN|IBAN|ID|"
    r"[Ee]xtension|[Ee]xt\.?|[Ee]nding (?:in|with)|(?:card|account|number|phone) ends (?:in|with)|"
    r"[Dd]igits|CVV|CVC|[Ll]ocker|[Vv]oucher|[Cc]oupon|[Gg]ift card|[Pp]hone|"
    r"[Tt]elephone|[Ff]ax"
)
_IS = r"(?:\s(?:code|number|no\.?|num|ID|id|card))?(?:\s?(?:is|was|are|be|to|=|:|of|number|reads|will be))*:?\s?\ue000?#?\s?"
_PLACES = (
    r"[Rr]oom|Rm\.?|Suite|Ste\.?|[Aa]partment|Apt\.?|Unit|[Ff]lights?|[Gg]ate|[Hh]ighway|Hwy\.?|[Rr]oute|Rte\.?|Interstate|[Bb]us|Line|"
    r"[Cc]hannel|Platform|[Bb]uilding|Bldg\.?|[Ee]rrors?|HTTP|[Ss]tatus|[Ss]tatus code|Section|Form|Area|Psalm|Boeing|Airbus|Xbox|"
    r"Porsche|Ferrari|Peugeot|Nokia|Canon|Nikon|Ryzen(?: \d)?|Core|ThinkPad|Galaxy|Radeon|GeForce|Fahrenheit|[Pp]ort|Studio|Catch|Extension"
)
_SOFTWARE = (
    r"[Vv]ersions?|[Rr]eleases?|Python|iOS|iPadOS|macOS|Ubuntu|Debian|Fedora|Node|PHP|Java|Ruby|Chrome|Firefox|Android|[Kk]ernel|CUDA|"
    r"Windows|Django|Rails|React|Angular|Linux|Go|Rust|Kubernetes|Postgres|PostgreSQL|MySQL|Redis|PyTorch|TensorFlow"
)
_NO_MODEL = (
    r"USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|AD|BC|BCE|CE|AM|PM|NASA|UN|EU|US|UK|USA|FIFA|UEFA|NBA|NFL|IBM|FY|UTC|GMT|EST|PST|"
    r"CET|COVID|NO|OF|IN|TO"
)
_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|"
    "UT|VT|VA|WA|WV|WI|WY|DC"
)


def _telephone(found: re.Match[str]) -> str:
    plus = "plus " if found[0].startswith("+") else ""
    number, ext = found[0], found.groupdict().get("ext")
    if ext:
        number = number[: found.start("ext") - found.start()]
    groups = ", ".join(one_by_one(group) for group in re.findall(r"\d+", number))
    return f"{plus}{groups}" + (f", extension {one_by_one(ext) if len(ext) > 2 else cardinal(ext)}" if ext else "")


def _digits(found: re.Match[str]) -> str:
    return ", ".join(one_by_one(group) for group in re.findall(r"\d+", found[0]))


def _hyphened(found: re.Match[str]) -> str:
    groups = found[0].split("-")
    if all(len(group) < 3 and not (len(group) > 1 and group[0] == "0") for group in groups):
        return " ".join(cardinal(group) for group in groups)
    return ", ".join(one_by_one(group) for group in groups)


def _emergency(found: re.Match[str]) -> str:
    number, after = found["number"], found.string[found.end() :]
    if counts(after):
        return found[0]
    return found[0][: found.start("number") - found.start()] + re.sub(r"\d+", lambda each: one_by_one(each[0]), number)


def _code(found: re.Match[str]) -> str:
    token, after = found["token"], found.string[found.end() :]
    digits = sum(char.isdigit() for char in token)
    least = 3 if re.match(r"(?:pass)?code|pin|otp|password|ext|digits|ending|cv", found["what"], re.IGNORECASE) else 4
    if not digits or len(token) < least or counts(after) or re.match(r"[.,]\d", after):
        return found[0]
    head = found[0][: found.start("token") - found.start()]
    return head.replace("#", "number ") + spelled(token)


def _place(found: re.Match[str]) -> str:
    if counts(found.string[found.end() :]):
        return found[0]
    return f"{found['what']}{found['sep']}{pairs(found['number'])}".replace("#", "")


def _model(found: re.Match[str]) -> str:
    return f"{found['letters']} {pairs(found['number'])}"


def _two_part_model(found: re.Match[str]) -> str:
    series = found[2] if "." in found[2] or len(found[2]) < 3 else pairs(found[2])
    number = found[3]
    said = f"{cardinal(number[:2])} {pairs(number[2:])}" if len(number) == 5 else pairs(number)
    return f"{found[1]} {series} {said} {' '.join(found[4])}".rstrip()


def _ip_address(found: re.Match[str]) -> str:
    parts = found[0].split(".")
    if any(int(part) > 255 for part in parts):
        return " point ".join(cardinal(part) for part in parts)
    return " dot ".join(pairs(part) for part in parts)


def _version(found: re.Match[str]) -> str:
    first, *rest = found["version"].split(".")
    said = " point ".join([cardinal(first), *(pairs(part) if part[0] == "0" and len(part) > 1 else cardinal(part) for part in rest)])
    return f"{found['name']}{said}"


def _mixed(found: re.Match[str]) -> str:
    """Spells what goes to and fro between letters and digits, and what is long; AB12 and MP3 are left."""
    code = found[0]
    changes = sum(first.isdigit() != second.isdigit() for first, second in zip(code, code[1:], strict=False))
    return spelled(code) if changes >= 2 and not re.fullmatch(r"\d+(?:[A-Z]\d)?[A-Z]+", code) else code


def _long(found: re.Match[str]) -> str:
    digits = found[0]
    return one_by_one(digits) if not digits.endswith("000") else digits


ANNOUNCED = re.compile(rf"(?:(?<!\w)(?:{_SECRET}){_IS}|{_CALL}[\w ]{{0,12}}:?\s?)\Z")
"""The end of a clause after which a number is a code or a telephone number."""

CLAUSE_BORDER = "\ue000"
"""Stands between such an end and the next clause."""

IDENTIFIERS: Steps = (
    (re.compile(r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,4})?\b"), lambda found: spelled(found[0])),
    # Telephone numbers: their groups say so, or the word before.
    (re.compile(rf"(?<![\w.])\+\d{{1,3}}{_SEP}?(?:\(\d{{1,4}}\){_SEP}?)?\d[\d .-]{{4,14}}\d\b{_EXTENSION}"), _telephone),
    (re.compile(rf"(?<![\w.,-])(?:1{_SEP})?(?:\(\d{{3}}\)\s?|\d{{3}}{_SEP})\d{{3}}{_SEP}\d{{4}}\b(?![.,-]?\d){_EXTENSION}"), _telephone),
    (re.compile(rf"(?<![\w.,$-])[2-9]\d\d(?:-\d{{3}}[1-9]|[ .-]0\d{{3}})\b(?![.,-]?\d|\s?%){_EXTENSION}"), _telephone),
    (re.compile(r"(?<![\w.,-])\(?0\d{1,4}\)?(?:[ -]\d{2,6}){1,4}\b(?![.,:/]\d)(?<!\d 000)"), _digits),
    (
        re.compile(
            rf"(?P<call>{_CALL}[^\w+]{{0,3}}(?:is |at |on |the |now |"
            rf": ?)*\ue000?)(?P<number>\(?\d{{1,4}}\)?(?:[ .-]\d{{2,4}}){{1,3}})(?![\d:%]|[.,]\d|\s?[ap]\.?m)"
        ),
        _emergency,
    ),
    (
        re.compile(
            rf"{_CALL}[:\s\ue000]+(?:(?:is|the|to|at|on|this|number|my|our)[ :]+)*\ue000?(?P<number>(?:\d{{3}}|\d{{5,12}})(?:,? (?:or|"
            rf"and) \d{{3}})*)\b(?![\d:%/-]|[.,]\d)"
        ),
        _emergency,
    ),
    (re.compile(rf"\b(?P<number>{_EMERGENCY})(?=[ -](?:{_SERVICE})\b)"), _emergency),
    (re.compile(r"(?<![\w.,-])(?P<number>911)\b(?![.,]?\d|\s?[%$€£])(?<!Porsche 911)"), _emergency),
    # Cards and what else is written in groups.
    (re.compile(r"(?<![\w.,-])\d{4}(?:([ -])\d{4})(?:\1\d{4}){1,3}\b|(?<![\w.,-])\d{4} \d{6} \d{5}\b"), _digits),
    (re.compile(r"(?<![\w.,-])\d{5}-\d{4}\b(?![.,-]?\d)"), _digits),
    (re.compile(rf"(?<=\b(?:{_STATES}) )\d{{5}}\b(?![.,]?\d)"), _digits),
    (re.compile(r"(?<![\w.,-])\d+(?:-\d+){2,}\b(?![.,-]?\d|%)"), _hyphened),
    (re.compile(r"\b(?:[Tt]ext|SMS|send|Send)\s(?:\w+\s){1,3}to\s(?P<number>\d{5,6})\b"), _emergency),
    (
        re.compile(rf"\b(\d{{3,4}})(?=\s(?:(?:North|South|East|West)\s)?(?:[A-Z][\w'’]+\s){{1,3}}(?:{'|'.join(STREETS.values())})\b)"),
        lambda found: pairs(found[1]),
    ),
    # Codes: the word before says so, or letters and digits by turns.
    (
        re.compile(
            rf"(?<!\w)(?P<what>{_SECRET}){_IS}(?<![\w.])(?P<token>(?=[A-Za-z-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*)"
            r"\b(?![.,:/%]\d|%|[a-z]|\s?(?:USD|EUR|GBP)\b)"
        ),
        _code,
    ),
    (
        re.compile(
            r"\b(?!\d[A-Z]{2}\b)[A-Z]{1,2}\d[A-Z\d]? \d(?!GB|TB|PB|MB|"
            r"KB)[ABD-HJLNP-UW-Z]{2}\b"
        ),
        lambda found: spelled(found[0].replace(" ", "-")),
    ),
    (re.compile(r"(?<![\w.#$-])(?=[A-Z0-9]*[A-Z])(?=[A-Z0-9]*\d)[A-Z0-9]{5,}\b(?![.,]\d)"), _mixed),
    (re.compile(r"(?<![\w.,$€£₹-])\d{10,}\b(?![.,]\d|,\d)"), _long),
    # Versions.
    (re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]?\d)"), _ip_address),
    (re.compile(r"(?<![\w.])(?P<name>)v\.?\s?(?P<version>\d+(?:\.\d+)*)(?![\w.]?\d|\w)"), lambda found: f"version {_version(found)}"),
    (re.compile(rf"(?P<name>\b(?:{_SOFTWARE}) )(?P<version>\d+(?:\.\d+)+)(?![\w.]?\d|\w|\s?%)"), _version),
    (re.compile(r"(?<![\w.])(?P<name>)(?P<version>\d+(?:\.\d+){2,})(?![\w.]?\d)"), _version),
    # Models, rooms, roads: in pairs.
    (re.compile(r"\b([45]\d\d)\(([a-z])\)"), lambda found: f"{pairs(found[1])} {found[2]}"),
    (re.compile(r"\b802\.(\d{1,2})([a-z]{0,2})\b"), lambda found: f"eight oh two dot {cardinal(found[1])} {found[2]}".rstrip()),
    (re.compile(r"\b(7[0-8]7)-(\d{3})\b"), lambda found: f"{pairs(found[1])} {pairs(found[2])}"),
    (re.compile(r"(?<=[A-Z])(\d)s\b"), lambda found: f" {plural(cardinal(found[1]))}"),
    (re.compile(r"\b(?P<what>Boeing)(?P<sep> )(?P<number>\d{3})-(?=\d{3}\b)"), lambda found: f"{_place(found)} "),
    (
        re.compile(
            rf"\b(?!(?:{'|'.join(month[:3] for month in MONTHS)})|"
            rf"\d)([A-Za-z]{{1,10}})-?(\d{{1,4}}(?:\.\d+)?)-(\d{{2,5}})([A-Z]{{0,3}})\b(?![-.,]?\d)"
        ),
        _two_part_model,
    ),
    (re.compile(rf"(?<!\w)(?P<what>{_PLACES})(?P<sep>(?: number)? #?)(?P<number>\d{{3,4}})\b(?![,.]?\d|\s?[%°]|:\d)"), _place),
    (
        re.compile(
            rf"\b(?!(?:{_NO_MODEL})\b)(?P<letters>[A-Z]{{2,4}})[ -]?(?P<number>\d{{3,4}})(?![,.:/-]?\d|\s?%|'?s\b)(?=\W|$|[A-Z]|Ti|"
            r"x)"
        ),
        _model,
    ),
    (re.compile(r"\b(?P<letters>[A-HJ-Z])-?(?P<number>\d{3,4})(?![\w.,-]?\d|\w|%)"), _model),
    (re.compile(r"(?<![\w.])(\d{3,4})p\b(?! each)"), lambda found: f"{pairs(found[1])} p"),
    (re.compile(r"(?<=[a-z]):(\d{4,5})\b"), lambda found: f" {pairs(found[1])}"),
)
"""In this order; dates were read before."""
