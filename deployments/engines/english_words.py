"""What an English voice can say of a text, and which of its words in capitals are words and which are letters."""

from __future__ import annotations

import logging
import re
import unicodedata
from typing import TYPE_CHECKING

from serve_app.speech_unicode import is_latin, plain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

log = logging.getLogger(__name__)

# --- what can be said ---------------------------------------------------------------------------------------------------------------------

_KNOWN = re.compile(r"[a-z0-9\s;:,.!?—–…\"“”()'&%@+/$£€-]", re.IGNORECASE)
_PUNCTUATION = str.maketrans("，、。．！？；：「」『』（）؟،؛।॥", ',,..!?;:""""()?,;..')
_GREEK = {
    **dict(zip("αβγδεζηθικλμ", "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split(), strict=True)),
    **dict(zip("νξοπρσςτυφχψω", "nu xi omicron pi rho sigma sigma tau upsilon phi chi psi omega".split(), strict=True)),
}
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТХУаеѕіјорсухΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορτυχ",
    "ABESIJKMHOPCTXYaesijopcyxABEZHIKMNOPTYXaiknoptyx",
)
"""Letters of Cyrillic and Greek that somebody took for Latin ones."""
_BASES = str.maketrans(
    {"Đ": "D", "ɖ": "d", "Ɖ": "D", "ə": "e", "Ə": "E", "ɛ": "e", "ɔ": "o", "Ɔ": "O", "Ŋ": "Ng", "Ħ": "H", "Ŧ": "T", "Ł": "L"}
)
_TIDY = (
    (re.compile(r"\(\s*[,;:.]*\s*\)|\"\s*\"|“\s*”|(?<!\S)['-]+(?!\S)"), " "),
    (re.compile(r"\s+(?=[,.;:!?)])"), ""),
    (re.compile(r"(?<=\()\s+"), ""),
    (re.compile(r"[,;:]+(?=[.!?])"), ""),
    (re.compile(r"([,;:])[,;:]+"), r"\1"),
    (re.compile(r"^[\s,.;:!?)-]+"), ""),
    (re.compile(r"\s+"), " "),
)


def sayable(text: str) -> str:
    """The text without words of other scripts and without signs, which espeak-ng would read by their names. What is left out is told in
    the log, not which words they were."""
    if not _UNUSUAL.search(text):
        return text
    text = _RAISED.sub(lambda found: f" {''.join(str(unicodedata.digit(char)) for char in found[0])} ", plain(text).translate(_PUNCTUATION))
    parts = re.split(r"(\s+)", text)
    greek = any(len(run) > 1 for run in _GREEK_RUN.findall(text))
    left_out: set[str] = set()
    said = "".join(part if part.isspace() else _word(part, greek, left_out) for part in parts)
    if left_out:
        log.debug("left out, because no English voice can say it: %s", ", ".join(sorted(left_out)))
    for pattern, instead in _TIDY:
        said = pattern.sub(instead, said)
    return said.strip()


_UNUSUAL = re.compile(r"[^a-zA-Z0-9\s;:,.!?—…\"“”()'&%@+/$£€-]")
_RAISED = re.compile(r"[⁰¹²³⁴-⁹₀-₉]+")
_GREEK_RUN = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]+")


def _word(word: str, greek: bool, left_out: set[str]) -> str:
    """Of what stands between two spaces. `greek`: there are whole words of Greek, so that its letters are no symbols."""
    latin = any(is_latin(char) for char in word)
    if latin and (folded := word.translate(_LOOKALIKES)) != word and all(is_latin(char) or not char.isalpha() for char in folded):
        # A word of two scripts is one that looks Latin. But of one that holds a single Greek letter, that is a symbol (Δt).
        word = word if len(_GREEK_RUN.findall(word)) == 1 and len(_GREEK_RUN.findall(word)[0]) == 1 and not greek else folded
    said = ""
    for char in word:
        if is_latin(char) or _KNOWN.match(char):
            said += char
        elif char.lower() in _GREEK and not greek:
            said += f" {_GREEK[char.lower()]} "
        else:
            said += " "
            if char.isalpha():
                left_out.add(unicodedata.name(char, "an unknown script").split()[0].lower())
    return " ".join(_accented(part) for part in said.split(" "))


def _accented(word: str) -> str:
    """With the accents that espeak-ng reads within words; others it names, and in capitals all of them."""
    if word.isascii():
        return word
    letters = [char for char in word if char.isalpha()]
    if len(letters) == 1:
        return _bare(word)
    if all(char.isupper() for char in letters):
        word = word.lower()
    return "".join(char if char.isascii() or "\u00c0" <= char.lower() <= "\u017e" and char not in "ĿŀŊĦŦ" else _bare(char) for char in word)


def _bare(text: str) -> str:
    kept = "".join(char for char in unicodedata.normalize("NFD", text.translate(_BASES)) if not unicodedata.combining(char))
    return "".join(char for char in kept if is_latin(char) and (char.isascii() or "\u00c0" <= char <= "\u017e") or not char.isalpha())


# --- words or letters ---------------------------------------------------------------------------------------------------------------------

PRONOUNCED = {
    # Titles.
    "Ms": "mˈɪz", "Mx": "mˈɪks", "Mt": "mˈWnt", "Jr": "ʤˈunjəɹ", "Sr": "sˈinjəɹ", "Sgt": "sˈɑɹʤənt", "Capt": "kˈæptən", "Lt": "lutˈɛnənt",
    "Gov": "ɡˈʌvəɹnəɹ", "Prof": "pɹəfˈɛsəɹ", "Messrs": "mˈɛsəɹz",
    # Letters that are said as a word.
    "JSON": "ʤˈAsən", "YAML": "jˈæmᵊl", "TOML": "tˈɑmᵊl", "CUDA": "kˈudə", "IKEA": "ˌIkˈiə", "CAPTCHA": "kˈæpʧə", "LIDAR": "lˈIdˌɑɹ",
    "LiDAR": "lˈIdˌɑɹ", "VoIP": "vˈYp", "VOIP": "vˈYp", "SaaS": "sˈæs", "PaaS": "pˈæs", "IaaS": "ˈIˌæs", "OAuth": "ˈOˌɔθ", "NaN": "nˈæn",
    "WYSIWYG": "wˈɪziwˌɪɡ", "POSIX": "pˈɑzɪks", "SCSI": "skˈʌzi", "GUID": "ɡwˈɪd", "CMOS": "sˈimˌɔs", "FIFO": "fˈIfˌO", "LIFO": "lˈIfˌO",
    "IEEE": "ˌI tɹˌɪpᵊl ˈi", "HIPAA": "hˈɪpə", "FEMA": "fˈimə", "ASEAN": "ˈɑsiˌɑn", "PETA": "pˈitə", "NICU": "nˈɪkjˌu", "TOEFL": "tˈOfᵊl",
    "EBITDA": "ˈibɪtdˌɑ", "LoRA": "lˈɔɹə", "LLaMA": "lˈɑmə", "Qwen": "kwˈɛn", "Nginx": "ˌɛnʤənˈɛks", "nginx": "ˌɛnʤənˈɛks",
    "NGINX": "ˌɛnʤənˈɛks", "README": "ɹˈidmˌi", "TODO": "tədˈu", "MoMA": "mˈOmə", "FAANG": "fˈæŋ", "USAID": "jˌuˌɛsˈAd",
    "WIFI": "wˈIfˌI", "json": "ʤˈAsən", "yaml": "jˈæmᵊl", "IPv": "ˌIpˌivˈi", "faq": "ˌɛfˌAkjˈu", "Faq": "ˌɛfˌAkjˈu", "ios": "ˌIOˈɛs",
    "idk": "ˌIdˌikˈA", "PostgreSQL": "pˈOstɡɹɛskjˌuˌɛl",
    # Words without a vowel.
    "Ng": "ˈɛŋ", "sh": "ʃ", "shh": "ʃ", "shhh": "ʃ", "brr": "bˈɜɹ", "brrr": "bˈɜɹ", "grr": "ɡˈɜɹ", "grrr": "ɡˈɜɹ", "zzz": "zz",
    "Sh": "ʃ", "Shh": "ʃ", "Shhh": "ʃ", "Brr": "bˈɜɹ", "Brrr": "bˈɜɹ", "Grr": "ɡˈɜɹ", "Grrr": "ɡˈɜɹ", "Zzz": "zz",
    "pls": "plˈiz", "Pls": "plˈiz",
}  # fmt: skip
"""Words that misaki spells out, in its phonemes for American English."""
_TO_BRITISH = (("ɑɹ", "ɑː"), ("ɔɹ", "ɔː"), ("əɹ", "ə"), ("i", "iː"), ("u", "uː"), ("ɔː", "ɔː"), ("O", "Q"), ("æ", "a"))

FUNCTION_WORDS = frozenset(
    "a all am an and any are as at be been but by can could did do does down for from get go got had has have he her him his how i if in "
    "is it its let made make may me might must my near no nor not now of off on or our out over own per put shall she should so some than "
    "that the their them then there these they this those to too under up us very was we were what when where which while who whose why "
    "will with won would yes you your".split()
)
CONTENT_WORDS = frozenset("act add ah aid cap cod dab dew dip elf hi led oh rip sat".split())
"""What misaki spells out when it is tagged as a noun."""
INITIALISMS = frozenset("AD AG AWS BA BO CIS COO DA ER EST ETA GI ID IP LA MA MI MO MOD OD OS PA PO SEC SI TA UI UX VS".split())
"""Always letters, though misaki knows words like these, or takes them for some."""
LETTERS_ALONE = frozenset(("AM", "IT", "LED", "PM", "US", "WHO"))
"""Initialisms as often as words: where nothing tells, letters."""
STATES = frozenset(("HI", "IN", "ME", "OH", "OR"))
_ARTICLES = frozenset(("a", "an", "the"))
_OWNERS = frozenset(("our", "your", "their", "my", "his", "her", "its"))
_AFTER_IT = frozenset(
    "admin admins administrator budget company consultant department desk director employees engineer expert experts guy help helpdesk "
    "industry infrastructure issues job jobs manager people policy problems professional professionals project projects security sector "
    "services skills specialist staff support system systems team teams technician worker workers".split()
)
_BEFORE_IT = frozenset("do did done got get want made make love hate stop say said".split())
_BEFORE_US = frozenset("ask beat give help join send show tell trust".split())
_AFTER_US = frozenset("the a an your to what how why more some all".split())
_AFTER_WHO = frozenset("am are can could did do does had has have he i is knows she should the they was we were will would you".split())
_NUMBER = re.compile(r"(?:^|.*-)(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|o'clock|\d+)$")


def pronounced(british: bool) -> dict[str, str]:
    """`PRONOUNCED` in the accent."""
    return {word: _british(phonemes) if british else phonemes for word, phonemes in PRONOUNCED.items()}


def _british(phonemes: str) -> str:
    for american, british in _TO_BRITISH:
        phonemes = phonemes.replace(american, british)
    return phonemes.replace("ːː", "ː")


def in_capitals(words: Sequence[str], dictionary: Collection[str]) -> dict[int, bool]:
    """Tells of words in capitals whether they are words (True) or letters, by their places; of others nothing.

    `words`: with punctuation as words of its own. `dictionary`: of words, and of
    those that are known in capitals as such. In a sentence that is all in capitals, words are words; in
    another one a function word in capitals stands out, unless it has an article, and some words are initialisms more often.
    """
    letters = [word for word in words if word.isalpha() and len(word) > 1]
    shouted = sum(map(str.isupper, letters)) > 1 and all(map(str.isupper, letters))
    shouted = shouted and any(word.lower() in dictionary and word not in LETTERS_ALONE for word in letters)
    told: dict[int, bool] = {}
    for at, word in enumerate(words):
        before, after = words[max(0, at - 2) : at], words[at + 1 : at + 3]
        if word == "A" and not shouted and _is_letter_a(before, after):
            told[at] = False
        elif len(word) > 1 and word.isalpha() and word.isupper():
            reading = _reading(word, before, after, shouted, len(letters) == 1, dictionary)
            if reading is not None:
                told[at] = reading
    return told


def _is_letter_a(before: Sequence[str], after: Sequence[str]) -> bool:
    """ "Plan A is", "an A plus"; not "A man", "Once Upon A Time"."""
    following = after[0] if after else ""
    if not before or not (before[-1].isalpha() or before[-1] == "-"):
        counted = bool(_NUMBER.match(following)) and not (len(after) > 1 and (after[1].isalpha() or after[1] == "-"))  # A1
        return not following.isalpha() or counted or following in ("plus", "minus")
    return not (following[:1].isupper() and len(following) > 1)


def _reading(
    word: str, before: Sequence[str], after: Sequence[str], shouted: bool, alone: bool, dictionary: Collection[str]
) -> bool | None:
    joined = len(after) > 1 and after[0] == "and" and len(after[1]) == 1 and after[1].isupper()
    if word in INITIALISMS or joined:  # AT and T
        return False
    lower = [one.lower() for one in before], [one.lower() for one in after]
    return _shouted(word, *lower, dictionary) if shouted else _standing_out(word, *lower, alone, dictionary)


def _shouted(word: str, before: list[str], after: list[str], dictionary: Collection[str]) -> bool | None:
    last = before[-1] if before else ""
    if word in ("AM", "PM") and _NUMBER.match(last):
        return False
    if word in ("US", "WHO") and last == "the" or word == "IT" and (last in _ARTICLES | _OWNERS or after and after[0] in _AFTER_IT):
        return False
    if word.lower() in FUNCTION_WORDS | CONTENT_WORDS:
        return True
    return True if len(word) > 5 and word.lower() not in dictionary and set(word) & set("AEIOUY") and word not in PRONOUNCED else None


def _standing_out(word: str, before: list[str], after: list[str], alone: bool, dictionary: Collection[str]) -> bool | None:
    last, following = before[-1] if before else "", after[0] if after else ""
    ends = following in ("", ".", "!", "?", ",", ";")
    if word in ("AM", "PM") and _NUMBER.match(last):
        return False
    if alone and word in LETTERS_ALONE:
        return word == "WHO" and following == "?"
    match word:
        case "IT":
            return following not in _AFTER_IT and (last in _BEFORE_IT or (last in ("'s", "is", "was") and ends))
        case "US":
            return last == "let" or (last in _BEFORE_US and (ends or following in _AFTER_US))
        case "WHO":
            return last != "the" and (following in _AFTER_WHO or following == "?")
        case "AM" | "PM" | "LED":
            return None
    if len(word) <= 4 and word not in dictionary and word.lower() not in dictionary:
        return False
    if word.lower() not in FUNCTION_WORDS and not (alone and word.lower() in CONTENT_WORDS):
        return None
    if last in _ARTICLES or (last == "," and word in STATES and ends):
        return None if last in _ARTICLES else False
    return True
