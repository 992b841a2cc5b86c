"""Addresses, abbreviations, Roman numerals, acronyms and slashes as they are said in English."""

from __future__ import annotations

import re

from serve_app.speech_numerals import Steps, cardinal, ordinal, spelled
from serve_app.speech_numerals import applied as applied
from serve_app.speech_tables import (
    ABBREVIATIONS,
    DOTTED_TITLES,
    ENDINGS,
    NO_END,
    NUMBERED,
    RATES,
    SIGNS,
    STATES,
    STREETS,
    TITLES,
    TOP_LEVELS,
    UNITS,
)


def _any(words: object) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))  # type: ignore[call-overload]


def _at_end(found: re.Match[str]) -> bool:
    """True where the dot of an abbreviation may be the sentence's own."""
    return found[0].endswith(".") and not found.string[found.end() :].strip(" \"')”’")


# --- addresses ----------------------------------------------------------------------------------------------------------------------------


def _host(found: re.Match[str]) -> str:
    host, rest = re.sub(r"^www\.", "", found[1]), found[0][found.end(1) - found.start() :]
    stop = re.search(r"[.,!?;:)]*$", rest)
    return host.rstrip(".").replace(".", " dot ") + (stop[0] if stop and rest else "." if host.endswith(".") else "")


def _mail(found: re.Match[str]) -> str:
    name = found[1].replace(".", " dot ").replace("_", " underscore ").replace("+", " plus ").replace("-", " dash ")
    return f"{name} at {found[2].replace('.', ' dot ')}"


def _dotted(found: re.Match[str]) -> str:
    return found[0].replace(".", " dot ")


def _path(found: re.Match[str]) -> str:
    stop = "." if found[0].endswith(".") else ""
    path = found[0].rstrip("./") if len(found[0]) > 1 else found[0]
    said = re.sub(r"^~", "tilde ", path).replace("/", " slash ")
    return re.sub(r"\.(?=\w)", " dot ", said).replace("..", "dot dot").replace(". ", "dot ").strip() + stop


def _backslashes(found: re.Match[str]) -> str:
    return f"{found[1]} colon backslash " + found[2].replace("\\", " backslash ")


# --- abbreviations ------------------------------------------------------------------------------------------------------------------------


def _abbreviation(found: re.Match[str]) -> str:
    said = ABBREVIATIONS[found[1]]
    return said + ("." if _at_end(found) and found[1] not in NO_END and not said.endswith(".") else "")


def _initials(found: re.Match[str]) -> str:
    return found[0].replace(".", "") + ("." if _at_end(found) else "")


def _numbered(found: re.Match[str]) -> str:
    return NUMBERED[found[1]] + " "


_NAME_BEFORE = re.compile(
    r"(?:\b(?!(?:The|A|An|This|That|Our|My|Your|His|Her|Their|I|Is|Ask|See|Call|Tell|Dear|And|"
    r"But)\b)[A-Z][\w'’-]*\.?|"
    r"\d+(?:st|nd|rd|th))\s$"
)
_ADDRESS_BEFORE = re.compile(
    r"(?:\d+[A-Z]?\s(?:[NSEW]\.?W?\s)?|\b(?:on|onto|at|down|along|of|off|to|from|near|and|cross|up|toward|towards|turn|take|"
    r"follow)\s(?:the\s)?)(?:[A-Z0-9][\w'’.-]*\s){1,4}$"
)


def _street_or_title(found: re.Match[str]) -> str:
    """Reads "Dr." and its like by their neighbours: after a name a street, before one a title."""
    short, before, after = found[1], found.string[: found.start()], found.string[found.end() :]
    named_before, named_after = bool(_NAME_BEFORE.search(before)), bool(re.match(r"\s[A-Z]", after))
    if short in STREETS and named_before and (not named_after or _ADDRESS_BEFORE.search(before)):
        # "on Main St. John met him": the dot may end the sentence, which reads well without it too.
        return STREETS[short] + ("." if _at_end(found) else "")
    if short in TITLES and named_after and (found[0].endswith(".") or short not in DOTTED_TITLES):
        return TITLES[short]
    if short in ("Dr", "St") and found[0].endswith(".") and not named_after and re.search(r"[a-z]\s$", before):
        return ("Doctor" if short == "Dr" else "Street") + ("." if _at_end(found) else "")
    return found[0]


_DIRECTIONS = {
    "N": "North",
    "S": "South",
    "E": "East",
    "W": "West",
    "NE": "Northeast",
    "NW": "Northwest",
    "SE": "Southeast",
    "SW": "Southwest",
}


def _direction(found: re.Match[str]) -> str:
    return _DIRECTIONS[found[1].replace(".", "")]


def _state(found: re.Match[str]) -> str:
    return STATES[found[1]] + (" " + spelled(found[2]) if found[2] else "")


def _established(found: re.Match[str]) -> str:
    return f"{'E' if found[1][0] == 'E' else 'e'}stablished "


# --- Roman numerals -----------------------------------------------------------------------------------------------------------------------

_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_NUMERAL = r"(?=[IVXLCDM]+\b)M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})"
_PARTS = (
    "World Wars?|Chapters?|Parts?|Acts?|Scenes?|Sections?|Volumes?|Vol\\.|Books?|Types?|Phases?|Stages?|Levels?|Episodes?|Super Bowl|Rocky|"
    "Apollo|Titles?|Articles?|Class(?:es)?|Grade|Schedules?|Tables?|Appendix|Annex|Tier|Category|Figure|Form|Division|Round|Group|Vatican|"
    "Final Fantasy|Rule|Amendment|Canto|Number|Unit|Act|Saturn|Quadrant|Factor|Step|Mark|Generation|Zone|Area|Option|"
    "Version|Series|Case|Opus"
)
_SURE_PARTS = re.compile(r"World War|Super Bowl|Rocky|Apollo|Vatican|Final Fantasy")
_GIVEN = (
    "Louis|Henry|Elizabeth|George|Charles|Edward|Richard|James|William|Philip|Nicholas|Catherine|Frederick|Alexander|Peter|Ivan|Napoleon|"
    "Benedict|John Paul|John|Pius|Gregory|Leo|Urban|Ramses|Ramesses|Mary|Robert|Thomas|Francis|Ferdinand|Alfonso|Carlos|Felipe|Juan|"
    "Gustav|Christian|Haakon|Harald|Margaret|Margrethe|Victoria|Wilhelm|Friedrich|Otto|Leopold|Albert|Baudouin|Innocent|Clement|Paul|"
    "Boniface|Sixtus|Julius|Ptolemy|Darius|Xerxes|Cyrus|Thutmose|Amenhotep|Seti|Theodore|Theodosius|Constantine|Justinian|Basil|"
    "Michael|David|Malcolm|Kenneth|Alexios|Mehmed|Murad|Selim|Suleiman|Ahmed|Hussein|Abdullah|Abdul Hamid|Mohammed|Hassan|Umberto|"
    "Victor Emmanuel|Emmanuel|Joseph|Franz Joseph|Rudolf|Maximilian|Matthias|Stephen|Sigismund|Stanislaw|Augustus|Pedro|Manuel|Afonso|"
    "Rama|Naruhito|Harold|Stephen|Davis Love|Love|Howell|Harry|Samuel|Martin|Walter|Arthur|Ernest|Daniel|Andrew|Anthony|Cornelius|Sancho"
)
_TITLED = (
    r"(?:King|Queen|Pope|Prince|Princess|Emperor|Empress|Tsar|Czar|Sultan|Kaiser|Duke|Pharaoh|Shah|Sir)\s[A-Z][a-z]+(?:\s[A-Z][a-z]+)?"
)
_LETTERS_ONLY = re.compile(
    r"\b(?:Malcolm|Generation|Gen|Vitamin|Plan|Brand|Mister|Mr|Agent|Professor|SpaceX|Planet|Factor|Type|Grade|Hepatitis|Appendix|Exhibit)$"
)
_NO_NUMERAL = {
    "DC",
    "CD",
    "MD",
    "MC",
    "DM",
    "CV",
    "MM",
    "CC",
    "LCD",
    "DI",
    "MI",
    "DIM",
    "MIX",
    "MILD",
    "XL",
    "XXL",
    "C",
    "D",
    "L",
    "M",
    "LL",
    "XC",
    "CIV",
    "LI",
    "CM",
    "MV",
    "DV",
}
_VERB_AFTER = re.compile(
    r"\s(?!(?:is|was|has|had|of|and|or|in|to|will|by|with|from|on|at|for|ended|began|started|begins|ends|deals|describes|covers|diabetes|"
    r"error|errors|trials?|survivors?|hypersensitivity|drugs?|device|devices|memorial|veterans?|hero|came|took|saw|killed|"
    r"brought|changed|broke|"
    r"lasted|clinical|cancer|fun|site|football|team|school|offense|felony|substances?|through|ruled|reigned|died|married|"
    r"became|wrote said)\b)[a-z]"
)


def _roman(numeral: str) -> int:
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def _is_pronoun(found: re.Match[str], numeral: str, name: str) -> bool:
    """True of an I that speaks of the speaker: "the Book I read"."""
    after = found.string[found.end() :]
    if numeral != "I":
        return False
    if re.match(r"['’](?:m|ve|d|ll)\b", after):
        return True
    determined = re.search(
        r"\b(?:the|a|an|this|that|every|each|any|which|what|same|only|first|last|my)\s$", found.string[: found.start()], re.IGNORECASE
    )
    speaking = re.match(
        r"\s(?:am|was|have|had|do|did|think|read|want|like|love|need|know|mean|saw|see|wrote|chose|use|used|will|would|can|"
        r"could|got|made|found|bought|said)\b",
        after,
    )
    if _SURE_PARTS.match(name):
        return False
    return bool(
        (determined and _VERB_AFTER.match(after)) or (speaking and (determined or not re.match(r"\s(?:was|had|will|saw)\b", after)))
    )


def _part(found: re.Match[str]) -> str:
    name, numerals = found[1], found[2]
    first = re.match(r"[IVXLCDM]+", numerals)
    if (
        not first
        or _is_pronoun(found, numerals, name)
        or any(each in {"C", "D", "L", "M", "CD", "DC"} for each in re.findall(r"[IVXLCDM]+", numerals))
    ):
        return found[0]
    said = re.sub(r"[IVXLCDM]+", lambda each: cardinal(str(_roman(each[0]))), re.sub(r" ?[-–] ?", " to ", numerals))
    return f"{name} {said}"


def _ruler(found: re.Match[str]) -> str:
    if found[2] == "X" and found[1] == "Malcolm" or _is_pronoun(found, found[2], found[1]) or found[2] in _NO_NUMERAL:
        return found[0]
    return f"{found[1]} the {ordinal(_roman(found[2]))}"


def _after_name(found: re.Match[str]) -> str:
    """Reads numerals of two letters and more after any name, as a number of a series."""
    if found[2] in _NO_NUMERAL or _LETTERS_ONLY.search(found[1]):
        return found[0]
    return f"{found[1]} {cardinal(str(_roman(found[2])))}"


def _century(found: re.Match[str]) -> str:
    return f"{ordinal(_roman(found[1]))} {found[2]}"


# --- acronyms and slashes -----------------------------------------------------------------------------------------------------------------


def _letters_of_word(found: re.Match[str]) -> str:
    """Spells acronyms that are words too, unless all of the clause is in capitals."""
    return " ".join(found[0]) if re.search(r"[a-z]{2}", found.string) else found[0]


def _hashtag(found: re.Match[str]) -> str:
    return "hashtag " + re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[1])


def _camel(found: re.Match[str]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", found[0])


_PUNCTUATED = _any(ABBREVIATIONS)

ADDRESSES: Steps = (
    (re.compile(r"<\s?([a-zA-Z][a-zA-Z+]*:[^<>\s]+|[\w.+-]+@[\w.-]+)\s?>"), r"\1"),
    (re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://([\w.-]+)(?:[/:?#][^\s<>\"')\]]*)?"), _host),
    (re.compile(r"\b([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)"), _mail),
    (re.compile(rf"\b((?:[a-zA-Z0-9][\w-]*\.)+(?:{TOP_LEVELS}))(?:/[^\s<>\"')\]]*)?(?![\w.-]*\w)"), _host),
)
"""In every language."""

CODE: Steps = (
    (re.compile(r"\b([A-Z]):\\([\w\\.-]*)"), _backslashes),
    (re.compile(r"(?<![\w/.<:)])(?:~|\.{1,2})?/(?:[\w.@-]+/)*[\w.@-]*\w/?\.?(?!\w)"), _path),
    (re.compile(rf"\b[\w-]+(?:/[\w.-]+)*/[\w.-]+\.(?:{ENDINGS}|[a-z]\w?)\b|\b[\w-]+(?:/[\w.-]+)+/[\w-]+\.[a-z]\w{{0,4}}\b"), _path),
    (re.compile(r"\b(?:src|lib|usr|etc|bin|var|tmp|home|docs|tests?|node_modules|app)/[\w./-]*\w"), _path),
    (re.compile(rf"\b[a-zA-Z][\w-]*\.(?:{ENDINGS})\b(?:\.(?:{ENDINGS})\b)?"), _dotted),
    (re.compile(r"(?<![\w.])[a-z_]\w+(?:\.[a-z_]\w*){2,}(?:\(\))?(?![\w.])|(?<![\w.])[a-z_]\w+\.[a-z_]\w*(?=\()"), _dotted),
    (re.compile(r"(?:(?<=ASP)|(?<![\w.]))\.(?=NET\b|[a-z]{2,12}\b)"), " dot "),
    (re.compile(r"(?<!\w)([A-GJQX])#(?!\w)"), r"\1 sharp"),
    (re.compile(r"(?<=[A-Ga-z])\+\+"), " plus plus"),
    (re.compile(r"(?<=\w)--(?=\W|$)(?<=i--)"), " minus minus"),
    (re.compile(r"(?<!\w)([ru])/(?=[A-Za-z]\w)"), r"\1 slash "),
    (re.compile(r"#(?=(?:include|define|ifdef|ifndef|endif|pragma|else)\b)"), ""),
    (re.compile(r"(?<![\w&])#([A-Za-z]\w+|\d+[A-Za-z]{3}\w*)"), _hashtag),
    (re.compile(r"(?<=\w)<(\w+(?:,\s?\w+)*)>(?!\w)|<([\w-]+(?:[./][\w-]+)+)>"), r" \1\2"),
    (re.compile(r"\b[a-z]{2,}\d?(?:[A-Z][a-z]+\d?)+\b"), _camel),
)

WORDS: Steps = (
    (
        re.compile(
            r"(?<!\w)(N|S|E|W|NE|NW|SE|SW|N\.[EW]|S\.[EW])\.(?=\s(?:[A-Z][a-z]|\d+(?:st|nd|rd|th)))(?<=\d\s\w\.)|"
            r"(?<=\d\s)([NSEW])\b(?=\s[A-Z][a-z])"
        ),
        lambda found: _DIRECTIONS[(found[1] or found[2]).replace(".", "")],
    ),
    (re.compile(r"\b([Ee]st)\.?\s(?=(?:1[5-9]|20)\d\d\b)"), _established),
    (re.compile(rf"(?<![\w.])({_any(NUMBERED)})\.\s?(?=#?\d)(?<!\bp\.m\. )"), _numbered),
    (re.compile(r"(?<![\w.])(Apt|Ste|Bldg|Rm|Unit)\b\.?\s(?=#?[A-Z]?\d|[A-Z]\b)"), lambda found: NUMBERED.get(found[1], found[1]) + " "),
    (re.compile(r"(?<!\w)#(?=\d)|№\s?(?=\d)"), "number "),
    (re.compile(rf"(?<![\w.])({_any({*STREETS, *TITLES})})(?:\.(?=\W|$)|\b(?=[\s,]|$))"), _street_or_title),
    (re.compile(rf"(?<![\w./\\-])(?<!\d[ -])(?<!slash )(?<!\d)({_PUNCTUATED})(?!\w)"), _abbreviation),
    (re.compile(r"(?<![\w.])(?:[A-Z]\.){2,}"), _initials),
    (re.compile(r"(?<![\w.])([A-Z])\.(?=\s[A-Z][\w.])(?<!I\.)(?<!\d [A-Z]\.)"), r"\1"),
    (
        re.compile(
            rf"(?<=[a-z],\s)(?<!\bOh, )({_any(set(STATES) - {'OK', 'HI', 'MD', 'MA'})})\b(?:\s(\d{{5}}(?:-\d{{4}})?)\b|(?=[,.;:!?)]|\s?$|"
            r"\s(?:and|to|on|in|is|was|for|at)\b))"
        ),
        _state,
    ),
    (
        re.compile(
            rf"\b({_PARTS}) ({_NUMERAL}(?:(?:, (?:and )?| and | or | to | of | & |[-–])(?=[IVXLCDM]+\b){_NUMERAL})*)\b(?![.'’]\w|"
            r"-\w)"
        ),
        _part,
    ),
    (
        re.compile(
            r"\b(section|chapter|part|act|volume|phase|stage|type|level|book|article|title|appendix|episode) ((?=[IVX]{2}|"
            r"V\b|I(?=[.;:)]|$))[IVX]+)\b(?!['’]\w|-\w)"
        ),
        _part,
    ),
    (re.compile(rf"\b({_GIVEN}) (I)(?=\s?[.;:!?)]|\s?$|\s(?:of|ruled|reigned)\b|\s[A-Z][a-z])"), _ruler),
    (re.compile(r"\bWW(?:(I{1,3})|([123]))\b"), lambda found: f"World War {cardinal(found[2] or str(len(found[1])))}"),
    (re.compile(rf"\b({_TITLED}) ({_NUMERAL})\b(?!['’](?:m|ve|d|ll)\b)"), _ruler),
    (re.compile(rf"\b((?:{_GIVEN})(?:\s(?:[A-Z]\.?|[A-Z][a-z]+))?) ((?=[IVX]{{2}}|V\b|X\b)[IVX]+)\b(?<!\bJohn V)"), _ruler),
    (re.compile(r"\b([A-Z][\w'’]+|OS|[A-Z]{2,}) ((?=[IVX]{2}|V\b)[IVX]{1,6})\b(?!['’]\w|-\w)"), _after_name),
    (re.compile(r"\b([IVX]+)(?:th)? (centur(?:y|ies))\b"), _century),
    (
        re.compile(
            r"\bIT\b(?!['’]|\s(?:IS|WAS)\b)|(?<=\b[Tt]he )WHO\b|\bWHO(?=['’]s|\s(?:guidelines|report|director|"
            r"official))"
        ),
        _letters_of_word,
    ),
)
"""While the numbers are still digits."""

_EITHER_LETTER = r"(?<![A-Za-z])(?:[A-Z]|[A-Z]{2,}s?)"

PER_LETTER = {"m": "month", "h": "hour", "w": "week", "a": "year"}

SIGNS_LEFT: Steps = (
    (re.compile(r"(?<=[a-z])/or\b"), " or"),
    (re.compile(r"(?<=[a-z]\s)([a-z]+s?)/(s|h|min)\b"), lambda found: f"{found[1]} per {RATES[found[2]]}"),
    (re.compile(r"\b([Ss])/he\b"), r"\1he"),
    (re.compile(r"\bp/([mhwa])\b"), lambda found: f"per {PER_LETTER[found[1]]}"),
    (re.compile(r"\b(km|mi|m)/(h|s)\b"), lambda found: f"{UNITS[found[1]][1]} per {RATES[found[2]]}"),
    (re.compile(r"\b([A-Z]{1,6})/([A-Z]{1,6})(?:/([A-Z]{1,6}))?\b"), lambda found: " ".join(part for part in found.groups() if part)),
    (re.compile(r"(?<=\w)/(?=\w)|(?<=\w)\s/\s(?=\w)"), " or "),
    (re.compile(r"/"), " "),
    (re.compile(r"={3,}|[★☆]"), " "),
    (
        re.compile(
            r"(?:^|(?<=[\s(\"]))(?:<|&lt;)\s?(?=(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twel|thir|fif|twen|"
            r"for|a\b|minus))"
        ),
        " less than ",
    ),
    (re.compile(r"(?:^|(?<=[(\"]))>\s?(?=\w)"), " more than "),
    (re.compile(_any(SIGNS)), lambda found: f" {SIGNS[found[0]]} "),
)
"""After the numbers are words."""
