"""Language models behind an OpenAI-compatible endpoint: a vLLM on another machine, Ollama, llama.cpp's server, a NIM, a hosted model."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from deployments.engines.chat_chunks import ChunkReader
from deployments.engines.chat_prompt import told_in_words, turns_of
from deployments.engines.control_tokens import without_markers, without_markers_in
from deployments.engines.endpoint import Endpoint, Timeouts
from deployments.engines.reply_reader import may_call
from serve_app.engines import ChatMessage, Prompt
from serve_app.errors import PromptRefused, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from openai import AsyncOpenAI

    from deployments.engines.reply_reader import ReplyReader
    from serve_app.engines import ReplyPiece

log = logging.getLogger(__name__)


@dataclass(eq=False)
class OpenAiLanguageModel:
    base_url: str = ""
    """The endpoint's address up to /v1."""
    model: str = ""
    """As the endpoint names it. Empty: the only one that it serves."""
    api_key_env: str = ""
    """The environment variable that holds the key, never the key itself."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s, first_s, between_s."""
    retries: int = 2
    extra: dict[str, Any] = field(default_factory=dict)
    """More of the request's body, and it wins: {"chat_template_kwargs": {"enable_thinking": false}} for a vLLM whose model would think."""
    usage: bool = True
    """Whether to ask for token counts (stream_options). An endpoint that gives none, or is not asked, has all its tokens counted as 0."""
    limit_name: str = "max_tokens"
    """What the endpoint calls the limit of a reply: OpenAI's newer models want max_completion_tokens."""
    begins_thinking: bool = False
    """Whether the chat template opens a thought, so that the reply begins within it. Thoughts between <think> tags are never said."""
    _endpoint: Endpoint = field(init=False, repr=False)
    _perhaps_thinking: bool = field(default=False, init=False, repr=False)
    """The last reply that showed it began within a thought."""
    _uncounted: bool = field(default=False, init=False, repr=False)

    def __post_init__(self) -> None:
        self._endpoint = Endpoint(self.base_url, self.api_key_env, Timeouts.of(self.timeouts), self.retries, PromptRefused)

    async def warm(self) -> None:
        self.model = await self._endpoint.model(self.model)
        async for _ in self.reply(Prompt((ChatMessage("user", "Hello."),), max_tokens=1)):
            pass

    async def close(self) -> None:
        await self._endpoint.close()

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        """A conversation that the endpoint finds too long is tried again without its older half: somebody waits for an answer. So is one
        that was answered by nothing but markup, with its tools told in words."""
        begun, in_words = False, False
        while True:
            readers: list[ChunkReader] = []
            try:
                async with aclosing(self._endpoint.pieces(partial(self._ask, prompt, readers))) as read:
                    async for pieces in read:
                        begun = True
                        for piece in pieces:
                            yield piece
            except PromptTooLong:
                if begun or (shorter := _without_older_half(prompt)) is None:
                    raise
                prompt = shorter
                continue
            reader = readers[-1]
            self._learn(reader.written)
            if in_words or not reader.silent or reader.ended.finish == "length":
                yield reader.ended
                return
            prompt, in_words = told_in_words(prompt), True

    async def _ask(self, prompt: Prompt, readers: list[ChunkReader], client: AsyncOpenAI) -> AsyncGenerator[list[ReplyPiece], None]:
        """From the first token on what each chunk brought, perhaps nothing that is to be said. The reader is added to `readers`."""
        reader = ChunkReader(prompt, self.begins_thinking or self._perhaps_thinking, not self.begins_thinking and self._perhaps_thinking)
        readers.append(reader)
        # Leaving the block closes the stream, at which servers stop writing.
        async with await client.chat.completions.create(**self._body(prompt)) as stream:
            async for chunk in stream:
                pieces = list(reader.feed(chunk))
                if reader.begun:
                    yield pieces
                if reader.written.over:
                    break
        yield list(reader.end())
        self._note(reader)

    def _learn(self, written: ReplyReader) -> None:
        """Whether the next reply is likely to begin within a thought. Until the first of them has closed one nobody can know."""
        if (begins := written.began_thinking) is None or self.begins_thinking or begins == self._perhaps_thinking:
            return
        self._perhaps_thinking = begins
        if begins:
            log.warning("%s begins its replies within a thought: set llm.options.begins_thinking=true", self.model)

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "messages": [_message(message) for message in prompt.messages], "stream": True}
        if self.usage:
            body["stream_options"] = {"include_usage": True}
        if may_call(prompt):
            body["tools"] = [_tool(tool) for tool in prompt.tools]
            body["tool_choice"] = _choice(prompt.tool_choice)
        wishes = {self.limit_name: prompt.max_tokens, "temperature": prompt.temperature, **_constraints(prompt)}
        return body | {name: wish for name, wish in wishes.items() if wish is not None} | {"extra_body": self.extra}

    def _note(self, reader: ChunkReader) -> None:
        if not reader.has_usage and not reader.written.over and not self._uncounted:
            self._uncounted = True
            log.warning("%s counts no tokens: those of %s are reported as 0", self.base_url, self.model)


def _constraints(prompt: Prompt) -> dict[str, Any]:
    asked = prompt.constraints
    form = {"type": "json_schema", "json_schema": {"name": "reply", "schema": asked.schema}}
    return {
        "stop": list(asked.stop) or None,
        "response_format": None if asked.schema is None else form,
        "top_p": asked.top_p,
        "seed": asked.seed,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
    }


def _without_older_half(prompt: Prompt) -> Prompt | None:
    """The system message stays. None when there is one turn only."""
    head, turns = turns_of(prompt.messages)
    if len(turns) < 2:
        return None
    kept = turns[(len(turns) + 1) // 2 :]
    return replace(prompt, messages=tuple([*head, *(message for turn in kept for message in turn)]))


def _message(message: ChatMessage) -> dict[str, Any]:
    """The endpoint tokenizes: what would be a control token there is parted by a blank here (control_tokens.py)."""
    content = without_markers(message.content)
    plain: dict[str, Any] = {"role": message.role, "content": content}
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call.arguments)}}
            for call in message.tool_calls
        ]
        plain["content"] = content or None
    if message.call_id is not None:
        plain["tool_call_id"] = message.call_id
    return plain


def _arguments(arguments: str) -> str:
    """JSON, unless the model wrote something else. An endpoint reads it, and with it undoes what escapes hide."""
    try:
        read = json.loads(arguments)
    except ValueError:
        return without_markers(arguments)
    parted = without_markers_in(read)
    return arguments if parted == read else json.dumps(parted)


def _tool(tool: Any) -> dict[str, Any]:
    about = {"name": tool.name, "description": without_markers(tool.description), "parameters": without_markers_in(tool.parameters)}
    return {"type": "function", "function": about}


def _choice(choice: str) -> Any:
    return choice if choice in ("auto", "required") else {"type": "function", "function": {"name": choice}}
