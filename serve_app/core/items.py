"""Items of a conversation: messages, function calls and their results, in one order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Status(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


class Kind(StrEnum):
    """What a part of a message is, by the wire's names."""

    INPUT_TEXT = "input_text"
    INPUT_AUDIO = "input_audio"
    OUTPUT_TEXT = "output_text"
    OUTPUT_AUDIO = "output_audio"


@dataclass(slots=True)
class Part:
    kind: Kind
    text: str | None = None
    """The text, or the transcript of audio; None while (or because) there is none."""


@dataclass(slots=True)
class Message:
    id: str
    role: Role
    parts: list[Part] = field(default_factory=list)
    status: Status = Status.COMPLETED
    heard: str | None = None
    """Of an assistant who was interrupted: the words that reached the listener. None: all of them."""
    played_s: float | None = None
    """The same in seconds of its audio."""


@dataclass(slots=True)
class FunctionCall:
    id: str
    name: str
    call_id: str
    arguments: str = ""
    status: Status = Status.COMPLETED


@dataclass(slots=True)
class FunctionCallOutput:
    id: str
    call_id: str
    output: str
    status: Status = Status.COMPLETED


Item = Message | FunctionCall | FunctionCallOutput


def characters(item: Item) -> int:
    """Of what the item says."""
    match item:
        case Message():
            return sum(len(part.text or "") for part in item.parts)
        case FunctionCall():
            return len(item.arguments)
        case FunctionCallOutput():
            return len(item.output)


@dataclass(frozen=True, slots=True)
class ItemReference:
    """In a response's own input: an item of the conversation, by id."""

    id: str


class History:
    """The items in order. Ids are unique; an unknown id raises KeyError."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __reversed__(self) -> Iterator[Item]:
        return reversed(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: str) -> bool:
        return any(item.id == item_id for item in self._items)

    def __getitem__(self, item_id: str) -> Item:
        return self._items[self._index(item_id)]

    def previous_of(self, item_id: str) -> str | None:
        index = self._index(item_id)
        return self._items[index - 1].id if index else None

    @property
    def last(self) -> Item | None:
        return self._items[-1] if self._items else None

    @property
    def last_id(self) -> str | None:
        return self._items[-1].id if self._items else None

    def append(self, item: Item) -> str | None:
        """Returns the id of the item before it."""
        previous = self.last_id
        self._items.append(item)
        return previous

    def insert_after(self, previous: str | None, item: Item) -> None:
        """None: at the root."""
        self._items.insert(0 if previous is None else self._index(previous) + 1, item)

    def remove(self, item_id: str) -> Item:
        return self._items.pop(self._index(item_id))

    def _index(self, item_id: str) -> int:
        for index, item in enumerate(self._items):
            if item.id == item_id:
                return index
        raise KeyError(item_id)
