"""What was said, as text: of utterances while and after they are spoken, and of audio that the client brought in an item.

The language model is asked only when nothing is `waiting`. What an utterance in progress is heard to be may be told early, because the
client knows it already; under push to talk it does not, before the commit.
"""

from dataclasses import dataclass, replace

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.agreement import continued
from serve_app.core.commands import Command, Tell
from serve_app.core.items import Item, Kind, Message
from serve_app.core.prompts import INAUDIBLE

TranscriptEvent = ev.TranscriptGrew | ev.TranscriptFinished | ev.TranscriptFailed


@dataclass(slots=True)
class _Expected:
    part: int = 0
    """Index of the part of the item that it becomes."""
    told: str = ""
    """What the client was sent of it. It can take nothing back, so the transcript begins with it."""
    telling: bool = True
    in_history: bool = False
    failed: str | None = None
    """Why it failed already, before the utterance was over."""


class Transcripts:
    def __init__(self) -> None:
        self._expected: dict[str, _Expected] = {}  # by item id

    @property
    def waiting(self) -> bool:
        """Whether an item of the history still lacks its text."""
        return any(one.in_history for one in self._expected.values())

    def begin(self, item_id: str, known: bool) -> None:
        """An utterance starts. `known`: the client was told of it."""
        self._expected[item_id] = _Expected(telling=known)

    def reveal(self, item_id: str) -> None:
        """The client is told of it now, if it is not done already."""
        if item_id in self._expected:
            self._expected[item_id].telling = True

    def drop(self, item_id: str) -> None:
        self._expected.pop(item_id, None)

    def commit(self, item_id: str, part: int = 0) -> ev.TranscriptFailed | None:
        """The item is in the history. Returned is what has gone wrong with its transcription until now."""
        one = self._expected.setdefault(item_id, _Expected())
        one.part, one.in_history, one.telling = part, True, True
        return None if one.failed is None else ev.TranscriptFailed(item_id, one.failed)

    def take(self, event: TranscriptEvent, client_wants: bool) -> tuple[list[Command], str | None]:
        """What the client is told, and the text that the model reads once it is final."""
        one = self._expected.get(event.item_id)
        if one is None:
            return [], None
        if not one.in_history and isinstance(event, ev.TranscriptFailed):
            one.failed = event.reason
            return [], None
        if isinstance(event, ev.TranscriptFinished):
            # A guess that stands for the text may be older than the last words that the client was sent.
            event = replace(event, text=continued(one.told, event.text))
        if not isinstance(event, ev.TranscriptGrew):
            del self._expected[event.item_id]
        commands = self._told(event, one) if client_wants and one.telling else []
        match event:
            case ev.TranscriptGrew():
                return commands, None
            case ev.TranscriptFinished():
                return commands, event.text
            case ev.TranscriptFailed():
                return commands, INAUDIBLE

    def _told(self, event: TranscriptEvent, one: _Expected) -> list[Command]:
        if isinstance(event, ev.TranscriptFailed):
            return [Tell(told.TranscriptionFailed(event.item_id, event.reason, one.part))]
        delta = event.text[len(one.told) :] if event.text.startswith(one.told) else ""
        one.told += delta
        grown: list[Command] = [Tell(told.TranscriptDelta(event.item_id, delta, one.part))] if delta else []
        if isinstance(event, ev.TranscriptGrew):
            return grown
        return [*grown, Tell(told.TranscriptCompleted(event.item_id, event.text, event.audio_s, one.part))]


def audio_without_text(item: Item) -> int | None:
    """The index of the part that the client brought as audio alone."""
    parts = item.parts if isinstance(item, Message) else []
    return next((index for index, part in enumerate(parts) if part.kind is Kind.INPUT_AUDIO and part.text is None), None)
