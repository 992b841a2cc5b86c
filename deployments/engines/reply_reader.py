"""What becomes of a reply while a model writes it: its markup is read, loops are cut short, and one that may not go on ends with its
sentence. Pure; one reader for each reply, whichever engine writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deployments.engines.loops import LoopFilter, sentence_end
from deployments.engines.reply_markup import MarkupReader
from deployments.engines.tool_calls import JsonCall, PlainText, call_schema
from serve_app.engines import TextDelta

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deployments.engines.tool_calls import Reader
    from serve_app.engines import Prompt, ReplyPiece


class ReplyReader:
    """`feed` what the model writes until `over`, then call `end`."""

    def __init__(self, prompt: Prompt, thinking: bool = False, perhaps: bool = False, held_to_call: bool = True) -> None:
        """`thinking`: the reply begins within a thought; `perhaps`: or it does not; `held_to_call`: a call that the prompt demands is all
        of the reply, in JSON."""
        self._markup: MarkupReader | None = None
        self._reader: Reader
        if held_to_call and call_schema(prompt):
            self._reader = JsonCall()
        elif prompt.constraints.schema is not None:
            self._reader = PlainText()
        else:
            self._reader = self._markup = MarkupReader(may_call(prompt), known_tools(prompt), thinking, perhaps)
        self._loops = LoopFilter(_user_said(prompt)) if self._markup is not None and prompt.ends_loops else None
        self._room = prompt.ends_after_tokens if self._markup is not None else None
        self._tokens = 0
        self._last = ""
        """The end of what was said."""
        self.over = False
        """The model is to stop."""
        self.finish = "stop"
        """Why, if it is over."""

    @property
    def looped(self) -> bool:
        return self._loops is not None and self._loops.looped

    @property
    def silent(self) -> bool:
        """There was nothing but markup."""
        return self._markup is not None and self._markup.silent

    @property
    def said(self) -> bool:
        return self._markup is None or self._markup.said

    @property
    def began_thinking(self) -> bool | None:
        """Whether the reply began within a thought, where that shows against what was said of it; None where it does not."""
        if self._markup is None or not (self._markup.closed_unopened or self._markup.unclosed):
            return None
        return self._markup.closed_unopened

    def feed(self, text: str, tokens: int = 1) -> Iterator[ReplyPiece]:
        """`tokens`: how many of the model's the text is."""
        self._tokens += tokens
        yield from self._passed(self._reader.feed(text))

    def end(self) -> Iterator[ReplyPiece]:
        """What was held back."""
        yield from self._passed(self._reader.end())
        if self._loops is not None and (rest := self._loops.end()) and not self.over:
            yield TextDelta(rest)

    def _passed(self, pieces: Iterator[ReplyPiece]) -> Iterator[ReplyPiece]:
        for piece in pieces:
            if not isinstance(piece, TextDelta):
                yield piece
                continue
            if self.over:
                return
            text = self._loops.feed(piece.text) if self._loops is not None else piece.text
            if self.looped:
                self.over = True
            elif self._room is not None and self._tokens >= self._room:
                text = self._to_the_sentences_end(text)
            self._last = (self._last + text)[-200:]
            if text:
                yield TextDelta(text)

    def _to_the_sentences_end(self, text: str) -> str:
        end = sentence_end(self._last + text, max(0, len(self._last) - 1))
        if end is None:
            return text
        self.over, self.finish = True, "length"
        return text[: max(0, end - len(self._last))].rstrip()


def may_call(prompt: Prompt) -> bool:
    return bool(prompt.tools) and prompt.tool_choice != "none"


def known_tools(prompt: Prompt) -> frozenset[str]:
    """Of this conversation: those that are declared, and those that were called before."""
    called = (call.name for message in prompt.messages for call in message.tool_calls)
    return frozenset(called) | {tool.name for tool in prompt.tools}


def _user_said(prompt: Prompt) -> str:
    return next((message.content for message in reversed(prompt.messages) if message.role == "user"), "")
