"""Languages as clients name them -> tags, and whether an engine knows them.

Clients give BCP 47 tags (`en-US`), codes of three letters (`eng`) or English names (`english`, as Whisper's do). Engines say what they know
by primary tags; an engine that does not say is asked for anything.
"""

import re
from collections.abc import Iterable
from functools import cache

from serve_app.errors import SparkvoxError

TAG = re.compile(r"[a-z]{2,3}(?:[-_][a-z0-9]{1,8})*", re.IGNORECASE)
TO_BE_FOUND = ("", "auto", "detect", "und", "mul", "multilingual")
"""What clients write who leave it to the engine."""
_SAME = ({"no", "nb"}, {"tl", "fil"}, {"jv", "jw"}, {"he", "iw"}, {"zh", "cmn"}, {"id", "in"})
"""Tags of one language, as far as engines are concerned."""
_OTHER_NAMES = {"castilian": "es", "flemish": "nl", "mandarin": "zh", "farsi": "fa", "moldavian": "ro", "valencian": "ca"}


class UnknownLanguage(SparkvoxError):
    """No language, or none that the engine knows. Its sentence names those that it does."""


def primary(tag: str) -> str:
    """`en` of `en-US`."""
    return tag.replace("_", "-").partition("-")[0].lower()


def tag_of(given: str | None) -> str | None:
    """The tag of a language; None where it is left to the engine. Raises `UnknownLanguage`."""
    text = (given or "").strip()
    if text.lower() in TO_BE_FOUND:
        return None
    if (named := _names().get(text.lower())) is not None:
        return named
    if not TAG.fullmatch(text):
        raise UnknownLanguage(f"{text[:100]!r} is no language; write a tag like en or pt-BR, or an English name")
    from babel.core import get_global

    first = primary(text)
    short = get_global("language_aliases").get(first, first) if len(first) == 3 else first
    return short + text[len(first) :].replace("_", "-")


def known(given: str | None, languages: Iterable[str] | None, who: str) -> str | None:
    """As `tag_of`, where `languages` (None: nobody knows) are those of an engine; in `who`'s spelling where it has another one of the same.
    `who`: the engine, for the sentence of `UnknownLanguage`."""
    tag = tag_of(given)
    if tag is None or languages is None:
        return tag
    spoken = {primary(one): one for one in languages}
    for first in (primary(tag), *_same(primary(tag))):
        if first in spoken:
            return first + tag[len(primary(tag)) :]
    raise UnknownLanguage(f"the {who} here does not know the language {given!r}; it knows {', '.join(sorted(spoken))}")


def _same(tag: str) -> set[str]:
    return next((same for same in _SAME if tag in same), set())


@cache
def _names() -> dict[str, str]:
    """Tags by English name, in small letters."""
    from babel import Locale

    english = Locale("en").languages
    return {name.lower(): tag.replace("_", "-") for tag, name in english.items()} | _OTHER_NAMES
