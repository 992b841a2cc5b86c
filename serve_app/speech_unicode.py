"""One form for each character: text that looks equal becomes equal, whatever program wrote it."""

from __future__ import annotations

import re
import unicodedata

_APOSTROPHE = dict.fromkeys("’‘‛ʼʹʻʽˈ′＇՚ꞌ", "'")
_QUOTES = {"“": '"', "”": '"', "„": '"', "‟": '"', "″": '"', "＂": '"', "«": '"', "»": '"'}
_DASHES = {"‐": "-", "‑": "-", "−": "-", "﹣": "-", "－": "-", "‒": "–", "⁃": "-", "―": "—", "﹘": "—"}
_PLAIN = str.maketrans({**_APOSTROPHE, **_QUOTES, **_DASHES, "…": "...", "ı": "i", "İ": "I", "ſ": "s"})
_ACCENT_AS_APOSTROPHE = re.compile(r"(?<=[^\W\d_])[`´](?=[^\W\d_])")
_UNUSUAL = re.compile(r"[^\n\t -~]")
_KEYCAP = re.compile(r"([0-9#*])\ufe0f?\u20e3")
_COMPATIBLE = (
    (0x2000, 0x200A),  # spaces of all widths
    (0x2100, 0x214F),  # letters as signs: ℃ № ℝ
    (0x2160, 0x217F),  # Roman numerals
    (0x2460, 0x24FF),  # letters and numbers in circles
    (0x3000, 0x3000),  # the wide space
    (0x3300, 0x33FF),  # units in one square: ㎏
    (0xFB00, 0xFB06),  # ligatures
    (0xFF10, 0xFF19), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A),  # wide digits and letters
    (0x1D400, 0x1D7FF),  # mathematical letters and digits
    (0x1F110, 0x1F169),  # letters in squares
)  # fmt: skip
"""Blocks whose characters are others in a dress. Superscripts and fractions mean something else than their digits, and stay."""
_STAYS = set("™℠℡℻")
_JOINERS = "\u200c\u200d"
_KEPT = set("\n\t\u20e3\ufe0e\ufe0f\ue000" + _JOINERS)
"""Marks of emoji among them, which are taken for what they are later, and our own mark of a clause's border (speech_identifiers.py)."""
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """The text composed (NFC), with one sort of apostrophe, quote, minus and space, with letters and digits in their plain form, and
    without what nobody sees."""
    if not _UNUSUAL.search(text):
        return _ACCENT_AS_APOSTROPHE.sub("'", text)
    text = _KEYCAP.sub(r"\1", "".join(map(_dressed_down, unicodedata.normalize("NFC", text.replace("\r\n", "\n")))))
    text = _ACCENT_AS_APOSTROPHE.sub("'", text.translate(_PLAIN))
    return unicodedata.normalize("NFC", "".join(_seen(text)))


def is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha() or (char.isalpha() and unicodedata.name(char, "").startswith("LATIN "))


def _dressed_down(char: str) -> str:
    if char == "№":
        return "No."
    code = ord(char)
    if code < 0x2000 or char in _STAYS or not any(first <= code <= last for first, last in _COMPATIBLE):
        return " " if char == "\u00a0" else char
    return unicodedata.normalize("NFKC", char)


def _seen(text: str) -> list[str]:
    kept: list[str] = []
    after = ""
    for char in text:
        kind = unicodedata.category(char)
        if char in _KEPT:
            # Between Latin letters a joiner joins nothing; in other scripts it is part of the spelling.
            if not (char in _JOINERS and is_latin(after)):
                kept.append(char)
        elif kind in _UNSEEN:
            if kind in ("Zl", "Zp") or char in "\r\f\v":
                kept.append("\n")
        elif kind == "Zs":
            kept.append(" ")
        elif kind in ("Mn", "Me") and is_latin(after):
            pass  # no letter of any language: strokes and the like
        else:
            kept.append(char)
            after = char
    return kept
