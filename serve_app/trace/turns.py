"""A `Watcher` (serve_app/watching.py) that makes a trace of each turn of one session.

Which events and commands belong together:
- An utterance is known by its item's id from BeginUtterance on. It is over with EndUtterance, or dropped.
- A response that is created belongs to the utterance that has just ended, or waits for its answer; without one it is a turn of its own. So
  is one that is out of band.
- A draft belongs to the utterance whose guess it answers. Discarded, it is stopped without ever being released.
- A turn lasts until its answer has been played, as far as the server can know, or until somebody speaks over it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import context as open_telemetry
from opentelemetry.trace import Span, set_span_in_context

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.trace.answer import Answer
from serve_app.trace.recorder import Recorder
from serve_app.trace.turn import Turn

At = Callable[[float, Callable[[], None]], object]


@contextmanager
def within(span: Span) -> Iterator[None]:
    """What is called or begun in it belongs to the span, in other processes too."""
    token = open_telemetry.attach(set_span_in_context(span))
    try:
        yield
    finally:
        open_telemetry.detach(token)


class Turns:
    def __init__(self, recorder: Recorder, at: At, clock: Callable[[], float] = time.monotonic) -> None:
        """`at` calls a function at a clock time."""
        self._recorder = recorder
        self._at = at
        self._clock = clock
        self._utterances: dict[str, Turn] = {}
        self._answers: dict[str, tuple[Turn, Answer]] = {}  # by response
        self._live: set[Turn] = set()
        self._waiting: Turn | None = None  # an utterance that is over, and has no answer yet
        self._heard: Turn | None = None  # whose answer is complete and may still be played
        self._interrupts = True

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        self._happened(event, now)
        for command in commands:
            self._commanded(command, event, now)

    def during(self, command: cmd.Command) -> AbstractContextManager[None]:
        match command:
            case cmd.StartReply(response_id) if response_id in self._answers:
                return within(self._answers[response_id][1].chat)
            case cmd.Speak(response_id) if response_id in self._answers:
                return within(self._answers[response_id][1].span)
            case cmd.GuessTranscript(item_id) | cmd.EndUtterance(item_id) if item_id in self._utterances:
                return within(self._utterances[item_id].hearing)
        return nullcontext()

    def closed(self) -> None:
        now = self._clock()
        for turn in list(self._live):
            self._end(turn, "left", now)

    # --- events -------------------------------------------------------------------------------------------------------------------------

    def _happened(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.Configured(config):
                self._interrupts = config.turn_taking is None or config.turn_taking.interrupt_response
            case ev.TranscriptGuessed(item_id) if item_id in self._utterances:
                self._utterances[item_id].guessed(event.at_s, now)
            case ev.TranscriptFinished(item_id) if item_id in self._utterances:
                self._utterances[item_id].transcribed(now)
            case ev.TranscriptFailed(item_id) if item_id in self._utterances:
                self._utterances[item_id].transcribed(now, event.reason)
            case ev.ReplyText() | ev.ReplyToolCall() | ev.ReplyFinished() | ev.ReplyFailed() | ev.ClauseAudio():
                if event.response_id in self._answers:
                    _tell(self._answers[event.response_id][1], event, now)

    # --- commands -----------------------------------------------------------------------------------------------------------------------

    def _commanded(self, command: cmd.Command, event: ev.Event, now: float) -> None:
        match command:
            case cmd.Tell(what):
                self._told(what, event, now)
            case cmd.BeginUtterance(item_id):
                self._begin_utterance(item_id, now)
            case cmd.GuessTranscript() | cmd.EndUtterance() | cmd.SettleUtterance() | cmd.DropUtterance():
                if command.item_id in self._utterances:
                    self._hear(self._utterances[command.item_id], command, event, now)
            case cmd.StartReply():
                self._start(command, event, now)
            case cmd.ReleaseReply() | cmd.StopReply() | cmd.Speak():
                if command.response_id in self._answers:
                    self._answer(*self._answers[command.response_id], command, now)

    def _hear(
        self,
        turn: Turn,
        command: cmd.GuessTranscript | cmd.EndUtterance | cmd.SettleUtterance | cmd.DropUtterance,
        event: ev.Event,
        now: float,
    ) -> None:
        match command:
            case cmd.GuessTranscript():
                turn.transcribes(command.at_s, now)
            case cmd.EndUtterance():
                turn.over(event.end_s - event.last_speech_s if isinstance(event, ev.SpeechStopped) else None, now)
                if not command.guessed:
                    turn.transcribes(None, now)
                self._leave_waiting(now)
                self._waiting = turn
            case cmd.SettleUtterance():
                turn.transcribed(now)
            case cmd.DropUtterance():
                self._end(turn, "dropped", now)

    def _answer(self, turn: Turn, answer: Answer, command: cmd.ReleaseReply | cmd.StopReply | cmd.Speak, now: float) -> None:
        match command:
            case cmd.Speak():
                answer.clause(now)
            case cmd.ReleaseReply():
                turn.releases(answer)
                self._answered(turn)
            case cmd.StopReply() if answer.draft:
                answer.discarded(now)
                del self._answers[command.response_id]
            case cmd.StopReply():
                answer.stopped(now)

    def _told(self, what: told.Notification, event: ev.Event, now: float) -> None:
        match what:
            case told.UtteranceStarted() if self._interrupts and self._heard is not None:
                self._end(self._heard, "interrupted", now)
            case told.ResponseCreated(response) if response.id not in self._answers:
                turn = self._turn_for(event, now)
                self._answers[response.id] = turn, turn.answers(isinstance(event, ev.ResponseAsked), now)
            case told.ResponseDone(response) if response.id in self._answers:
                self._done(*self._answers.pop(response.id), response, now)

    def _start(self, command: cmd.StartReply, event: ev.Event, now: float) -> None:
        if command.held and isinstance(event, ev.TranscriptGuessed) and event.item_id in self._utterances:
            turn = self._utterances[event.item_id]
            self._answers[command.response_id] = turn, turn.drafts(now)
        if command.response_id in self._answers:
            self._answers[command.response_id][1].asked(command, now)

    # --- turns --------------------------------------------------------------------------------------------------------------------------

    def _begin(self, now: float, item_id: str | None = None) -> Turn:
        turn = Turn(self._recorder, now, item_id)
        self._live.add(turn)
        return turn

    def _begin_utterance(self, item_id: str, now: float) -> None:
        if self._waiting is not None and self._waiting.text_at is not None:
            self._leave_waiting(now)
        self._utterances[item_id] = self._begin(now, item_id)

    def _leave_waiting(self, now: float) -> None:
        """Nobody answers it any more."""
        if self._waiting is not None:
            self._end(self._waiting, "unanswered", self._waiting.text_at or now)

    def _turn_for(self, event: ev.Event, now: float) -> Turn:
        if self._waiting is None or (isinstance(event, ev.ResponseAsked) and event.request.out_of_band):
            return self._begin(now)
        turn = self._waiting
        self._answered(turn)
        return turn

    def _answered(self, turn: Turn) -> None:
        if self._waiting is turn:
            self._waiting = None

    def _done(self, turn: Turn, answer: Answer, response: told.ResponseView, now: float) -> None:
        """What was sent is still played, unless somebody spoke over it."""
        turn.span.set_attributes({"sparkvox.response.id": response.id, "sparkvox.response.modality": response.modality.value})
        interrupted = response.status == "cancelled" and response.reason == "turn_detected"
        outcome = "interrupted" if interrupted else response.status
        if interrupted or answer.plays_until is None or answer.plays_until <= now:
            self._end(turn, outcome, now)
            return
        self._heard, ends_at = turn, answer.plays_until
        self._at(ends_at, lambda: self._end(turn, outcome, ends_at))

    def _end(self, turn: Turn, outcome: str, at: float) -> None:
        if turn.ended:
            return
        turn.ends(outcome, at)
        self._live.discard(turn)
        self._answered(turn)
        self._heard = None if self._heard is turn else self._heard
        if turn.item_id is not None:
            del self._utterances[turn.item_id]
        self._answers = {name: pair for name, pair in self._answers.items() if pair[0] is not turn}


def _tell(answer: Answer, event: ev.ReplyText | ev.ReplyToolCall | ev.ReplyFinished | ev.ReplyFailed | ev.ClauseAudio, now: float) -> None:
    match event:
        case ev.ReplyText() | ev.ReplyToolCall():
            answer.piece(now)
        case ev.ReplyFinished():
            answer.written(event, now)
        case ev.ReplyFailed():
            answer.failed(event.reason, now)
        case ev.ClauseAudio():
            answer.audio(event.duration_s, now)
