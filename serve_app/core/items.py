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


ITEM_COSTS, PART_COSTS = 256, 32
"""Characters that an item and each part of it count for beside their text: empty ones take memory and time too."""


def characters(item: Item) -> int:
    """Returns what the item counts for in the bound of a conversation: all of its text, names and ids included, and what it costs by
    itself."""
    own = ITEM_COSTS + len(item.id)
    match item:
        case Message():
            return own + sum(PART_COSTS + len(part.text or "") for part in item.parts)
        case FunctionCall():
            return own + len(item.name) + len(item.call_id) + len(item.arguments)
        case FunctionCallOutput():
            return own + len(item.call_id) + len(item.output)


@dataclass(frozen=True, slots=True)
class ItemReference:
    """In a response's own input: an item of the conversation, by id."""

    id: str


class History:
    """The items in order. Ids are unique; an unknown id raises KeyError. All calls but iteration take the same time, however many items
    there are. Whoever changes the text of an item calls `recount` afterwards."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._next: dict[str | None, str | None] = {None: None}  # by id; None stands before the first and after the last
        self._previous: dict[str | None, str | None] = {None: None}
        self._counted: dict[str, int] = {}
        self._calls: dict[str, set[str]] = {}  # ids of items by call id
        self.characters = 0
        """What all items count for together, as they were when they came or were recounted."""

    def __iter__(self) -> Iterator[Item]:
        return self._along(self._next)

    def __reversed__(self) -> Iterator[Item]:
        return self._along(self._previous)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __getitem__(self, item_id: str) -> Item:
        return self._items[item_id]

    def holds(self, item: Item) -> bool:
        """Returns whether this very item is in the history: its id may have been deleted, and given to another."""
        return self._items.get(item.id) is item

    def calls(self, call_id: str) -> list[FunctionCall]:
        """Returns the calls of that id; a client may create several."""
        found = (self._items[item_id] for item_id in self._calls.get(call_id, ()))
        return [one for one in found if isinstance(one, FunctionCall)]

    def previous_of(self, item_id: str) -> str | None:
        return self._previous[item_id]

    @property
    def last(self) -> Item | None:
        last = self._previous[None]
        return None if last is None else self._items[last]

    @property
    def last_id(self) -> str | None:
        return self._previous[None]

    def append(self, item: Item) -> str | None:
        """Returns the id of the item before it."""
        previous = self.last_id
        self.insert_after(previous, item)
        return previous

    def insert_after(self, previous: str | None, item: Item) -> None:
        """`previous`: None puts the item at the root. Raises ValueError for an id that is taken."""
        if item.id in self._items:
            raise ValueError(f"item {item.id!r} is in the history already")
        after = self._next[previous]
        self._items[item.id] = item
        self._next[previous] = self._previous[after] = item.id
        self._previous[item.id], self._next[item.id] = previous, after
        self._counted[item.id] = 0
        self.recount(item)
        if isinstance(item, FunctionCall):
            self._calls.setdefault(item.call_id, set()).add(item.id)

    def remove(self, item_id: str) -> Item:
        item = self._items.pop(item_id)
        previous, after = self._previous.pop(item_id), self._next.pop(item_id)
        self._next[previous], self._previous[after] = after, previous
        self.characters -= self._counted.pop(item_id)
        if isinstance(item, FunctionCall):
            self._calls[item.call_id].discard(item_id)
            if not self._calls[item.call_id]:
                del self._calls[item.call_id]
        return item

    def recount(self, item: Item) -> None:
        """The text of the item has changed. Nothing for an item that is not in the history."""
        if self.holds(item):
            counted = characters(item)
            self.characters += counted - self._counted[item.id]
            self._counted[item.id] = counted

    def _along(self, links: dict[str | None, str | None]) -> Iterator[Item]:
        item_id = links[None]
        while item_id is not None:
            yield self._items[item_id]
            item_id = links[item_id]
