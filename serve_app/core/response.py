"""One response: from the request to its last event. Every method returns what is to be done; nothing comes after `done`.

Rules (the Realtime protocol's "always true"): everything added is done, on cancel and failure too; the deltas joined are the text of the
done events; audio of an item comes after its part was added, because a clause is only spoken after its text was told.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace

from serve_app.core.clauses import ClauseCutter
from serve_app.core.commands import Command, Speak, StopReply, Tell
from serve_app.core.config import Modality, ResponseRequest
from serve_app.core.events import ClauseAudio, ClauseSpoken, ReplyFinished
from serve_app.core.items import FunctionCall, History, Item, Kind, Message, Part, Role, Status
from serve_app.core.marks import Marks
from serve_app.core.memory import Spoken
from serve_app.core.notifications import (
    ArgumentsDone,
    ArgumentsGrew,
    At,
    AudioDone,
    ItemAdded,
    ItemDone,
    Notification,
    OutputItemAdded,
    OutputItemDone,
    PartAdded,
    PartDone,
    ResponseCreated,
    ResponseDone,
    ResponseView,
    TextDone,
    TextGrew,
    Usage,
)
from serve_app.core.truncation import SpokenAudio


@dataclass(frozen=True, slots=True)
class Manner:
    """How this response is made: the session's config with the request's overrides."""

    modality: Modality
    voice: str
    speed: float
    audio_format: str
    max_tokens: int | None = None
    ends_after_tokens: int | None = None
    """The response ends with the sentence in which it reaches these, short of `max_tokens`."""
    metadata: dict[str, str] | None = None


@dataclass(slots=True)
class _Answer:
    """The response's message while it is made."""

    item: Message
    output_index: int
    spoken: SpokenAudio = field(default_factory=SpokenAudio)
    cutter: ClauseCutter = field(default_factory=ClauseCutter)
    open: bool = True

    @property
    def part(self) -> Part:
        return self.item.parts[0]


class Response:
    def __init__(
        self,
        response_id: str,
        request: ResponseRequest,
        manner: Manner,
        marks: Marks,
        history: History | None,
        new_id: Callable[[str], str],
    ) -> None:
        """`history`: where its items go; None for one that is out of band."""
        self.id = response_id
        self.request = request
        self.manner = manner
        self.marks = marks
        self.started = False
        """Whether the language model has been asked."""
        self.for_utterance: str | None = None
        """The utterance that it answers, when the end of a turn made it."""
        self._history = history
        self._new_id = new_id
        self._answer: _Answer | None = None
        self._calls: dict[int, tuple[int, FunctionCall]] = {}
        self._output: list[Item] = []
        self._unspoken: set[int] = set()
        self._finished: ReplyFinished | None = None
        self._status = "in_progress"
        self._reason: str | None = None

    @property
    def done(self) -> bool:
        return self._status != "in_progress"

    @property
    def spoken(self) -> Spoken | None:
        """The message and what was sent of its audio."""
        return Spoken(self._answer.item, self._answer.spoken) if self._answer else None

    def adopt(self, history: History, marks: Marks) -> None:
        """A draft becomes part of the conversation: its items move to `history`, its times stay."""
        marks.adopt(self.marks)
        self.marks = marks
        for item in self._history or ():
            history.append(item)
        self._history = history

    def created(self) -> list[Command]:
        return [Tell(ResponseCreated(self._view()))]

    # --- the language model writes ------------------------------------------------------------------------------------------------------

    def text(self, delta: str, now: float) -> list[Command]:
        self._written(now, self.manner.modality is not Modality.AUDIO)
        commands = [] if self._answer else self._open_answer()
        answer = self._the_answer()
        answer.part.text = (answer.part.text or "") + delta
        commands.append(Tell(TextGrew(self._at(answer), self.manner.modality, delta)))
        return commands + self._speak(answer.cutter.feed(delta), now)

    def tool_call(self, index: int, name: str, arguments: str, now: float) -> list[Command]:
        self._written(now, True)
        commands: list[Command] = []
        if index not in self._calls:
            call = FunctionCall(self._new_id("item"), name, self._new_id("call"), "", Status.IN_PROGRESS)
            self._calls[index] = (len(self._output), call)
            commands += self._add(call)
        output_index, call = self._calls[index]
        call.arguments += arguments
        if arguments:
            commands.append(Tell(ArgumentsGrew(At(self.id, call.id, output_index), call.call_id, arguments)))
        return commands

    def finished(self, end: ReplyFinished, now: float) -> list[Command]:
        """The model has written all; audio may still be on its way. Said twice it means nothing the second time."""
        if self._finished is not None:
            return []
        self._finished = end
        commands = self._speak(self._answer.cutter.flush(), now) if self._answer else []
        for output_index, call in self._calls.values():
            commands += self._close_call(output_index, call, Status.COMPLETED)
        return commands + self._complete_if_ready()

    def _written(self, now: float, suffices: bool) -> None:
        """`suffices`: the user waits for no more than this."""
        if self.marks.first_token_at is None:
            self.marks.first_token_at = now
        if self.marks.made_at is None and suffices:
            self.marks.made_at = now

    # --- text-to-speech speaks ----------------------------------------------------------------------------------------------------------

    def sound_made(self, now: float) -> None:
        if self.marks.made_at is None:
            self.marks.made_at = now

    def clause_audio(self, event: ClauseAudio, now: float) -> None:
        if self.marks.first_audio_at is None:
            self.marks.first_audio_at = now
        self._the_answer().spoken.grow(event.clause, event.duration_s, event.words)

    def clause_spoken(self, event: ClauseSpoken) -> list[Command]:
        self._unspoken.discard(event.clause)
        self._the_answer().spoken.clauses[event.clause].complete = True
        return self._complete_if_ready()

    # --- it ends ------------------------------------------------------------------------------------------------------------------------

    def complete(self) -> list[Command]:
        """Nothing more is wanted: the utterance held no words."""
        return self._end("completed", None, Status.COMPLETED)

    def cancel(self, reason: str) -> list[Command]:
        return [StopReply(self.id), *self._end("cancelled", reason, Status.INCOMPLETE)]

    def fail(self, reason: str) -> list[Command]:
        return [StopReply(self.id), *self._end("failed", reason, Status.INCOMPLETE)]

    # --- inside -------------------------------------------------------------------------------------------------------------------------

    def _the_answer(self) -> _Answer:
        assert self._answer is not None, "audio or text for a message that was never opened"
        return self._answer

    def _at(self, answer: _Answer) -> At:
        return At(self.id, answer.item.id, answer.output_index)

    def _open_answer(self) -> list[Command]:
        kind = Kind.OUTPUT_AUDIO if self.manner.modality is Modality.AUDIO else Kind.OUTPUT_TEXT
        item = Message(self._new_id("item"), Role.ASSISTANT, [], Status.IN_PROGRESS)
        self._answer = _Answer(item, len(self._output))
        commands = self._add(item)
        item.parts.append(Part(kind, ""))
        return [*commands, Tell(PartAdded(self._at(self._answer), Part(kind, "")))]

    def _add(self, item: Item) -> list[Command]:
        output_index = len(self._output)
        self._output.append(item)
        told: list[Notification] = [OutputItemAdded(self.id, output_index, deepcopy(item))]
        if self._history is not None:
            told.append(ItemAdded(deepcopy(item), self._history.append(item)))
        return [Tell(what) for what in told]

    def _speak(self, clauses: list[str], now: float) -> list[Command]:
        if self.manner.modality is not Modality.AUDIO:
            return []
        if clauses and self.marks.first_clause_at is None:
            self.marks.first_clause_at = now
        answer, commands = self._the_answer(), list[Command]()
        for text in clauses:
            number = len(answer.spoken.clauses)
            answer.spoken.add(number, text)
            self._unspoken.add(number)
            how = self.manner.voice, self.manner.speed, self.manner.audio_format
            commands.append(Speak(self.id, answer.item.id, answer.output_index, number, text, *how))
        return commands

    def _complete_if_ready(self) -> list[Command]:
        if self._finished is None or self._unspoken or self.done:
            return []
        if self._finished.finish == "length":
            return self._end("incomplete", "max_output_tokens", Status.INCOMPLETE)
        return self._end("completed", None, Status.COMPLETED)

    def _end(self, status: str, reason: str | None, item_status: Status) -> list[Command]:
        commands: list[Command] = []
        if self._answer and self._answer.open:
            commands += self._close_answer(self._answer, item_status)
        for output_index, call in self._calls.values():
            if call.status is Status.IN_PROGRESS:
                commands += self._close_call(output_index, call, item_status)
        self._status, self._reason = status, reason
        return [*commands, Tell(ResponseDone(self._view()))]

    def _close_answer(self, answer: _Answer, status: Status) -> list[Command]:
        answer.open, answer.item.status = False, status
        at, part = self._at(answer), answer.part
        told: list[Notification] = [AudioDone(at)] if self.manner.modality is Modality.AUDIO else []
        told += [TextDone(at, self.manner.modality, part.text or ""), PartDone(at, deepcopy(part))]
        return [Tell(what) for what in told] + self._done(answer.output_index, answer.item)

    def _close_call(self, output_index: int, call: FunctionCall, status: Status) -> list[Command]:
        call.status = status
        at = At(self.id, call.id, output_index)
        return [Tell(ArgumentsDone(at, deepcopy(call))), *self._done(output_index, call)]

    def _done(self, output_index: int, item: Item) -> list[Command]:
        told: list[Notification] = []
        if self._history is not None and self._history.holds(item):  # unless the client has deleted it
            self._history.recount(item)
            told.append(ItemDone(_as_written(item), self._history.previous_of(item.id)))
        told.append(OutputItemDone(self.id, output_index, _as_written(item)))
        return [Tell(what) for what in told]

    def _view(self) -> ResponseView:
        end = self._finished
        usage = Usage(end.prompt_tokens, end.reply_tokens, end.cached_tokens) if end else Usage() if self.done else None
        return ResponseView(
            id=self.id,
            in_conversation=self._history is not None,
            status=self._status,
            modality=self.manner.modality,
            voice=self.manner.voice,
            audio_format=self.manner.audio_format,
            output=tuple(_as_written(item) for item in self._output) if self.done else (),
            reason=self._reason,
            max_tokens=self.manner.max_tokens,
            metadata=self.manner.metadata,
            usage=usage,
            timings=self.marks.timings() if self.done else None,
        )


def _as_written(item: Item) -> Item:
    """A copy for the events that end a response, whose text is what the deltas said, though the client may have cut it already."""
    return replace(deepcopy(item), heard=None) if isinstance(item, Message) else deepcopy(item)
