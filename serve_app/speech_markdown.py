"""Markdown as it would be read aloud: the words, without the marks; code is not read."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_NUMBERING = 2
"""Digits of a list's number: "2024. What a year" is no list."""

CELL_END = ", "

_TAG = re.compile(r"<[^<>]*>")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_NUMBERED = re.compile(rf"^\s*\d{{{LONGEST_NUMBERING + 1},}}(?=[.)]\s)")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_ENDED = re.compile(r"[.!?…:;,—][\"'”’)]*$")
_BLOCK_ENDS = {"paragraph_close", "heading_close", "tr_close"}
_SPOKEN_LEAVES = {"text", "code_inline", "text_special"}


class CodeFilter:
    """Drops fenced code from a text that comes clause by clause, where a clause may hold any part of a block."""

    def __init__(self) -> None:
        self._in_code = False

    def feed(self, clause: str) -> str:
        """The lines of the clause that are not code."""
        kept = []
        for line in clause.splitlines(keepends=True):
            if _FENCE.match(line):
                self._in_code = not self._in_code
            elif not self._in_code:
                kept.append(line)
        return "".join(kept)


def without_markdown(text: str) -> str:
    """Blocks end like sentences; links and pictures give their words."""
    # The start of a clause is no start of a line of code, and a year before a full stop is no list.
    flat = _INDENT.sub("", text)
    flat = _NUMBERED.sub(lambda found: f"{found[0]}\\", flat)
    spoken, block_ended = "", False
    for piece in _read(_parser().parse(flat)):
        if piece == "\n":
            spoken, block_ended = spoken.removesuffix(CELL_END), True
            continue
        if block_ended and spoken:
            spoken += " " if _ENDED.search(spoken) else ". "
        spoken, block_ended = spoken + piece, False
    return spoken.strip()


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def _read(tokens: Sequence[Token]) -> Iterator[str]:
    """Pieces of text; a newline ends a block."""
    for token in tokens:
        if token.type == "inline":
            yield from _read(token.children or [])
        elif token.type == "image":
            yield token.content
        elif token.type in _SPOKEN_LEAVES:
            yield token.content
        elif token.type == "html_block":
            yield _TAG.sub(" ", token.content)
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type in ("td_close", "th_close"):
            yield CELL_END
        elif token.type in _BLOCK_ENDS:
            yield "\n"
