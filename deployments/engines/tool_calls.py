"""Demanding the call of a tool, and reading one that is all of a reply. Pure; one reader for each reply.

A model that must call a tool is held to JSON by vLLM's structured outputs (`call_schema`), and its arguments stream as they come. What a
model writes that may call one is read in reply_markup.py.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol

from serve_app.engines import TextDelta, ToolCallDelta
from serve_app.errors import EngineFailed, PromptRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_app.engines import Prompt, ReplyPiece

OPEN, CLOSE = "<tool_call>", "</tool_call>"

LARGEST = 10**9
"""Of an integer that the tool leaves open: a small model, once it writes digits, may write them until its tokens are spent."""

_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')


class Reader(Protocol):
    def feed(self, text: str) -> Iterator[ReplyPiece]: ...

    def end(self) -> Iterator[ReplyPiece]:
        """What was held back."""


class PlainText:
    def feed(self, text: str) -> Iterator[ReplyPiece]:
        if text:
            yield TextDelta(text)

    def end(self) -> Iterator[ReplyPiece]:
        yield from ()


class JsonCall:
    """All of the reply is one call."""

    def __init__(self) -> None:
        self._head: str | None = ""
        """What came before the arguments; None once these have begun."""
        self._nesting = Nesting()

    def feed(self, text: str) -> Iterator[ReplyPiece]:
        if self._head is not None:
            self._head += text
            found = _HEAD.match(self._head)
            if found is None:
                return
            text, self._head = self._head[found.end() :], None
            yield ToolCallDelta(0, json.loads(found[1]), "")
        if inside := self._nesting.take(text):
            yield ToolCallDelta(0, "", inside)

    def end(self) -> Iterator[ReplyPiece]:
        # Cut by the limit on tokens before it named a tool: there is no call to report, and text it is not.
        yield from ()


class Nesting:
    """Takes the first JSON object or array of a stream, and nothing after it."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = self._done = False

    def take(self, text: str) -> str:
        for index, char in enumerate(text):
            if self._done:
                return text[:index]
            self._step(char)
        return text

    def _step(self, char: str) -> None:
        if self._in_string:
            if self._escaped:
                self._escaped = False
            elif char == "\\":
                self._escaped = True
            elif char == '"':
                self._in_string = False
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            self._done = self._depth <= 0


def call_schema(prompt: Prompt) -> dict[str, Any] | None:
    """The JSON Schema of the call that the prompt demands; None when it demands none. Raises `EngineFailed` for an unknown tool."""
    if not prompt.tools or prompt.tool_choice in ("auto", "none"):
        return None
    wanted = [tool for tool in prompt.tools if prompt.tool_choice in ("required", tool.name)]
    if not wanted:
        raise EngineFailed(f"there is no tool {prompt.tool_choice!r}")
    shapes = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _bounded({"type": "object", **tool.parameters})},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for tool in wanted
    ]
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def reply_schema(prompt: Prompt) -> dict[str, Any] | None:
    """The JSON Schema that all of the reply must fit: of the call that the prompt demands, else the prompt's own. Raises `PromptRefused`
    where the model may choose between the two, because a grammar holds one form."""
    if called := call_schema(prompt):
        return called
    schema = prompt.constraints.schema
    if schema is not None and prompt.tools and prompt.tool_choice != "none":
        raise PromptRefused("a reply in JSON and tools that may be called exclude each other: tool_choice must be none, required or a name")
    return None if schema is None else _bounded(schema)


def _bounded(schema: Any) -> Any:
    """With limits for every integer in it that has none."""
    if isinstance(schema, list):
        return [_bounded(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    limits = {"minimum": -LARGEST, "maximum": LARGEST} if schema.get("type") == "integer" and "enum" not in schema else {}
    return {**limits, **{name: _bounded(value) for name, value in schema.items()}}
