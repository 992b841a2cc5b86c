"""Markdown as it would be read aloud: the words, without the marks; code is not read."""

from __future__ import annotations

import functools
import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST_NUMBERING = 2
"""Digits of a list's number: "2024. What a year" is no list."""

CELL_END = ", "

LONGEST_FENCE = 7
"""Tildes; more of them are a ruler."""

_ELEMENTS = (
    "a|abbr|address|article|aside|audio|b|bdi|bdo|blockquote|body|br|button|canvas|caption|center|cite|code|col|colgroup|dd|del|details|"
    "dfn|div|dl|dt|em|embed|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|legend|li|link|"
    "main|mark|meta|nav|noscript|object|ol|optgroup|option|p|picture|pre|q|rp|rt|ruby|s|samp|script|section|select|small|source|span|"
    "strike|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|var|video|wbr|"
    "think|thinking|reasoning|tool_call|tool_response|answer"  # of language models
)
_FLAGS = "async|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|open|readonly|required|selected"

_ATTRIBUTE = rf"""\s+(?:[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'=<>`]+)|{_FLAGS})"""
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:{_ATTRIBUTE})*\s*/?>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_BREAKING = re.compile(r"</?(?:br|p|div|li|tr|td|th|h[1-6]|hr)\b", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"(?<!\w)<([^\W\d_][\w'-]*(?: [\w'-]+){0,3})>(?!\w)")
"""Or a tag: "Dear <first name>"."""
_TITLE = r"""(?:"[^"\n]*"|'[^'\n]*'|\([^)\n]*\))"""
_DEFINITION = re.compile(rf"^\[[^\]\n]+\]:[ \t]*<?(?:https?://|www\.|mailto:|[/#])\S*(?:[ \t]+{_TITLE})?[ \t]*$", re.MULTILINE)
"""Of the address of a link that is elsewhere."""
_REFERENCE = re.compile(r"(?<!\w)\[([^\[\]\n]+)\]\[[^\[\]\n]*\]")
_CHECKBOX = re.compile(r"^((?:[-*+]|\d{1,9}[.)])[ \t]+)\[[ xX]\](?=\s)", re.MULTILINE)
_FOOTNOTE = re.compile(r"\[\^[^\]\s]+\]:?")
_CODE_ELEMENT = re.compile(r"<(pre|script|style)\b[^>]*>.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_NUMBERED = re.compile(rf"^\s*\d{{{LONGEST_NUMBERING + 1},}}(?=[.)]\s)")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_ENDED = re.compile(r"[.!?…:;,—][\"'”’)]*$")
_BLOCK_ENDS = {"paragraph_close", "heading_close", "tr_close"}
_SPOKEN_LEAVES = {"text", "code_inline", "text_special"}

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_RUN = re.compile(r"`{3,}|~{3,}")
_PREFIX = re.compile(r"[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]*)*")
"""Of a line: what quotes and lists put before it."""
_CUT_RUN = re.compile(r"(?:(?<!\S)[`~]+|[`~]{3,})\Z")
"""At the end of a clause: it may be the beginning of a fence, or go on in the next clause."""
_INFO = re.compile(r"[^\W\d_][\w+#-]*[ \t]*\Z")
"""The language of a block after its fence, which nothing follows."""
_AFTER_CODE = re.compile(r"[.,;:!?)]*(?:\s|\Z)")
_MARKER = re.compile(r"\s*(?:(?=[-+*#>](?:\s|$))|\d{1,9}(?=[.)](?:\s|$)))")
_NUMBER = re.compile(r"((?:[ \t]|>|[-*+][ \t])*)(\d{1,9})(?=[.)](?:\s|$))")


class CodeFilter:
    """Drops fenced code from a text that comes clause by clause, where a clause may hold any part of a block.

    Models do not keep CommonMark's rules of fences: theirs stand within a line, hold a block in one line, have prose after them. So a
    fence is what is used as one; whatever else looks like it is dropped, and the prose around it is kept.

    What only the clauses before it can tell is written into a clause: a number or a sign that looks like the mark of a list, but does not
    begin its line, or a number that no list has come to, is escaped, so that it is spoken.
    """

    def __init__(self) -> None:
        self._fence = ""
        """What the code we are in began with; empty in prose."""
        self._quoted = False
        self._line_begins = True
        """Whether nothing but marks of lists and quotes came on this line so far."""
        self._cut = ""
        self._counted = {0, 1}
        """Numbers that the next item of a list may have."""

    def feed(self, clause: str) -> str:
        """The clause without what is code."""
        text, self._cut = (self._cut + clause).replace("\r\n", "\n").replace("\r", "\n"), ""
        if found := _CUT_RUN.search(text):
            text, self._cut = text[: found.start()], found[0]
        return "".join(self._code(line) if self._fence else self._prose(line) for line in _LINE.findall(text))

    def _code(self, line: str) -> str:
        """The prose after the end of the code, if that is in this line or this part of a line."""
        if self._quoted and self._line_begins and line.strip() and not line.lstrip().startswith(">"):
            self._fence = ""  # the quote is over
            return self._prose(line)
        for run in _RUN.finditer(line):
            if not run[0].startswith(self._fence):
                continue
            before, after = line[: run.start()], line[run.end() :]
            if self._begins(before):
                closes = not _INFO.match(after.removesuffix("\n"))
            else:
                closes = not after.strip() or (not before[-1:].isspace() and bool(_AFTER_CODE.match(after)))
            if closes:
                self._fence, self._line_begins = "", not after.strip() and after.endswith("\n")
                return self._prose(after) if after.strip() else ""
        self._goes_on(line)
        return ""

    def _prose(self, line: str) -> str:
        """The line, or part of a line, without code; empty when only marks would be left."""
        kept, at = "", 0
        while run := _RUN.search(line, at):
            before, after = line[: run.start()], line[run.end() :]
            kept += line[at : run.start()]
            if end := self._pair(run, before, after):
                kept, at = kept + " ", run.end() + end
            elif self._opens(run[0], before, after.removesuffix("\n")):
                begins, kept = self._begins(before), self._escaped(kept, holds_code=True)
                self._fence, self._quoted, self._line_begins = run[0], begins and ">" in before, after.endswith("\n")
                marks_alone = begins and "\\" not in kept
                return "" if marks_alone else kept + ("\n" if after.endswith("\n") else "")
            else:
                kept, at = kept + " ", run.end()
        kept += line[at:]
        if at and not kept.strip():
            kept = ""
        kept = self._escaped(kept)
        self._goes_on(line)
        return kept

    def _pair(self, run: re.Match[str], before: str, after: str) -> int:
        """Where code that begins with the run ends, if that is on its own line; else 0."""
        for end in _RUN.finditer(after):
            if end[0].startswith(run[0]) and after[: end.start()].strip():
                tight = not after[:1].isspace() and not after[end.start() - 1].isspace() and not before[-1:].isalnum()
                return end.end() if run[0][0] == "`" or tight else 0
        return 0

    def _opens(self, run: str, before: str, after: str) -> bool:
        """Whether a block of code begins with the run, without its end on the same line."""
        attached = bool(_INFO.match(after))
        if run[0] == "~":
            titled = len(after.split()) > 1 and not set(after) & set("{=")
            return len(run) <= LONGEST_FENCE and (not titled if self._begins(before) else attached and not before[-1:].isalnum())
        return self._begins(before) or (not before[-1:].isalnum() and (attached or not after[:1].strip() == "" or not after.strip()))

    def _begins(self, before: str) -> bool:
        return self._line_begins and bool(_PREFIX.fullmatch(before))

    def _goes_on(self, line: str) -> None:
        """The line is done, or goes on in the next clause."""
        self._line_begins = line.endswith("\n") or (self._line_begins and not line.strip())

    def _escaped(self, line: str, holds_code: bool = False) -> str:
        """The line with what is no mark of a list escaped. `holds_code`: code follows, so that a mark need not have words after it."""
        if not self._line_begins:
            return f"{found[0]}\\{line[found.end() :]}" if (found := _MARKER.match(line)) else line
        if not (found := _NUMBER.match(line)):
            return line
        number = int(found[2])
        if number in self._counted and (holds_code or any(char.isalnum() for char in line[found.end() :])):
            self._counted |= {number, number + 1}
            # What an item begins with is its text: no list begins there.
            mark, item = line[: found.end() + 1], line[found.end() + 1 :]
            return f"{mark}{inner[0]}\\{item[inner.end() :]}" if (inner := _MARKER.match(item)) else line
        # "2." ends a sentence, "3)" nothing.
        rest = line[found.end() :]
        return f"{found[0]}\\{rest}" if rest[0] == "." else f"{found[0]}{rest[1:]}"


def without_markdown(text: str) -> str:
    """Blocks end like sentences; links and pictures give their words."""
    # The start of a clause is no start of a line of code, and a year before a full stop is no list.
    text = _CODE_ELEMENT.sub(" ", text)
    flat = _CHECKBOX.sub(r"\1", _FOOTNOTE.sub("", _REFERENCE.sub(r"\1", _DEFINITION.sub("", _INDENT.sub("", text)))))
    flat = _PLACEHOLDER.sub(lambda found: found[0] if _TAG.fullmatch(found[0]) else found[1], flat)
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

    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).disable("reference")


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
            yield html.unescape(_TAG.sub(" ", token.content))
        elif token.type == "html_inline":
            yield _TAG.sub(" " if _BREAKING.match(token.content) else "", token.content)
        elif token.type in ("softbreak", "hardbreak"):
            yield " "
        elif token.type in ("td_close", "th_close"):
            yield CELL_END
        elif token.type in _BLOCK_ENDS:
            yield "\n"
