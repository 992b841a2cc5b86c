"""POST /v1/chat/completions: whole, or in chunks while it is written."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.core.language import Prompt
from serve_app.engines import LanguageModel, ReplyEnd, ReplyPiece, TextDelta, ToolCallDelta
from serve_app.http.chat_request import ChatRequest, prompt_of
from serve_app.http.exchange import event_stream, json_of, unless_gone
from serve_app.streams import closable


async def answer(request: Request, engine: LanguageModel, model: str) -> Response:
    asked = await json_of(request, ChatRequest)
    completion = Completion(model, most_calls=1 if asked.parallel_tool_calls is False else None)
    prompt = prompt_of(asked, completion.id)
    if asked.stream:
        return await event_stream(request, chunks(completion, prompt, engine, asked.wants_usage))
    await unless_gone(request.receive, _collect(completion, prompt, engine))
    return JSONResponse(completion.body)


async def chunks(completion: "Completion", prompt: Prompt, engine: LanguageModel, usage: bool) -> AsyncGenerator[dict[str, Any], None]:
    """The model's first piece comes before the first chunk, so that a prompt it refuses is an error and no stream."""
    role: dict[str, Any] = {"role": "assistant", "content": ""}
    async with aclosing(closable(engine.reply(prompt))) as pieces:
        async for piece in pieces:
            yield completion.chunk({**role, **completion.take(piece)}, usage)
            role = {}
    if usage:
        yield completion.usage_chunk()


async def _collect(completion: "Completion", prompt: Prompt, engine: LanguageModel) -> None:
    async with aclosing(closable(engine.reply(prompt))) as pieces:
        async for piece in pieces:
            completion.take(piece)


@dataclass(slots=True)
class _Call:
    id: str
    name: str
    arguments: str = ""

    @property
    def body(self) -> dict[str, Any]:
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(slots=True)
class Completion:
    """What was written so far."""

    model: str
    most_calls: int | None = None
    """Calls beyond these are left out; None: all are wanted."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    text: str = ""
    calls: dict[int, _Call] = field(default_factory=dict)
    end: ReplyEnd | None = None

    def take(self, piece: ReplyPiece) -> dict[str, Any]:
        """The piece as the `delta` of a chunk."""
        match piece:
            case TextDelta(text):
                self.text += text
                return {"content": text}
            case ToolCallDelta(index) if self.most_calls is not None and index >= self.most_calls:
                return {}
            case ToolCallDelta():
                return {"tool_calls": [self._take_call(piece)]}
            case ReplyEnd():
                self.end = piece
                return {}

    def _take_call(self, piece: ToolCallDelta) -> dict[str, Any]:
        call = self.calls.get(piece.index)
        if call is None:
            call = self.calls[piece.index] = _Call(f"call_{uuid4().hex[:24]}", piece.name)
            delta = call.body
        else:
            delta = {"function": {}}
        call.arguments += piece.arguments
        delta["function"]["arguments"] = piece.arguments
        return {"index": piece.index, **delta}

    @property
    def finish_reason(self) -> str | None:
        """None until the end; a call that was cut off is no call."""
        if self.end is None:
            return None
        return "tool_calls" if self.calls and self.end.finish == "stop" else self.end.finish

    @property
    def usage(self) -> dict[str, Any] | None:
        if self.end is None:
            return None
        return {
            "prompt_tokens": self.end.prompt_tokens,
            "completion_tokens": self.end.reply_tokens,
            "total_tokens": self.end.prompt_tokens + self.end.reply_tokens,
            "prompt_tokens_details": {"cached_tokens": self.end.cached_tokens},
        }

    @property
    def body(self) -> dict[str, Any]:
        calls = [call.body for _, call in sorted(self.calls.items())]
        message: dict[str, Any] = {"role": "assistant", "content": self.text or (None if calls else ""), "refusal": None}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason, "logprobs": None}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self.usage}

    def chunk(self, delta: dict[str, Any], usage: bool) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": self.finish_reason, "logprobs": None}
        return {**self._head("chat.completion.chunk"), "choices": [choice], **({"usage": None} if usage else {})}

    def usage_chunk(self) -> dict[str, Any]:
        return {**self._head("chat.completion.chunk"), "choices": [], "usage": self.usage}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}
