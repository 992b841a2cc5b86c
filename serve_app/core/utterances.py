"""What the user says: an utterance from its first sound to its item in the history, and the text of that.

    begin ─> its audio goes to speech-to-text, under the id of the item that it will become
    drop ─> it never was
    commit ─> the item joins the history at once, without its text
    written ─> the text is there, however late

Audio that the client brings in an item waits for its text in the same way. When a turn is over, and what an utterance does to an answer,
is decided elsewhere (conversation.py).
"""

from collections.abc import Callable

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Command, Tell
from serve_app.core.items import Item, Kind, Message, Part, Role
from serve_app.core.language import Hints
from serve_app.core.marks import Marks
from serve_app.core.memory import Memory
from serve_app.core.moments import Moments
from serve_app.core.transcripts import Transcripts, audio_without_text


class Utterances:
    def __init__(self, memory: Memory, new_id: Callable[[str], str], moments: Moments) -> None:
        self._memory = memory
        self._new_id = new_id
        self._moments = moments
        self.current: str | None = None
        """The item that what is being said now will become."""
        self.announced = False
        """Whether the client was told that `current` has begun, and not yet that it has stopped."""
        self.transcripts = Transcripts()
        self.marks: dict[str, Marks] = {}
        """Of turns that are over and have no text yet, by item id, the latest last."""

    @property
    def waiting(self) -> bool:
        """Whether an item of the history still lacks its text."""
        return self.transcripts.waiting

    def begin(self, start_s: float, hints: Hints, told_of: bool) -> list[Command]:
        """Nothing where one has begun already. `told_of`: the client is told, if it was not."""
        if self.current is not None:
            return self.announce(start_s) if told_of else []
        item_id = self.current = self._new_id("item")
        self.transcripts.begin(item_id, known=False)
        begin = cmd.BeginUtterance(item_id, start_s, hints)
        return [*self.announce(start_s), begin] if told_of else [begin]

    def announce(self, start_s: float) -> list[Command]:
        """The client is told that `current` has begun, if it was not."""
        if self.current is None or self.announced:
            return []
        self.announced = True
        self.transcripts.reveal(self.current)
        return [Tell(told.UtteranceStarted(self.current, start_s))]

    def stopped(self, end_s: float) -> list[Command]:
        """The client is told that the speech of `current` has stopped, if it was told that it has begun. Call it before `commit`, and
        before `drop`: each speech_started is followed by its speech_stopped."""
        if self.current is None or not self.announced:
            return []
        self.announced = False
        return [Tell(told.UtteranceStopped(self.current, end_s))]

    def drop(self) -> list[Command]:
        if self.current is None:
            return []
        item_id, self.current, self.announced = self.current, None, False
        self.transcripts.drop(item_id)
        return [cmd.DropUtterance(item_id)]

    def commit(self, marks: Marks, guessed: bool = False) -> tuple[list[Command], ev.TranscriptFailed | None]:
        """The turn is over. Returned is also what has gone wrong with its transcription until now. `guessed`: a guess holds all of it."""
        assert self.current is not None
        item_id, self.current, self.announced = self.current, None, False
        self.marks[item_id] = marks
        item = Message(item_id, Role.USER, [Part(Kind.INPUT_AUDIO)])
        commands = [cmd.EndUtterance(item_id, guessed), *self._committed(item)]
        return commands, self.transcripts.commit(item_id)

    def silence(self, lasted_s: float, audio_s: float) -> list[Command]:
        """It becomes a turn without words, and the model is told what it is."""
        note = Message(self._new_id("item"), Role.SYSTEM, [Part(Kind.INPUT_TEXT, f"The user has said nothing for {lasted_s:g} seconds.")])
        silence = Message(self._new_id("item"), Role.USER, [Part(Kind.INPUT_AUDIO, "")])
        self._moments.prompted()
        timed_out = Tell(told.IdleTimedOut(silence.id, max(0.0, audio_s - lasted_s), audio_s))
        return [timed_out, *self._memory.append(note), *self._committed(silence)]

    def brought(self, item: Item, hints: Hints) -> list[Command]:
        """Audio without a transcript is transcribed before the model is asked again. Nothing for an item that was refused."""
        index, history = audio_without_text(item), self._memory.history
        if index is None or not history.holds(item):
            return []
        self.transcripts.commit(item.id, index)
        return [cmd.TranscribeItem(item.id, hints)]

    def written(self, item_id: str, text: str, now: float) -> Marks:
        """The model can read it. Returned are the marks of its turn."""
        if text.strip():
            self._moments.said(now)
        if item_id in self._memory.history:
            item = self._memory.history[item_id]
            index = audio_without_text(item)  # None: another item took the id meanwhile
            if isinstance(item, Message) and index is not None:
                item.parts[index].text = text
                self._memory.history.recount(item)
        marks = self.marks.pop(item_id, None) or Marks(over_at=now)
        marks.transcript_at = now
        return marks

    def _committed(self, item: Message) -> list[Command]:
        committed = Tell(told.UtteranceCommitted(item.id, self._memory.history.last_id))
        return [cmd.ForgetBuffer(), committed, *self._memory.append(item)]
