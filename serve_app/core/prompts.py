"""From the items of a conversation to the messages that a language model reads."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, Message, Role, Status
from serve_app.core.language import ChatMessage, ToolCall

INAUDIBLE = "(Something was said here that could not be understood.)"
"""Stands for an utterance whose transcription failed, so that the model can ask again."""


NOTHING_YET = "The conversation begins now, and nobody has said anything yet. You speak first: greet the user briefly."
"""What the model reads when it is to answer and there is nothing to answer: chat templates fail without any message."""


def chat_messages(instructions: str, items: Iterable[Item]) -> tuple[ChatMessage, ...]:
    """The system message first; an interrupted answer as far as it was heard; what has no words left out; neighbours of one role joined,
    because some chat templates refuse two user messages in a row; the results of calls right after these, as chat templates want them.
    Never empty."""
    messages = [ChatMessage("system", instructions)] if instructions.strip() else []
    said = [message for item in _results_by_their_calls(items) for message in _of_item(item)]
    for _, neighbours in groupby(enumerate(said), key=_joined_with):
        messages.append(_joined([message for _, message in neighbours]))
    return tuple(messages) or (ChatMessage("system", NOTHING_YET),)


def text_of(message: Message) -> str:
    if message.heard is not None:
        return message.heard
    return " ".join(part.text for part in message.parts if part.text)


def _results_by_their_calls(items: Iterable[Item]) -> list[Item]:
    """Clients send results in the order in which their tools end, one perhaps after the answer to another: each comes after the run of
    calls and results in which its call is. A result whose call is not there (any more) is left out."""
    runs: list[list[Item]] = []
    run_of: dict[str, list[Item]] = {}  # by call id, where the call is complete
    early: dict[str, list[Item]] = {}  # results that stand before their call
    for item in items:
        if isinstance(item, FunctionCallOutput):
            (run_of.get(item.call_id) or early.setdefault(item.call_id, [])).append(item)
            continue
        if not isinstance(item, FunctionCall) or not runs or isinstance(runs[-1][-1], Message):
            runs.append([])
        runs[-1].append(item)
        if isinstance(item, FunctionCall) and item.status is Status.COMPLETED:
            run_of.setdefault(item.call_id, runs[-1]).extend(early.pop(item.call_id, ()))
    return [item for run in runs for item in run]


def _of_item(item: Item) -> Iterator[ChatMessage]:
    match item:
        case Message():
            text = text_of(item).strip()
            if text and not (item.role is Role.ASSISTANT and item.status is Status.IN_PROGRESS):
                yield ChatMessage(str(item.role), text)
        case FunctionCall(status=Status.COMPLETED):
            yield ChatMessage("assistant", "", tool_calls=(ToolCall(item.call_id, item.name, item.arguments),))
        case FunctionCall():
            return
        case FunctionCallOutput():
            yield ChatMessage("tool", item.output, call_id=item.call_id)


def _joined_with(numbered: tuple[int, ChatMessage]) -> str | int:
    """Neighbours with the same value are one message."""
    number, message = numbered
    return message.role if message.role in ("user", "assistant") else number


def _joined(messages: list[ChatMessage]) -> ChatMessage:
    content = "\n".join(message.content for message in messages if message.content)
    calls = tuple(call for message in messages for call in message.tool_calls)
    return ChatMessage(messages[0].role, content, calls, messages[0].call_id)
