"""A session as it can be taken up by another connection: its settings and the items of its conversation, in the wire's own shape. Pure.

The items are what `conversation.item.create` takes, so that taking a session up is nothing but creating them again. The sound of items is
not part of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from serve_app.core.items import Item
from serve_app.realtime.render import item as rendered
from serve_app.realtime.session_object import SessionObject, Unreadable

VERSION = 1
"""Of the shape of a copy. It counts up with a change that an older server cannot read; what was only added does not count."""
LONGEST_BYTES = 256 * 1024
"""Of one session, some hours of talk; the oldest items are left out beyond it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    session: dict[str, Any]
    """As `SessionObject.kept` gives it."""
    items: tuple[dict[str, Any], ...]
    """The oldest first."""


def packed(session: SessionObject, newest_first: Iterable[Item], most_bytes: int = LONGEST_BYTES) -> bytes:
    items: list[dict[str, Any]] = []
    settings = session.kept()
    left = most_bytes - len(orjson.dumps(settings))
    for one in newest_first:
        item = rendered(one)
        left -= len(orjson.dumps(item)) + 1
        if left < 0:
            break
        items.append(item)
    return orjson.dumps({"version": VERSION, "session": settings, "items": _results_after_calls(items[::-1])})


def _results_after_calls(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An item is taken when the call that it is the result of is there: a client may have put it before that, and an older call may have
    been left out."""
    ordered: list[dict[str, Any]] = []
    called: set[str] = set()
    early: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if item["type"] == "function_call_output" and item["call_id"] not in called:
            early.setdefault(item["call_id"], []).append(item)
            continue
        ordered.append(item)
        if item["type"] == "function_call":
            called.add(item["call_id"])
            ordered += early.pop(item["call_id"], [])
    return ordered


def unpacked(data: bytes) -> Snapshot:
    """Raises `Unreadable` for what another version of the server kept in a shape of its own."""
    try:
        body = orjson.loads(data)
        version = body.get("version", 1)  # the first copies did not name theirs
        if version > VERSION:
            raise Unreadable(f"the copy is of version {version}, and this server reads up to {VERSION}")
        return Snapshot({**body["session"]}, tuple(body["items"]))
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise Unreadable(f"the copy is damaged: {error!r}") from error


def creation(item: dict[str, Any]) -> bytes:
    """The client's message that makes the item again."""
    return orjson.dumps({"type": "conversation.item.create", "item": item})
