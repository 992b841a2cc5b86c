"""Reading a reply while it is written: words, calls of tools, and thoughts, told apart by the markup of the families of models. Pure; one
reader for each reply.

Nobody wants to hear markup. What stands in it is a call where the model may call tools and it parses as one; else it is left out, be it a
thought, a call that nobody allowed, a call that is broken, or a result that the model made up. `left_out` says so: a reply that was
nothing else must be asked for again (`silent`).

Forms: `<think>` and its like; `<tool_call>` with JSON (Hermes, Qwen, SmolLM2), with `<function=name>` and `<parameter=name>` (Qwen-Coder)
or `<arg_key>` (GLM); `<|python_tag|>` and `<function=name>` (Llama); `[TOOL_CALLS]` (Mistral); `<|tool_call|>` (Granite); the sections of
DeepSeek and Kimi; and JSON alone that names a tool of this conversation (Llama 3.2). Each may be cut anywhere, unclosed, or closed without
having been opened.
"""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import regex

from serve_app.engines import TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator

    from serve_app.engines import ReplyPiece

_THOUGHTS = r"think|thinking|thought|reasoning|seed:think"
_OPENS_THOUGHT = rf"<(?:{_THOUGHTS})>|\[THINK\]|◁think▷|<\|START_THINKING\|>"
_CLOSES_THOUGHT = rf"</(?:{_THOUGHTS})>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>"
_SECTIONS = {
    r"<\s?(?P<tag>tool_calls?|function_calls?|functioncall|tool_response|tool_result)\s?>": None,
    r"<function=[^<>\n]{1,80}>": r"</function>",
    r"<｜tool▁(?:calls|outputs)▁begin｜>": r"<｜tool▁(?:calls|outputs)▁end｜>",
    r"<\|tool_calls_section_begin\|>": r"<\|tool_calls_section_end\|>",
    r"<\|START_ACTION\|>": r"<\|END_ACTION\|>",
    # These go on to the reply's end.
    r"<\|python_tag\|>|\[TOOL_CALLS\]|<\|tool_call\|>|<\|tool_response\|>": r"<\|eo[mt]_id\|>",
}
"""What opens a call, or what is like one, and what closes it; None: the same tag with a slash."""
_OPENS_SECTION = "|".join(_SECTIONS)
_STRAY = (
    rf"{_CLOSES_THOUGHT}|<\s?/\s?(?:tool_calls?|function_calls?|functioncall|tool_response|tool_result|function|parameter)\s?>"
    r"|<\|(?:im_start|im_end|endoftext|end_of_text|begin_of_text|eot_id|eom_id|start_header_id|end_header_id|end|eos|eot|return)\|>"
    r"|<｜(?:User|Assistant|end▁of▁sentence|begin▁of▁sentence)｜>|<(?:start|end)_of_turn>|\[/?INST\]|\[/?TOOL_(?:CALLS|RESULTS)\]"
)
_MARK = regex.compile(rf"(?P<thought>{_OPENS_THOUGHT})|(?P<section>{_OPENS_SECTION})|(?P<stray>{_STRAY})", regex.IGNORECASE)
_IN_THOUGHT = regex.compile(rf"(?P<opens>{_OPENS_THOUGHT})|(?P<closes>{_CLOSES_THOUGHT})", regex.IGNORECASE)
_NAMED = regex.compile(
    r"<function=(?P<name>[^<>\n]+)>(?P<body>.*?)(?:</function>|(?=<function=)|$)"
    r"|^\s*(?P<name>[\w.\-]{1,64})\s*(?:\[ARGS\])?\s*(?P<body>\{.*)"
    r"|^\s*(?P<name>[\w.\-]{1,64})\s*(?P<body><arg_key>.*)",
    regex.DOTALL,
)
_PARAMETER = regex.compile(
    r"<parameter=(?P<name>[^<>\n]+)>\s*(?P<value>.*?)\s*(?:</parameter>|(?=<parameter=)|$)"
    r"|<arg_key>\s*(?P<name>.*?)\s*</arg_key>\s*<arg_value>\s*(?P<value>.*?)\s*(?:</arg_value>|$)",
    regex.DOTALL,
)
_NEXT = regex.compile(r"\[TOOL_CALLS\]|<\|tool_call\|>|</?tool_call>", regex.IGNORECASE)
_BETWEEN = regex.compile(r"(?:\s|[;,\]\[]|```(?:json)?)*")
"""What may stand between the calls of a part of a section."""
_OPENED = regex.compile(r"(?:\s|```(?:json)?)*")
_SEPARATES = regex.compile(r"\s*(?:[;,]\s*)*")
_BEGUN_TAG = regex.compile(r"<[^<>]*$")
_FENCE = regex.compile(r"\]?\s*```")


class _State(Enum):
    WORDS = auto()
    THOUGHT = auto()
    SECTION = auto()
    """Within the markup of a call, or of what is like one."""


class MarkupReader:
    def __init__(self, may_call: bool, names: Collection[str] = (), thinking: bool = False, perhaps: bool = False) -> None:
        """`may_call`: whether the model may call tools; `names`: of all tools of the conversation, whose calls may come as bare JSON;
        `thinking`: whether the reply begins within a thought, because the chat template has opened it; `perhaps`: that is a guess, and the
        reply is words if the thought is never closed."""
        self._may_call = may_call
        self._mark = _mark(names)
        self._state = _State.THOUGHT if thinking else _State.WORDS
        self._depth = 1
        self._doubtful: str | None = "" if perhaps else None
        """What came after a thought within a thought was closed: words, if the outer one is never closed."""
        self._closes: regex.Pattern[str] | None = None
        self._held = ""
        self._trims = thinking
        """The next words are the first after a thought: blanks before them are no words."""
        self._blanks = ""
        """Said before nothing yet, or after markup: they are words if words follow."""
        self._calls = 0
        self.left_out = False
        self.said = False
        self.unclosed = False
        """It ended within a thought."""
        self.closed_unopened = False
        """A thought was closed that had not been opened: the chat template opens it, and the reply begins within it."""

    @property
    def silent(self) -> bool:
        """Something was left out, and there was nothing else: no word, no call."""
        return self.left_out and not self.said and not self._calls

    def feed(self, text: str) -> Iterator[ReplyPiece]:
        self._held += text
        goes_on = True
        while goes_on and self._held:
            match self._state:
                case _State.WORDS:
                    goes_on = yield from self._words()
                case _State.THOUGHT:
                    goes_on = self._thought()
                case _State.SECTION:
                    goes_on = yield from self._section()

    def end(self) -> Iterator[ReplyPiece]:
        """What was held back, because it might have begun markup."""
        held, self._held = self._held, ""
        match self._state:
            case _State.WORDS:
                yield from self._said(held)
            case _State.THOUGHT:
                self.left_out, self.unclosed = True, True
                if self._doubtful is not None:
                    yield from self._said((self._doubtful + held).lstrip())
            case _State.SECTION:
                # Cut off within the closing tag.
                yield from self._called(_BEGUN_TAG.sub("", held))
        self._state = _State.WORDS

    # --- by what it is in ---------------------------------------------------------------------------------------------------------------

    def _words(self) -> Generator[ReplyPiece, None, bool]:
        found = self._mark.search(self._held, partial=True)
        if found is None:
            said, self._held = self._held, ""
            yield from self._said(said)
            return False
        said, self._held = self._held[: found.start()], self._held[found.start() :]
        yield from self._said(said)
        if found.partial:
            return False
        opened, after = found[0], self._held[len(found[0]) :]
        if found["thought"]:
            self._state, self._depth, self._doubtful, self._held = _State.THOUGHT, 1, None, after
            self._drops_blanks()
        elif found["section"]:
            self._state, self._closes = _State.SECTION, _closing(opened)
            # The name stands in it.
            self._held = self._held if opened.startswith("<function=") else after
        elif found["stray"]:
            self.left_out, self._held = True, after
            if regex.fullmatch(_CLOSES_THOUGHT, opened, regex.IGNORECASE):
                self.closed_unopened = True
                self._drops_blanks()
        else:
            self._state, self._closes = _State.SECTION, _FENCE
        return True

    def _thought(self) -> bool:
        found = _IN_THOUGHT.search(self._held, partial=True)
        if found is None or found.partial:
            kept = len(self._held) if found is None else found.start()
            if self._doubtful is not None:
                self._doubtful += self._held[:kept]
            self._held = self._held[kept:]
            return False
        if self._doubtful is not None:
            self._doubtful += self._held[: found.start()]
        self._held, self.left_out = self._held[found.end() :], True
        self._depth += 1 if found["opens"] else -1
        if self._depth == 0:
            self._state, self._doubtful = _State.WORDS, None
            self._drops_blanks()
        elif found["closes"] and self._doubtful is None:
            self._doubtful = ""
        return True

    def _section(self) -> Generator[ReplyPiece, None, bool]:
        if (span := self._ended()) is None:
            return False
        body, self._held = self._held[: span[0]], self._held[span[1] :]
        self._state = _State.WORDS
        yield from self._called(body)
        return True

    def _ended(self) -> tuple[int, int] | None:
        """Where the section's body ends, and where what comes after the section begins; None while that is not known."""
        if not self._held.startswith(("{", "["), place := _OPENED.match(self._held).end()):
            found = self._closes and self._closes.search(self._held, place)
            return found.span() if found else None
        # Small models forget the closing tag and go on in words: JSON that is whole ends the section too.
        while True:
            try:
                _, end = json.JSONDecoder().raw_decode(self._held, place)
            except ValueError:
                found = self._closes and self._closes.search(self._held, place)
                return found.span() if found else None
            place = _SEPARATES.match(self._held, end).end()
            if place == len(self._held):
                return None
            if self._held[place] != "{":
                break
        closed = self._closes and self._closes.match(self._held, place, partial=True)
        if not closed:
            return end, place
        return None if closed.partial else (end, closed.end())

    # --- what comes of it ---------------------------------------------------------------------------------------------------------------

    def _said(self, text: str) -> Iterator[ReplyPiece]:
        text = self._blanks + text
        self._blanks = ""
        if self._trims:
            text = text.lstrip()
        if not text.strip() and (self.left_out or not self.said):
            self._blanks = text
        elif text:
            self._trims, self.said = False, True
            yield TextDelta(text)

    def _drops_blanks(self) -> None:
        self._trims, self._blanks, self.left_out = True, "", True

    def _called(self, body: str) -> Iterator[ReplyPiece]:
        calls = calls_in(body)
        if not calls or not self._may_call:
            self.left_out = True
            return
        for name, arguments in calls:
            yield ToolCallDelta(self._calls, name, json.dumps(arguments))
            self._calls += 1


def opens_markup(text: str) -> bool:
    return (found := _MARK.fullmatch(text)) is not None and not found["stray"]


def ends_in_thought(text: str) -> bool:
    """Whether a thought begins at the text's end."""
    return regex.search(rf"(?:{_OPENS_THOUGHT})\s*$", text, regex.IGNORECASE) is not None


def calls_in(body: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls in a section, as name and arguments; none when it holds anything else too."""
    if body.strip().startswith(("{", "[")) and (calls := _calls_of_part(body.strip())):
        return calls
    calls = []
    for part in _NEXT.split(body):
        found = _calls_of_part(part.strip())
        if found is None:
            return []
        calls += found
    return calls


def _calls_of_part(part: str) -> list[tuple[str, dict[str, Any]]] | None:
    calls: list[tuple[str, dict[str, Any]]] = []
    if not part.startswith(("{", "[", "`")):
        for named in _NAMED.finditer(part):
            if (arguments := _arguments_in(named["body"])) is None:
                return None
            calls.append((named["name"].strip(), arguments))
        return calls or (None if part else [])
    place = _BETWEEN.match(part).end()
    while place < len(part):
        try:
            value, place = json.JSONDecoder().raw_decode(part, place)
        except ValueError:
            return None
        if (call := _call_of(value)) is None:
            return None
        calls.append(call)
        place = _BETWEEN.match(part, place).end()
    return calls


def _arguments_in(body: str) -> dict[str, Any] | None:
    if parameters := list(_PARAMETER.finditer(body)):
        return {one["name"].strip(): _value(one["value"]) for one in parameters}
    try:
        arguments, _ = json.JSONDecoder().raw_decode(body.strip() or "{}")
    except ValueError:
        return None
    return arguments if isinstance(arguments, dict) else None


def _value(written: str) -> Any:
    """Written without quotes, a text and a number look alike."""
    try:
        return json.loads(written)
    except ValueError:
        return written


def _call_of(value: Any) -> tuple[str, dict[str, Any]] | None:
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    if "description" in value:
        return None  # the tool as it was declared
    name = value.get("name") or (inner if isinstance(inner, str) else None)
    arguments: Any = next((value[key] for key in ("arguments", "parameters", "args") if key in value), {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    return (name, arguments) if isinstance(name, str) and name and isinstance(arguments, dict) else None


def _closing(opened: str) -> regex.Pattern[str] | None:
    for opens, closes in _SECTIONS.items():
        if found := regex.fullmatch(opens, opened, regex.IGNORECASE):
            return regex.compile(closes or rf"<\s?/\s?{found['tag']}\s?>", regex.IGNORECASE)
    return None


def _mark(names: Collection[str]) -> regex.Pattern[str]:
    if not names:
        return _MARK
    known = "|".join(regex.escape(name) for name in sorted(names))
    function = r'(?:"type"\s*:\s*"function"\s*,\s*)?(?:"function"\s*:\s*\{\s*)?'
    bare = rf'(?:```(?:json)?\s*)?(?:\[\s*)?\{{\s*{function}"name"\s*:\s*"(?:{known})"\s*[,}}]'
    return regex.compile(f"{_MARK.pattern}|(?P<bare>{bare})", regex.IGNORECASE)
