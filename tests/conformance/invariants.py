"""What is always true of the messages of a Realtime server, whatever its client does. Source: the protocol notes in docs/design.md.

`Invariants.see` takes every server message in order and raises `Broken` at the first that breaks a rule; `finish` looks at what was left
open. Messages are plain dicts, so that it can watch any server.
"""

from enum import StrEnum
from typing import Any

Event = dict[str, Any]
LONGEST_MESSAGE = 1024 * 1024
"""Bytes; pipecat's limit for one message."""


class Rule(StrEnum):
    """What holds in every conversation. The last four are watched in tests/conformance/watch.py."""

    EVENT_IDS = "every event has an event_id of its own"
    ONE_END = "each response.created has exactly one response.done, and nothing of that response follows it"
    ONE_LIVE = "at most one response of the conversation is live"
    ALL_DONE = "everything added or started is done, on cancel too, and in its place"
    TEXTS = "the deltas joined equal the text of the done events, of the items and of response.output"
    AFTER_ADDED = "no delta comes before its item and its part, or after its done"
    ORDER = "previous_item_id rebuilds one order"
    SPEECH_PAIRS = "each speech_started is followed by its speech_stopped, before the next one, its commit and a clear"
    USAGE = "total_tokens is input_tokens + output_tokens"
    KNOWN = "no event type comes that is not in the GA set"
    SIZE = "no message is above 1 MiB"
    OPENAI = "every message is what openai.types.realtime says, strictly"
    AGENTS_JS = "every message is what @openai/agents-realtime expects"


class Broken(AssertionError):
    """A rule of the protocol was broken."""

    def __init__(self, rule: Rule, what: str) -> None:
        super().__init__(rule, what)
        self.rule, self.what = rule, what

    def __str__(self) -> str:
        return f"{self.what} (the rule: {self.rule})"


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
        self._speaking: str | None = None  # the item of speech that has started and not stopped

    @property
    def order(self) -> list[str]:
        """The conversation's items in order, as a client rebuilds it."""
        return list(self._order)

    @property
    def live(self) -> list[str]:
        """Ids of the responses that are not done yet."""
        return list(self._live)

    @property
    def unfinished(self) -> list[str]:
        """Ids of the items that were added and are not done yet."""
        return [item for item, done in self._added.items() if not done]

    def see(self, event: Event) -> None:
        kind = event["type"]
        if kind.startswith("conversation.item."):
            self._item(kind, event)
        elif kind.startswith("input_audio_buffer."):
            self._buffer(kind.removeprefix("input_audio_buffer."), event)
        elif kind == "response.created":
            self._created(event["response"])
        elif kind == "response.done":
            self._done(event["response"])
        elif kind.startswith("response."):
            self._in_response(kind, event)
        event_id = event.get("event_id")  # last: one without it is still part of the conversation
        _check(isinstance(event_id, str) and event_id not in self._event_ids, Rule.EVENT_IDS, f"event_id {event_id!r}: none, or a used one")
        self._event_ids.add(str(event_id))

    def finish(self) -> None:
        """Call when the server has nothing more to say."""
        _check(not self._live, Rule.ONE_END, f"responses without response.done: {list(self._live)}")
        _check(not self.unfinished, Rule.ALL_DONE, f"items added and never done: {self.unfinished}")

    # --- the conversation ---------------------------------------------------------------------------------------------------------------

    def _item(self, kind: str, event: Event) -> None:
        match kind.removeprefix("conversation.item."):
            case "added":
                item_id, previous = event["item"]["id"], event.get("previous_item_id")
                _check(item_id not in self._added, Rule.ALL_DONE, f"item {item_id} added twice")
                _check(previous is None or previous in self._order, Rule.ORDER, f"item {item_id} follows {previous}, which is not there")
                self._added[item_id] = False
                self._order.insert(0 if previous is None else self._order.index(previous) + 1, item_id)
            case "done":
                item_id = event["item"]["id"]
                _check(self._added.get(item_id) is False, Rule.ALL_DONE, f"item {item_id} done without being added, or twice")
                self._added[item_id] = True
            case "deleted":
                _check(event["item_id"] in self._order, Rule.ORDER, f"item {event['item_id']} deleted, which is not there")
                self._order.remove(event["item_id"])
                del self._added[event["item_id"]]  # the id may be used again

    def _buffer(self, what: str, event: Event) -> None:
        match what:
            case "speech_started":
                _check(self._speaking is None, Rule.SPEECH_PAIRS, f"speech starts, and that of {self._speaking} has not stopped")
                self._speaking = event["item_id"]
            case "speech_stopped":
                _check(self._speaking == event["item_id"], Rule.SPEECH_PAIRS, f"speech of {event['item_id']} stops without a start")
                self._speaking = None
            case "committed" | "cleared":
                _check(self._speaking is None, Rule.SPEECH_PAIRS, f"{what}, and the speech of {self._speaking} has not stopped")

    # --- responses ----------------------------------------------------------------------------------------------------------------------

    def _created(self, response: Event) -> None:
        known = response["id"] in self._live or response["id"] in self._over
        _check(not known, Rule.ONE_END, f"response {response['id']} created twice")
        _check(response["status"] == "in_progress", Rule.ONE_END, "a created response is in progress")
        if response["conversation_id"] is not None:
            _check(self._default is None, Rule.ONE_LIVE, f"response {response['id']} created while {self._default} is live")
            self._default = response["id"]
        self._live[response["id"]] = _Response()

    def _in_response(self, kind: str, event: Event) -> None:
        _check(event["response_id"] in self._live, Rule.ONE_END, f"{kind} for a response that is not live")
        state = self._live[event["response_id"]]
        name = kind.removeprefix("response.")
        match name.rsplit(".", 1):
            case ["output_item", "added"]:
                _check(event["item"]["id"] not in state.items, Rule.ALL_DONE, "output item added twice")
                _check(event["output_index"] == len(state.items), Rule.ALL_DONE, "output_index counts up from 0")
                state.items[event["item"]["id"]] = False
            case ["output_item", "done"]:
                _check(state.items.get(event["item"]["id"]) is False, Rule.ALL_DONE, "output item done without being added, or twice")
                state.items[event["item"]["id"]] = True
                self._texts_agree(state, event["item"])
            case ["content_part", "added"]:
                self._open_item(state, event)
                state.parts[event["item_id"], event["content_index"]] = False
            case ["content_part", "done"]:
                key = (event["item_id"], event["content_index"])
                _check(state.parts.get(key) is False, Rule.ALL_DONE, "content part done without being added, or twice")
                state.parts[key] = True
                text = event["part"].get("transcript") if event["part"]["type"] == "audio" else event["part"].get("text")
                _check(text == self._joined(state, event["item_id"]), Rule.TEXTS, "content_part.done holds another text than the deltas")
            case [what, "delta"]:
                self._delta(state, what, event)
            case [what, "done"]:
                self._text_done(state, what, event)

    def _delta(self, state: _Response, what: str, event: Event) -> None:
        self._open_item(state, event)
        if what == "output_audio":
            _check(not state.audio.get(event["item_id"]), Rule.AFTER_ADDED, "audio after output_audio.done")
            state.audio[event["item_id"]] = False
        if what != "function_call_arguments":
            part_is_open = state.parts.get((event["item_id"], event["content_index"])) is False
            _check(part_is_open, Rule.AFTER_ADDED, f"{what}.delta outside its content part")
        key = (what, event["item_id"])
        _check(key not in state.done_texts, Rule.AFTER_ADDED, f"{what}.delta after its done")
        if what != "output_audio":
            state.deltas[key] = state.deltas.get(key, "") + event["delta"]

    def _text_done(self, state: _Response, what: str, event: Event) -> None:
        self._open_item(state, event)
        if what == "output_audio":
            state.audio[event["item_id"]] = True
            return
        field = {"output_audio_transcript": "transcript", "output_text": "text", "function_call_arguments": "arguments"}[what]
        key = (what, event["item_id"])
        _check(key not in state.done_texts, Rule.ALL_DONE, f"{what}.done twice")
        _check(event[field] == state.deltas.get(key, ""), Rule.TEXTS, f"{what}.done holds another text than the deltas")
        state.done_texts[key] = event[field]

    def _open_item(self, state: _Response, event: Event) -> None:
        _check(state.items.get(event["item_id"]) is False, Rule.AFTER_ADDED, f"{event['type']} outside its output item")

    def _joined(self, state: _Response, item_id: str) -> str:
        return "".join(text for (_, item), text in state.deltas.items() if item == item_id)

    def _texts_agree(self, state: _Response, item: Event) -> None:
        if item["type"] == "function_call":
            _check(item["arguments"] == self._joined(state, item["id"]), Rule.TEXTS, "the item's arguments are not its deltas joined")
        for part in item.get("content", []):
            text = part.get("transcript") if part["type"] == "output_audio" else part.get("text")
            _check(text == self._joined(state, item["id"]), Rule.TEXTS, "the item's text is not its deltas joined")

    def _done(self, response: Event) -> None:
        _check(response["id"] in self._live, Rule.ONE_END, f"response.done for {response['id']}, which is not live")
        state = self._live.pop(response["id"])
        self._over.add(response["id"])
        if self._default == response["id"]:
            self._default = None
        _check(response["status"] != "in_progress", Rule.ONE_END, "a response that is done is not in progress")
        _check(all(state.items.values()), Rule.ALL_DONE, "response.done with an output item that is not done")
        _check(all(state.parts.values()), Rule.ALL_DONE, "response.done with a content part that is not done")
        _check(all(state.audio.values()), Rule.ALL_DONE, "response.done with audio that is not done")
        _check(all(key in state.done_texts for key in state.deltas), Rule.ALL_DONE, "response.done with text that is not done")
        listed = [item["id"] for item in response["output"]]
        _check(listed == list(state.items), Rule.TEXTS, "response.output holds other items than were added")
        for item in response["output"]:
            self._texts_agree(state, item)
        if usage := response.get("usage"):
            sums = usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
            _check(sums, Rule.USAGE, "total_tokens is not input + output")


def _check(holds: bool, rule: Rule, what: str) -> None:
    if not holds:
        raise Broken(rule, what)
