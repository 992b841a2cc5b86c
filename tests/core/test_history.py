"""The items of a conversation in one order, and what they count for."""

import random

import pytest

from serve_app.core import events as ev
from serve_app.core import items
from serve_app.core import notifications as told
from serve_app.core.items import FunctionCall, FunctionCallOutput, History, Item, Kind, Message, Part, Role
from serve_app.core.memory import MOST
from tests.core.talk import Talk


def text(item_id: str, said: str = "") -> Message:
    return Message(item_id, Role.USER, [Part(Kind.INPUT_TEXT, said)])


def test_the_order_is_that_of_a_list() -> None:
    dice, history, plain = random.Random(12), History(), list[Item]()
    for number in range(600):
        if plain and dice.random() < 0.35:
            gone = plain.pop(dice.randrange(len(plain)))
            assert history.remove(gone.id) is gone
        else:
            item = text(f"item_{number}")
            place = dice.randint(0, len(plain))
            history.insert_after(plain[place - 1].id if place else None, item)
            plain.insert(place, item)
        assert list(history) == plain and list(reversed(history)) == plain[::-1] and len(history) == len(plain)
        assert history.last is (plain[-1] if plain else None)
        assert [history.previous_of(item.id) for item in plain] == [None, *(item.id for item in plain)][: len(plain)]


def test_an_id_is_taken_once_and_an_unknown_one_is_an_error() -> None:
    history, first = History(), text("one")
    history.append(first)
    with pytest.raises(ValueError, match="one"):
        history.append(text("one"))
    for unknown in (history.remove, history.previous_of, history.__getitem__):
        with pytest.raises(KeyError):
            unknown("two")
    assert history.holds(first) and not history.holds(text("one"))


def test_the_count_follows_what_comes_goes_and_grows() -> None:
    history, answer = History(), Message("a", Role.ASSISTANT, [Part(Kind.OUTPUT_TEXT, "Hi")])
    history.append(text("q", "Hello?"))
    before = history.characters
    history.append(answer)
    answer.parts[0].text = "Hi there"
    history.recount(answer)
    assert history.characters == sum(map(items.characters, history))
    history.recount(text("a", "another of the same id"))
    history.remove("a")
    assert history.characters == before


LONG = "x" * 2**20


@pytest.mark.parametrize(
    "item",
    [
        FunctionCall("a", LONG, "call", ""),
        FunctionCall("a", "look_up", LONG, ""),
        FunctionCall("a", "look_up", "call", LONG),
        FunctionCallOutput("a", LONG, ""),
        FunctionCallOutput("a", "call", LONG),
        text("a", LONG),
        text(LONG),
        Message("a", Role.USER, [Part(Kind.INPUT_TEXT, "") for _ in range(2**15)]),
    ],
    ids=["name", "call id", "arguments", "id of its call", "output", "text", "id", "empty parts"],
)
def test_all_that_an_item_holds_counts(item: Item) -> None:
    assert items.characters(item) >= 2**20


def test_empty_items_come_to_an_end() -> None:
    talk = Talk()
    for number in range(MOST // items.ITEM_COSTS):
        talk.conversation.handle(ev.ItemCreated(text(f"item_{number}")), 0.0)
    talk.happens(ev.ItemCreated(text("too many")))
    assert talk.told(told.Problem)[0].code == "conversation_too_long"
    talk.happens(ev.ItemDeleted("item_1"), ev.ItemCreated(text("again")))
    assert talk.conversation.memory.history.last_id == "again"


def test_an_item_costs_as_much_after_thousands_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in items that are looked at, not in seconds."""
    counted = list[Item]()
    real = items.characters

    def noted(item: Item) -> int:
        counted.append(item)
        return real(item)

    monkeypatch.setattr("serve_app.core.items.characters", noted)
    monkeypatch.setattr("serve_app.core.memory.characters", noted)
    monkeypatch.setattr(History, "__iter__", lambda history: pytest.fail("all items were looked at"))
    talk = Talk()
    for number in range(2000):
        talk.happens(ev.ItemCreated(text(f"item_{number}"), f"item_{number // 2}" if number else None))
        talk.happens(ev.ItemTruncated(f"item_{number}", 0, 0.0), ev.ItemAsked(f"item_{number}"))
    assert len(counted) <= 2 * 2000
