"""What was said and what was heard of it: the items of a conversation, and for each spoken answer how much of it reached the listener."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Command, Tell, problem
from serve_app.core.items import FunctionCall, FunctionCallOutput, History, Item, Kind, Message, Role, Status, characters
from serve_app.core.playback import Playback
from serve_app.core.truncation import SpokenAudio

TOO_LATE_S = 0.5
"""Clients that count the time since they began to play may be so much beyond the end of the audio."""

MOST = 4 * 1024 * 1024
"""Characters of a conversation beyond which a client creates no more items; a model's context has an eighth of that, or less."""


class Memory:
    def __init__(self) -> None:
        self.history = History()
        self.playback = Playback()
        self._spoken: dict[str, SpokenAudio] = {}  # by item id, in the order in which they were first heard

    def handle(self, event: ev.ItemCreated | ev.ItemDeleted | ev.ItemAsked | ev.ItemTruncated) -> list[Command]:
        match event:
            case ev.ItemCreated():
                return self._create(event)
            case ev.ItemTruncated():
                return self._truncate(event)
            case ev.ItemDeleted(item_id, event_id):
                if item_id not in self.history:
                    return [_missing(item_id, "item_delete_invalid_item_id", event_id)]
                self.history.remove(item_id)
                self._spoken.pop(item_id, None)
                return [Tell(told.ItemGone(item_id))]
            case ev.ItemAsked(item_id, event_id):
                if item_id not in self.history:
                    return [_missing(item_id, "item_retrieve_invalid_item_id", event_id)]
                return [Tell(told.ItemShown(deepcopy(self.history[item_id])))]

    def append(self, item: Item) -> list[Command]:
        previous = self.history.append(item)
        return [Tell(told.ItemAdded(deepcopy(item), previous)), Tell(told.ItemDone(deepcopy(item), previous))]

    def sent(self, spoken: tuple[str, SpokenAudio] | None, duration_s: float, now: float) -> None:
        """Audio of that item was handed to the client."""
        self.playback.sent(duration_s, now)
        if spoken is not None:
            self._spoken.setdefault(*spoken)

    def interrupted(self, live: tuple[str, SpokenAudio] | None, now: float) -> None:
        """The listener stopped listening: cut the answers, the newest first, by what cannot have been played yet. `live` is the one still
        being made: whatever of it was not sent is unheard too."""
        unplayed_s = self.playback.ahead_s(now)
        self.playback.flush(now)
        if live is not None:
            self._spoken.setdefault(*live)
        for item_id, audio in reversed(self._spoken.items()):
            is_live = live is not None and item_id == live[0]
            if unplayed_s <= 0 and not is_live:
                break
            self._cut(item_id, audio.duration_s - unplayed_s)
            unplayed_s -= audio.duration_s

    def cancelled(self, live: tuple[str, SpokenAudio] | None) -> None:
        """The client cancelled the answer that is being made: what was sent may still be played, the rest of its words will not be."""
        if live is not None:
            item_id, audio = live
            self._spoken.setdefault(item_id, audio)
            self._cut(item_id, audio.duration_s)

    def asks(self) -> bool:
        """Whether the last answer, as far as it is made, has a question in it."""
        last = self.history.last
        return isinstance(last, Message) and last.role is Role.ASSISTANT and any("?" in (part.text or "") for part in last.parts)

    def saying(self, from_s: float, to_s: float) -> str:
        """What the agent said between these two times of the clock, or will say, if the client plays it as expected."""
        text, begins_at = "", self.playback.ends_at
        for audio in reversed(self._spoken.values()):
            begins_at -= audio.duration_s
            if begins_at < to_s:
                text = audio.said(from_s - begins_at, to_s - begins_at) + " " + text
            if begins_at < from_s:
                break
        return text

    def kept(self) -> Iterator[Item]:
        """The items as another conversation should find them, the newest first: without those whose words are not known (yet), or that
        were broken off; of an answer that is still being made what was sent of its audio. Not to be changed."""
        return (item for one in reversed(self.history) if (item := self._kept(one)) is not None)

    def _kept(self, item: Item) -> Item | None:
        match item:
            case FunctionCall():
                return item if item.status is Status.COMPLETED else None
            case FunctionCallOutput():
                return item
        if not item.parts or any(part.text is None for part in item.parts):
            return None
        if item.status is not Status.IN_PROGRESS or item.parts[0].kind is not Kind.OUTPUT_AUDIO:
            return item
        spoken = self._spoken.get(item.id)
        return replace(item, heard=spoken.heard(spoken.duration_s) if spoken else "")

    def _create(self, event: ev.ItemCreated) -> list[Command]:
        item, previous = event.item, event.previous
        if item.id in self.history:
            return [problem(f"Item {item.id!r} already exists.", "item_create_duplicate_item_id", "item.id", event.event_id)]
        if previous not in (None, "root") and previous not in self.history:
            message = f"Item {previous!r} does not exist."
            return [problem(message, "item_create_invalid_previous_item_id", "previous_item_id", event.event_id)]
        if sum(map(characters, self.history)) + characters(item) > MOST:
            message = f"With this item the conversation would have over {MOST} characters: delete others first."
            return [problem(message, "conversation_too_long", "item", event.event_id)]
        after = {None: self.history.last_id, "root": None}.get(previous, previous)
        self.history.insert_after(after, item)
        return [Tell(told.ItemAdded(deepcopy(item), after)), Tell(told.ItemDone(deepcopy(item), after))]

    def _truncate(self, event: ev.ItemTruncated) -> list[Command]:
        if event.item_id not in self.history:
            return [_missing(event.item_id, "item_truncate_invalid_item_id", event.event_id)]
        item = self.history[event.item_id]
        if not isinstance(item, Message) or not item.parts or item.parts[0].kind is not Kind.OUTPUT_AUDIO:
            return [problem("Only audio of the assistant's messages can be truncated.", "invalid_value", "item_id", event.event_id)]
        if event.content_index != 0:
            message = f"The message has no content at index {event.content_index}."
            return [problem(message, "invalid_value", "content_index", event.event_id)]
        spoken = self._spoken.get(event.item_id)
        sent_s = spoken.duration_s if spoken else 0.0
        if event.played_s > sent_s + TOO_LATE_S:
            message = f"The audio of the item has {sent_s * 1000:.0f} ms, less than the {event.played_s * 1000:.0f} ms it is to be cut at."
            return [problem(message, "invalid_value", "audio_end_ms", event.event_id)]
        self._cut(event.item_id, event.played_s)
        by_words = spoken is not None and spoken.timed_by_words
        return [Tell(told.ItemCut(event.item_id, event.content_index, event.played_s, by_words))]

    def _cut(self, item_id: str, played_s: float) -> None:
        if item_id in self.history:
            item = self.history[item_id]
            assert isinstance(item, Message)
            if item.parts and item.parts[0].kind is not Kind.OUTPUT_AUDIO:
                return  # written answers are read at once
            item.heard = self._spoken[item_id].heard(played_s) if item_id in self._spoken else ""
            item.played_s = max(0.0, played_s)


def _missing(item_id: str, code: str, event_id: str | None) -> Command:
    return problem(f"Item {item_id!r} does not exist.", code, "item_id", event_id)
