"""What is always true of the messages of a Realtime server, whatever its client does. Source: the protocol notes in docs/design.md.

`Invariants.see` takes every server message in order and raises `Broken` at the first that breaks a rule; `finish` looks at what was left
open. Messages are plain dicts, so that it can watch any server.
"""

from typing import Any

Event = dict[str, Any]
LONGEST_MESSAGE = 1024 * 1024
"""Bytes; pipecat's limit for one message."""


class Broken(AssertionError):
    """A rule of the protocol was broken."""


class _Response:
    def __init__(self) -> None:
        self.items: dict[str, bool] = {}  # id -> done
        self.parts: dict[tuple[str, int], bool] = {}
        self.deltas: dict[tuple[str, str], str] = {}  # (kind, item) -> joined
        self.done_texts: dict[tuple[str, str], str] = {}
        self.audio: dict[str, bool] = {}  # item id -> audio done


class Invariants:
    def __init__(self) -> None:
        self._event_ids: set[str] = set()
        self._live: dict[str, _Response] = {}
        self._over: set[str] = set()
        self._order: list[str] = []
        self._added: dict[str, bool] = {}
        self._default: str | None = None

    @property
    def order(self) -> list[str]:
        """The conversation's items in order, as a client rebuilds it."""
        return list(self._order)

    def see(self, event: Event) -> None:
        event_id = event.get("event_id")
        _check(isinstance(event_id, str) and event_id not in self._event_ids, f"event_id {event_id!r} is missing or used twice")
        self._event_ids.add(str(event_id))
        kind = event["type"]
        if kind.startswith("conversation.item."):
            self._item(kind, event)
        elif kind == "response.created":
            self._created(event["response"])
        elif kind == "response.done":
            self._done(event["response"])
        elif kind.startswith("response."):
            self._in_response(kind, event)

    def finish(self) -> None:
        """Call when the server has nothing more to say."""
        _check(not self._live, f"responses without response.done: {list(self._live)}")
        open_items = [item for item, done in self._added.items() if not done]
        _check(not open_items, f"items added and never done: {open_items}")

    # --- the conversation ---------------------------------------------------------------------------------------------------------------

    def _item(self, kind: str, event: Event) -> None:
        match kind.removeprefix("conversation.item."):
            case "added":
                item_id, previous = event["item"]["id"], event.get("previous_item_id")
                _check(item_id not in self._added, f"item {item_id} added twice")
                _check(previous is None or previous in self._order, f"item {item_id} follows {previous}, which is not there")
                self._added[item_id] = False
                self._order.insert(0 if previous is None else self._order.index(previous) + 1, item_id)
            case "done":
                item_id = event["item"]["id"]
                _check(self._added.get(item_id) is False, f"item {item_id} done without being added, or twice")
                self._added[item_id] = True
            case "deleted":
                _check(event["item_id"] in self._order, f"item {event['item_id']} deleted, which is not there")
                self._order.remove(event["item_id"])
                del self._added[event["item_id"]]  # the id may be used again

    # --- responses ----------------------------------------------------------------------------------------------------------------------

    def _created(self, response: Event) -> None:
        _check(response["id"] not in self._live and response["id"] not in self._over, f"response {response['id']} created twice")
        _check(response["status"] == "in_progress", "a created response is in progress")
        if response["conversation_id"] is not None:
            _check(self._default is None, f"response {response['id']} created while {self._default} is live")
            self._default = response["id"]
        self._live[response["id"]] = _Response()

    def _in_response(self, kind: str, event: Event) -> None:
        _check(event["response_id"] in self._live, f"{kind} for a response that is not live")
        state = self._live[event["response_id"]]
        name = kind.removeprefix("response.")
        match name.rsplit(".", 1):
            case ["output_item", "added"]:
                _check(event["item"]["id"] not in state.items, "output item added twice")
                _check(event["output_index"] == len(state.items), "output_index counts up from 0")
                state.items[event["item"]["id"]] = False
            case ["output_item", "done"]:
                _check(state.items.get(event["item"]["id"]) is False, "output item done without being added, or twice")
                state.items[event["item"]["id"]] = True
                self._texts_agree(state, event["item"])
            case ["content_part", "added"]:
                self._open_item(state, event)
                state.parts[event["item_id"], event["content_index"]] = False
            case ["content_part", "done"]:
                key = (event["item_id"], event["content_index"])
                _check(state.parts.get(key) is False, "content part done without being added, or twice")
                state.parts[key] = True
                text = event["part"].get("transcript") if event["part"]["type"] == "audio" else event["part"].get("text")
                _check(text == self._joined(state, event["item_id"]), "content_part.done holds another text than the deltas")
            case [what, "delta"]:
                self._delta(state, what, event)
            case [what, "done"]:
                self._text_done(state, what, event)

    def _delta(self, state: _Response, what: str, event: Event) -> None:
        self._open_item(state, event)
        if what == "output_audio":
            _check(event["item_id"] not in state.audio, "audio after output_audio.done")
        if what != "function_call_arguments":
            _check(state.parts.get((event["item_id"], event["content_index"])) is False, f"{what}.delta before its content part")
        key = (what, event["item_id"])
        _check(key not in state.done_texts, f"{what}.delta after its done")
        if what != "output_audio":
            state.deltas[key] = state.deltas.get(key, "") + event["delta"]

    def _text_done(self, state: _Response, what: str, event: Event) -> None:
        self._open_item(state, event)
        if what == "output_audio":
            state.audio[event["item_id"]] = True
            return
        field = {"output_audio_transcript": "transcript", "output_text": "text", "function_call_arguments": "arguments"}[what]
        key = (what, event["item_id"])
        _check(key not in state.done_texts, f"{what}.done twice")
        _check(event[field] == state.deltas.get(key, ""), f"{what}.done holds another text than the deltas")
        state.done_texts[key] = event[field]

    def _open_item(self, state: _Response, event: Event) -> None:
        _check(state.items.get(event["item_id"]) is False, f"{event['type']} outside its output item")

    def _joined(self, state: _Response, item_id: str) -> str:
        return "".join(text for (_, item), text in state.deltas.items() if item == item_id)

    def _texts_agree(self, state: _Response, item: Event) -> None:
        if item["type"] == "function_call":
            _check(item["arguments"] == self._joined(state, item["id"]), "the item's arguments are not its deltas joined")
        for part in item.get("content", []):
            text = part.get("transcript") if part["type"] == "output_audio" else part.get("text")
            _check(text == self._joined(state, item["id"]), "the item's text is not its deltas joined")

    def _done(self, response: Event) -> None:
        _check(response["id"] in self._live, f"response.done for {response['id']}, which is not live")
        state = self._live.pop(response["id"])
        self._over.add(response["id"])
        if self._default == response["id"]:
            self._default = None
        _check(response["status"] != "in_progress", "a response that is done is not in progress")
        _check(all(state.items.values()), "response.done with an output item that is not done")
        _check(all(state.parts.values()), "response.done with a content part that is not done")
        _check([item["id"] for item in response["output"]] == list(state.items), "response.output holds other items than were added")
        for item in response["output"]:
            self._texts_agree(state, item)
        if usage := response.get("usage"):
            _check(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], "total_tokens is not input + output")


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise Broken(rule)
