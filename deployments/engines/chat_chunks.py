"""Reading the chunks of a streamed chat completion, as the servers that call themselves OpenAI-compatible write them. Pure; one reader for
each reply.

A call of a tool comes in pieces (OpenAI, vLLM) or whole (Ollama); its pieces are told apart by their index, or by their id where a server
gives every call the same index (Ollama) or none. A server whose model has no parser for tools or thoughts leaves their markup in the text:
it is read there (reply_markup.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.engines.reply_reader import ReplyReader, may_call
from serve_app.engines import ReplyEnd, ToolCallDelta
from serve_app.errors import EngineGone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_app.engines import Prompt, ReplyPiece

WRITTEN = ("content", "tool_calls", "reasoning_content", "reasoning")
"""Fields of a delta that hold what the model wrote; the last two are thoughts, which a server keeps apart."""


@dataclass(slots=True)
class _Call:
    number: int
    id: str | None
    held: str = ""
    """Arguments that came before the name."""
    named: bool = False


class ChunkReader:
    def __init__(self, prompt: Prompt, thinking: bool = False, perhaps: bool = False) -> None:
        """`thinking`: whether the reply begins within a thought; `perhaps`: that is a guess."""
        self._may_call = may_call(prompt)
        self.written = ReplyReader(prompt, thinking, perhaps, held_to_call=False)
        """Once it is `over` no more is wanted."""
        self._calls: list[_Call] = []
        self._at: dict[int, _Call] = {}
        """The call that a piece with this index continues."""
        self.begun = False
        """Whether the model has written anything, be it a thought."""
        self._chunks = 0
        self._refused = False
        """The model called a tool that it was not to call."""
        self.ended = ReplyEnd("stop", 0, 0)
        self._finish: str | None = None
        self._usage: Any = None

    @property
    def has_usage(self) -> bool:
        return self._usage is not None

    @property
    def silent(self) -> bool:
        """There was nothing but markup, or calls that nobody allowed."""
        return (self.written.silent or self._refused) and not self.written.said and not self._calls

    def feed(self, chunk: Any) -> Iterator[ReplyPiece]:
        """`chunk`: an `openai.types.chat.ChatCompletionChunk`, of which any field may be missing."""
        self._usage = getattr(chunk, "usage", None) or self._usage
        for choice in getattr(chunk, "choices", None) or ():
            self._finish = choice.finish_reason or self._finish
            if (delta := choice.delta) is None:
                continue
            self.begun = self.begun or any(getattr(delta, name, None) for name in WRITTEN)
            if delta.content:
                # Most servers write a token in a chunk, and count only at the end.
                self._chunks += 1
                yield from self.written.feed(delta.content)
            for number, piece in enumerate(delta.tool_calls or ()):
                if self._may_call:
                    yield from self._called(piece, number)
                else:
                    self._refused = True

    def end(self) -> Iterator[ReplyPiece]:
        """What was held back; afterwards there is `ended`. Raises `EngineGone` when the reply was cut off."""
        written = self.written
        if self._finish is None and not written.over:
            raise EngineGone("the reply broke off: the endpoint closed it without a finish_reason")
        yield from written.end()
        prompt, reply = (getattr(self._usage, name, None) or 0 for name in ("prompt_tokens", "completion_tokens"))
        cached = getattr(getattr(self._usage, "prompt_tokens_details", None), "cached_tokens", None) or 0
        finish = written.finish if written.over else "length" if self._finish == "length" else "stop"
        self.ended = ReplyEnd(finish, prompt, reply or (self._chunks if written.over else 0), cached, written.looped)

    def _called(self, piece: Any, number: int) -> Iterator[ReplyPiece]:
        """`number`: the piece's place in its chunk, which is its index where it has none."""
        call = self._call(number if piece.index is None else piece.index, piece.id)
        function = piece.function
        arguments = (getattr(function, "arguments", None) or "") if function else ""
        if call.named:
            if arguments:
                yield ToolCallDelta(call.number, "", arguments)
        elif function and function.name:
            call.named = True
            yield ToolCallDelta(call.number, function.name, call.held + arguments)
        else:
            call.held += arguments

    def _call(self, index: int, call_id: str | None) -> _Call:
        call = self._at.get(index)
        if call is None or (call_id and call.id and call_id != call.id):
            call = self._at[index] = _Call(len(self._calls), call_id or None)
            self._calls.append(call)
        return call
