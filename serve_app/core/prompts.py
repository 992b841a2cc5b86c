"""From the items of a conversation to the messages that a language model reads."""

from collections.abc import Iterable, Iterator

from serve_app.core.items import FunctionCall, FunctionCallOutput, Item, Message, Role, Status
from serve_app.core.language import ChatMessage, ToolCall

INAUDIBLE = "(Something was said here that could not be understood.)"
"""Stands for an utterance whose transcription failed, so that the model can ask again."""


def chat_messages(instructions: str, items: Iterable[Item]) -> tuple[ChatMessage, ...]:
    """The system message first; an interrupted answer as far as it was heard; what has no words left out; neighbours of one role joined,
    because some chat templates refuse two user messages in a row; the results of calls right after these, as chat templates want them."""
    messages = [ChatMessage("system", instructions)] if instructions else []
    for item in _results_by_their_calls(items):
        for message in _of_item(item):
            if messages and _joinable(messages[-1], message):
                messages[-1] = _joined(messages[-1], message)
            else:
                messages.append(message)
    return tuple(messages)


def text_of(message: Message) -> str:
    if message.heard is not None:
        return message.heard
    return " ".join(part.text for part in message.parts if part.text)


def _results_by_their_calls(items: Iterable[Item]) -> list[Item]:
    """Clients send results in the order in which their tools end, one perhaps after the answer to another. A result whose call is not
    there (any more) is left out."""
    ordered: list[Item] = []
    for item in items:
        if not isinstance(item, FunctionCallOutput):
            ordered.append(item)
        elif (place := _place_of_result(ordered, item.call_id)) is not None:
            ordered.insert(place, item)
    return ordered


def _place_of_result(items: list[Item], call_id: str) -> int | None:
    """After the run of calls and results in which the call is."""
    for index, item in enumerate(items):
        if isinstance(item, FunctionCall) and item.call_id == call_id and item.status is Status.COMPLETED:
            after = index + 1
            while after < len(items) and isinstance(items[after], FunctionCall | FunctionCallOutput):
                after += 1
            return after
    return None


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


def _joinable(first: ChatMessage, second: ChatMessage) -> bool:
    return first.role == second.role and first.role in ("user", "assistant")


def _joined(first: ChatMessage, second: ChatMessage) -> ChatMessage:
    content = "\n".join(text for text in (first.content, second.content) if text)
    return ChatMessage(first.role, content, first.tool_calls + second.tool_calls)
