"""From a conversation to the tokens of a prompt: the model's own chat template, and what goes when all of it does not fit."""

from __future__ import annotations

import bisect
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deployments.engines.control_tokens import ControlTokens
from deployments.engines.reply_markup import ends_in_thought, opens_markup
from deployments.engines.tool_calls import CLOSE, OPEN
from serve_app.engines import ChatMessage, Tool, ToolCall
from serve_app.errors import PromptRefused, PromptTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_app.engines import Prompt

log = logging.getLogger(__name__)

GREETING = ChatMessage("user", "Hello.")
ROLES_TOLD = 6
THOUGHT_TOKENS = 12
"""That the opening of a thought has at most, with blanks after it."""


class ChatPrompt:
    """Writes prompts for one model. Nothing that a client, a user or a tool gave is read as a control token (control_tokens.py)."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        """`tokenizer`: of transformers, with a chat template; `context`: tokens of prompt and reply together."""
        self._tokenizer = tokenizer
        self._control = ControlTokens(tokenizer)
        self.context = context
        self.knows_tools = "tools" in str(tokenizer.chat_template)
        """Else tools are told in the system message, and calls in the form of Hermes."""
        self.markup = tuple(text for text in self._control.texts if opens_markup(text))
        """Control tokens with which the model begins a call or a thought."""
        self.special_markup = any(self._control.is_special(text) for text in self.markup)

    def tokens(self, prompt: Prompt, reply: int) -> list[int]:
        """The prompt, short enough that `reply` tokens have room after it. The oldest turns go first, the system message never.

        Raises `PromptTooLong` when the last turn alone does not fit.
        """
        tools = prompt.tools if prompt.tool_choice != "none" else ()
        head, turns = turns_of(prompt.messages)

        def rendered(dropped: int) -> list[int]:
            return self._rendered([*head, *(message for turn in turns[dropped:] for message in turn)], tools)

        def fits(dropped: int) -> bool:
            return len(rendered(dropped)) + reply <= self.context

        if len(whole := rendered(0)) + reply <= self.context:
            return whole
        least = bisect.bisect_left(range(len(turns)), True, key=fits)
        if least >= len(turns):
            raise PromptTooLong(f"the last turn alone takes more than the {self.context - reply} tokens that this model has for a prompt")
        return rendered(least)

    def opens_thought(self, tokens: list[int]) -> bool:
        """Whether the template has begun a thought, so that the reply goes on with it."""
        return ends_in_thought(self._tokenizer.decode(tokens[-THOUGHT_TOKENS:]))

    def _rendered(self, messages: list[ChatMessage], tools: Sequence[Tool]) -> list[int]:
        messages, tools = [self._broken(message) for message in messages], [self._broken_tool(tool) for tool in tools]
        extra: dict[str, Any] = {"tools": [_declared(tool) for tool in tools]} if tools and self.knows_tools else {}
        if tools and not self.knows_tools:
            messages = _with_instructions(messages, tools)
        extra |= {"add_generation_prompt": True, "return_dict": False, "enable_thinking": False}
        try:
            return self._templated(messages, extra)
        except Exception as error:
            # A template is a program of the model's, and raises what it likes: "roles must alternate".
            log.debug("the chat template refuses %s: %s", [message.role for message in messages], error)
            begun = _begun_by_the_user(messages)
            if begun is not None:
                with suppress(Exception):
                    return self._templated(begun, extra)
            roles = ", ".join(message.role for message in messages[-ROLES_TOLD:])
            raise PromptRefused(
                f"this model cannot read a conversation whose messages are of ({roles}): its chat template takes messages of user and "
                "assistant in turns, the user's first, and each call of a tool with its result"
            ) from error

    def _templated(self, messages: list[ChatMessage], extra: dict[str, Any]) -> list[int]:
        plain = [self._plain(message) for message in messages]
        if self._control.holds_broken(str((plain, extra))):
            return self._control.ids(self._tokenizer.apply_chat_template(plain, **extra, tokenize=False))
        return list(self._tokenizer.apply_chat_template(plain, **extra))

    def _broken(self, message: ChatMessage) -> ChatMessage:
        broken = self._control.broken
        calls = tuple(ToolCall(broken(call.call_id), broken(call.name), self._broken_arguments(call)) for call in message.tool_calls)
        call_id = None if message.call_id is None else broken(message.call_id)
        return ChatMessage(message.role, broken(message.content), calls, call_id)

    def _broken_arguments(self, call: ToolCall) -> str:
        """What stands in JSON may be written with escapes, which a template undoes."""
        arguments = _arguments(call)
        broken = self._control.broken_value(arguments)
        if broken == arguments:
            return call.arguments
        return broken if isinstance(broken, str) else json.dumps(broken)

    def _broken_tool(self, tool: Tool) -> Tool:
        return Tool(self._control.broken(tool.name), self._control.broken(tool.description), self._control.broken_value(tool.parameters))

    def _plain(self, message: ChatMessage) -> dict[str, Any]:
        plain: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls and self.knows_tools:
            plain["tool_calls"] = [
                {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": _arguments(call)}}
                for call in message.tool_calls
            ]
        elif message.tool_calls:
            plain["content"] = "\n".join([message.content, *(_tagged(call) for call in message.tool_calls)]).strip()
        if message.call_id is not None:
            plain["tool_call_id"] = message.call_id
        return plain


def told_in_words(prompt: Prompt) -> Prompt:
    """Without tools, and with the results of earlier calls as what the user says: a model that has seen how it called a tool calls it
    again, in markup, whatever it is told."""
    names = {call.call_id: call.name for message in prompt.messages for call in message.tool_calls}
    messages: list[ChatMessage] = []
    for message in prompt.messages:
        if message.role == "tool":
            message = ChatMessage("user", f"The result of {names.get(message.call_id or '', 'the tool')} is: {_plainly(message.content)}")
        elif message.tool_calls:
            if not message.content:
                continue
            message = replace(message, tool_calls=())
        if messages and messages[-1].role == message.role == "user":
            message = replace(message, content=f"{messages.pop().content}\n{message.content}")
        messages.append(message)
    return replace(prompt, messages=tuple(messages), tools=(), tool_choice="auto")


def _plainly(result: str) -> str:
    """A JSON object of plain values without its braces, which small models would write again."""
    try:
        read = json.loads(result)
    except ValueError:
        return result
    if not isinstance(read, dict) or any(isinstance(value, dict | list) for value in read.values()):
        return result
    values = {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for name, value in read.items()}
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def turns_of(messages: Sequence[ChatMessage]) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
    """The system messages at the head, and turns, each of which begins with what the user said."""
    start = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    turns: list[list[ChatMessage]] = []
    for message in messages[start:]:
        if not turns or message.role == "user":
            turns.append([])
        turns[-1].append(message)
    return list(messages[:start]), turns


def _begun_by_the_user(messages: list[ChatMessage]) -> list[ChatMessage] | None:
    """For templates that want the user to begin: so that an agent can speak first, or go on after words of its own. None where the user
    has begun."""
    head = [message for message in messages if message.role == "system"]
    rest = messages[len(head) :]
    if messages[: len(head)] != head or (rest and rest[0].role == "user"):
        return None
    return [*head, GREETING, *rest]


def _with_instructions(messages: list[ChatMessage], tools: Sequence[Tool]) -> list[ChatMessage]:
    """For templates that say nothing of tools: how to call one, at the end of the system message."""
    listed = "\n".join(json.dumps(_declared(tool)["function"]) for tool in tools)
    said = (
        f"You can call these functions, described as JSON:\n{listed}\n"
        f'To call one, answer with nothing but {OPEN}{{"name": the function, "arguments": {{...}}}}{CLOSE}. Otherwise answer in words.'
    )
    if messages and messages[0].role == "system":
        return [replace(messages[0], content=f"{messages[0].content}\n\n{said}"), *messages[1:]]
    return [ChatMessage("system", said), *messages]


def _declared(tool: Tool) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}


def _arguments(call: ToolCall) -> Any:
    try:
        return json.loads(call.arguments)
    except ValueError:
        return call.arguments


def _tagged(call: ToolCall) -> str:
    return f"{OPEN}{json.dumps({'name': call.name, 'arguments': _arguments(call)})}{CLOSE}"
