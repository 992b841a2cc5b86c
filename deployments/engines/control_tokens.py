"""Keeps what people and tools write apart from a model's control tokens, so that nobody can close his turn and open a system turn.

A chat template puts control tokens (`<|im_end|>`) and contents into one text, and a tokenizer cannot tell afterwards who wrote which. So
each control token in a content is broken before the template is rendered, by a long number that nobody can guess (`broken`). Afterwards
(`ids`) every control token that the tokenizer finds is the template's own. The stretches between them that hold the number are encoded
without it, by a copy of the tokenizer that knows no control tokens: its plain text has exactly the tokens that any other text has. The
rest keeps the tokens that the tokenizer gives it in its place.

A control token is one that was added to the vocabulary as special, or whose text stands between brackets (`<tool_call>`). What else was
added (runs of blanks, letters, HTML) is ordinary text.

Some templates mark turns by text that is no token (`[INST]`); there is no other way to write these, so `broken` puts a blank into them. It
does the same for tokenizers that are not of the `tokenizers` library, which cannot be copied.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_BRACKETED = re.compile(r"[<\[{(|＜｜].+[>\]})|＞｜]", re.DOTALL)
_HTML = re.compile(
    r"</?(?:table|caption|thead|tbody|tfoot|tr|th|td|h[1-6]|blockquote|ul|ol|li|p|br|hr|div|span|a|strong|em|b|i|u|sub|sup|code|pre)>"
)
_WRITTEN_MARKER = re.compile(r"<\|[^<>|\s]{1,40}\|>|\[/?[A-Z][A-Z_]{1,20}\]|<</?[A-Z]{2,10}>>|</?(?:start|end)_of_turn>|</?s>")
_MADE_OF_ROLE = re.compile(r"<\|(?:['\"]|\{\{)")
"""A template that joins its markers of pieces: `'<|' + message['role'] + '|>'`."""
_ANY_MARKER = r"<\|[^<>|\n]{1,40}\|>"


class ControlTokens:
    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer`: of transformers, with a chat template."""
        added = _added(tokenizer)
        self._ids_of = {str(token.content): number for number, token in added.items() if _is_control(token)}
        self._special = frozenset(str(token.content) for token in added.values() if token.special)
        self._numbers = frozenset(self._ids_of.values())
        self._unknown = ""
        """Stands also for what the vocabulary lacks, and is a control token only where it is written."""
        self._starts = frozenset(text[:size] for text in self._ids_of for size in range(1, len(text)))
        self._ends = frozenset(text[-size:] for text in self._ids_of for size in range(1, len(text)))
        self._longest = max(map(len, self._ids_of), default=0)
        self._first = re.compile("|".join(sorted({re.escape(text[0]) for text in self._ids_of}))) if self._ids_of else None
        self._number = "".join(secrets.choice("123456789") for _ in range(24))
        backend = getattr(tokenizer, "backend_tokenizer", None)
        self._copy: Any = None
        self._plain: Any = None
        self._original: dict[int, int] = {}
        """What ids of the plain copy are in the tokenizer, where they differ."""
        if backend is not None and hasattr(backend, "to_str"):
            try:
                self._copies(backend.to_str())
            except Exception:
                # The library raises what it likes; better a blank in a rare text than no model.
                log.warning("this tokenizer cannot be copied: control tokens in contents are parted by a blank", exc_info=True)
                self._copy = self._plain = None
        self._normalises = (
            self._copy is not None
            and self._copy.normalizer is not None
            and any(token.normalized for token in added.values() if _is_control(token))
        )
        self._markers = _markers(str(getattr(tokenizer, "chat_template", "")), self._ids_of, everything=self._copy is None)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self._ids_of)

    def is_special(self, text: str) -> bool:
        """Whether libraries leave it out of decoded text."""
        return text in self._special

    def broken(self, text: str) -> str:
        """The text with nothing in it that the rendered template's tokens can be taken from. Ordinary text comes back as it is."""
        if self._markers is not None:
            text = self._markers.sub(_parted, text)
        if self._copy is None:
            return text
        if self._normalises or (self._first is not None and self._first.search(text)):
            text = self._inside(text)
        return self._at_the_ends(text)

    def broken_value(self, value: Any) -> Any:
        """Each string of a JSON value broken, names of members too."""
        return _each_string(value, self.broken)

    def holds_broken(self, rendered: str) -> bool:
        return self._number in rendered

    def ids(self, rendered: str) -> list[int]:
        """The tokens of a rendered template whose contents were broken."""
        encoded = self._copy.encode(rendered, add_special_tokens=False)
        ids: list[int] = []
        kept: list[int] = []
        begin = 0
        anchored = False
        for number, (start, end) in [*zip(encoded.ids, encoded.offsets, strict=True), (-1, (len(rendered), len(rendered)))]:
            if number != -1 and not self._controls(number, rendered[start:end]):
                kept.append(number)
                continue
            stretch = rendered[begin:start]
            ids += self._as_text(stretch.replace(self._number, ""), anchored) if self._number in stretch else kept
            kept, begin, anchored = [], end, True
            if number != -1:
                ids.append(number)
        return ids

    def _controls(self, number: int, written: str) -> bool:
        return number in self._numbers and (
            number != self._ids_of.get(self._unknown) or written.strip().casefold() == self._unknown.casefold()
        )

    def _copies(self, written: str) -> None:
        from tokenizers import AddedToken, Tokenizer

        self._copy = Tokenizer.from_str(written)
        self._copy.no_truncation()
        self._copy.no_padding()
        form = json.loads(written)
        self._unknown = _unknown(form["model"])
        form["truncation"] = form["padding"] = form["post_processor"] = None
        form["added_tokens"] = [token for token in form["added_tokens"] if token["content"] not in self._ids_of]
        self._plain = Tokenizer.from_str(json.dumps(form))
        self._original = {
            number: token["id"] for token in form["added_tokens"] if (number := self._plain.token_to_id(token["content"])) != token["id"]
        }
        # Stands for the control token before a stretch: some tokenizers put a blank before the first word of all, and of nothing else.
        self._plain.add_special_tokens([AddedToken(self._number, normalized=False, special=True)])

    def _inside(self, text: str) -> str:
        """Breaking one may make another: `<a><b` of which both `<a>` and `><b` are tokens."""
        while True:
            encoded = self._copy.encode(text, add_special_tokens=False)
            found = [span for number, span in zip(encoded.ids, encoded.offsets, strict=True) if self._controls(number, text[slice(*span)])]
            if not found:
                return text
            for start, end in reversed(found):
                written = text[start:end]
                middle = start + len(written) - len(written.lstrip()) + max(1, len(written.strip()) // 2)
                text = text[:middle] + self._number + text[middle:]

    def _at_the_ends(self, text: str) -> str:
        """What the template writes next to it may not complete a token either."""
        bare = text.strip()
        if any(bare[-size:] in self._starts for size in range(1, min(self._longest, len(bare) + 1))):
            end = len(text.rstrip())
            text = text[:end] + self._number + text[end:]
        if any(bare[:size] in self._ends for size in range(1, min(self._longest, len(bare) + 1))):
            begin = len(text) - len(text.lstrip())
            text = text[:begin] + self._number + text[begin:]
        return text

    def _as_text(self, text: str, anchored: bool) -> list[int]:
        if anchored:
            _, *ids = self._plain.encode(self._number + text, add_special_tokens=False).ids
        else:
            ids = self._plain.encode(text, add_special_tokens=False).ids
        ids = [self._original.get(number, number) for number in ids]
        if (self._numbers - {self._ids_of.get(self._unknown)}).isdisjoint(ids):
            return ids
        # The model's own vocabulary holds the token's text too (Unigram): only shorter pieces of it are plain text.
        half = len(text) // 2
        return self._as_text(text[:half], True) + self._as_text(text[half:], True) if half else []


_OF_ANY_FAMILY = re.compile(
    r"<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk|image)>"
    r"|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|THINK|IMG)\]"
    r"|</?(?:think|tool_call|tool_response|tools)>"
)


def without_markers(text: str) -> str:
    """For a model whose tokenizer is out of reach: a blank parts what the families of models in use write as control tokens."""
    return _OF_ANY_FAMILY.sub(_parted, text)


def without_markers_in(value: Any) -> Any:
    """Each string of a JSON value so, names of members too."""
    return _each_string(value, without_markers)


def _each_string(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_each_string(name, change): _each_string(one, change) for name, one in value.items()}
    return [_each_string(one, change) for one in value] if isinstance(value, list | tuple) else value


def _parted(found: re.Match[str]) -> str:
    return found[0][0] + " " + found[0][1:]


def _unknown(model: dict[str, Any]) -> str:
    """`model`: as tokenizer.json describes it."""
    if (place := model.get("unk_id")) is not None:
        return str(model["vocab"][place][0])
    return model.get("unk_token") or ""


def _added(tokenizer: Any) -> dict[int, Any]:
    """The tokens that were added to the vocabulary, by id. Mistral's own tokenizer tells of none: it encodes contents apart itself."""
    try:
        return getattr(tokenizer, "added_tokens_decoder", None) or {}
    except NotImplementedError:
        return {}


def _is_control(token: Any) -> bool:
    text = str(token.content)
    if token.special:
        return bool(text.strip("▁ \t\r\n"))
    return _BRACKETED.fullmatch(text) is not None and _HTML.fullmatch(text) is None


def _markers(template: str, tokens: dict[str, int], everything: bool) -> re.Pattern[str] | None:
    """Of the text that the template writes around turns what is no token; `everything`: and the tokens too."""
    written = {marker for marker in _WRITTEN_MARKER.findall(template) if marker not in tokens} | (set(tokens) if everything else set())
    patterns = [re.escape(marker) for marker in sorted(written, key=len, reverse=True)]
    if _MADE_OF_ROLE.search(template) and not tokens.keys() & {"<|user|>", "<|system|>"}:
        patterns.append(_ANY_MARKER)
    return re.compile("|".join(patterns)) if patterns else None
