"""What was said and what was heard of it: the items of a conversation, and for each spoken answer how much of it reached the listener."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Command, Tell, problem
from serve_app.core.items import FunctionCall, FunctionCallOutput, History, Item, Kind, Message, Role, Status, characters
from serve_app.core.playback import Playback
from serve_app.core.truncation import SpokenAudio

TOO_LATE_S = 0.5
"""Clients that count the time since they began to play may be so much beyond the end of the audio."""

MOST = 4 * 1024 * 1024
"""Characters of a conversation (`items.characters`) beyond which a client creates no more items; a model's context has an eighth of that,
or less."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer of which audio was made. The client may delete its message, and create another with the same id, while it is spoken."""

    item: Message
    audio: SpokenAudio


class Memory:
    def __init__(self) -> None:
        self.history = History()
        self.playback = Playback()
        self._spoken: dict[str, Spoken] = {}  # by the id that the item has or had, in the order in which they were first heard

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
                return [Tell(told.ItemGone(item_id))]
            case ev.ItemAsked(item_id, event_id):
                if item_id not in self.history:
                    return [_missing(item_id, "item_retrieve_invalid_item_id", event_id)]
                return [Tell(told.ItemShown(deepcopy(self.history[item_id])))]

    def append(self, item: Item) -> list[Command]:
        previous = self.history.append(item)
        return [Tell(told.ItemAdded(deepcopy(item), previous)), Tell(told.ItemDone(deepcopy(item), previous))]

    def sent(self, spoken: Spoken | None, duration_s: float, now: float) -> None:
        """Audio of that answer was handed to the client."""
        if self.playback.ahead_s(now) <= 0:
            self._forget_deleted()
        self.playback.sent(duration_s, now)
        if spoken is not None:
            self._known(spoken)

    def interrupted(self, live: Spoken | None, now: float) -> None:
        """The listener stopped listening: cut the answers, the newest first, by what cannot have been played yet. `live` is the one still
        being made: whatever of it was not sent is unheard too."""
        unplayed_s = self.playback.ahead_s(now)
        self.playback.flush(now)
        if live is not None:
            self._known(live)
        for one in reversed(self._spoken.values()):
            is_live = live is not None and one.item is live.item
            if unplayed_s <= 0 and not is_live:
                break
            self._cut(one.item, one.audio.duration_s - unplayed_s)
            unplayed_s -= one.audio.duration_s

    def cancelled(self, live: Spoken | None) -> None:
        """The client cancelled the answer that is being made: what was sent may still be played, the rest of its words will not be."""
        if live is not None:
            self._known(live)
            self._cut(live.item, live.audio.duration_s)

    def _known(self, spoken: Spoken) -> None:
        self._spoken.setdefault(spoken.item.id, spoken)

    def _forget_deleted(self) -> None:
        """Of answers that the client has deleted; while they were played they counted."""
        self._spoken = {key: one for key, one in self._spoken.items() if self.history.holds(one.item)}

    def _audio_of(self, item: Item) -> SpokenAudio | None:
        spoken = self._spoken.get(item.id)
        return spoken.audio if spoken is not None and spoken.item is item else None

    def asks(self) -> bool:
        """Whether the last answer, as far as it is made, has a question in it."""
        last = self.history.last
        return isinstance(last, Message) and last.role is Role.ASSISTANT and any("?" in (part.text or "") for part in last.parts)

    def saying(self, from_s: float, to_s: float) -> str:
        """What the agent said between these two times of the clock, or will say, if the client plays it as expected."""
        text, begins_at = "", self.playback.ends_at
        for one in reversed(self._spoken.values()):
            begins_at -= one.audio.duration_s
            if begins_at < to_s:
                text = one.audio.said(from_s - begins_at, to_s - begins_at) + " " + text
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
                return item if any(call.status is Status.COMPLETED for call in self.history.calls(item.call_id)) else None
        if not item.parts or any(part.text is None for part in item.parts):
            return None
        if item.status is not Status.IN_PROGRESS or item.parts[0].kind is not Kind.OUTPUT_AUDIO:
            return item
        spoken = self._audio_of(item)
        return replace(item, heard=spoken.heard(spoken.duration_s) if spoken else "")

    def _create(self, event: ev.ItemCreated) -> list[Command]:
        item, previous = event.item, event.previous
        if item.id in self.history:
            return [problem(f"Item {item.id!r} already exists.", "item_create_duplicate_item_id", "item.id", event.event_id)]
        if previous not in (None, "root") and previous not in self.history:
            message = f"Item {previous!r} does not exist."
            return [problem(message, "item_create_invalid_previous_item_id", "previous_item_id", event.event_id)]
        if isinstance(item, FunctionCallOutput) and (wrong := self.no_call(item)):
            return [problem(wrong, "invalid_tool_call_id", "item.call_id", event.event_id)]
        if self.history.characters + characters(item) > MOST:
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
        spoken = self._audio_of(item)
        sent_s = spoken.duration_s if spoken else 0.0
        if event.played_s > sent_s + TOO_LATE_S:
            message = f"The audio of the item has {sent_s * 1000:.0f} ms, less than the {event.played_s * 1000:.0f} ms it is to be cut at."
            return [problem(message, "invalid_value", "audio_end_ms", event.event_id)]
        self._cut(item, event.played_s)
        by_words = spoken is not None and spoken.timed_by_words
        return [Tell(told.ItemCut(event.item_id, event.content_index, event.played_s, by_words))]

    def no_call(self, output: FunctionCallOutput) -> str | None:
        """Returns why the output answers no call of the conversation; None if it does."""
        calls = self.history.calls(output.call_id)
        if not calls:
            return f"The conversation has no function call with call_id {output.call_id!r}."
        if all(call.status is Status.INCOMPLETE for call in calls):
            return f"The function call with call_id {output.call_id!r} was broken off before it was complete."
        return None

    def _cut(self, item: Message, played_s: float) -> None:
        """Nothing for an item that is not in the history any more."""
        if not self.history.holds(item) or (item.parts and item.parts[0].kind is not Kind.OUTPUT_AUDIO):
            return  # written answers are read at once
        spoken = self._audio_of(item)
        item.heard = "" if spoken is None else spoken.heard(played_s)
        item.played_s = max(0.0, played_s)


def _missing(item_id: str, code: str, event_id: str | None) -> Command:
    return problem(f"Item {item_id!r} does not exist.", code, "item_id", event_id)
