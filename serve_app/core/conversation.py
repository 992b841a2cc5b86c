"""A spoken conversation as a state machine: events and a time go in, commands come out. It imports neither asyncio nor Ray nor a model.

Theory of operation
1. An utterance begins with speech (or with the first audio, under push to talk), and gets the id of the item that it will become. Its
   audio goes to speech-to-text by itself; here are only its borders (utterances.py).
2. When the turn is over the utterance is committed: the item joins the history at once, without text; the text follows.
3. A response is created at once too, but the language model is asked only when every utterance in the history has its text.
4. At most one response of the conversation is live; out-of-band responses run beside it and leave no trace in the history.
5. When the user speaks over the agent the response is cancelled, and the answer is cut to what can have been played by now: every later
   prompt holds only that. A client that knows better says so (`ItemTruncated`), and is believed.
6. Late results carry the id of their response or item, and mean nothing once that is over.
7. When the user pauses, an answer may be drafted before the turn is confirmed (eager.py): nobody sees it unless it is released.
8. When speech starts the language model may read what it will be asked, but for the words that are being said (warmth.py).
9. With `barge_in_s` speech over an answer first only holds its audio; 5. comes when it is known to want the floor (barge_in.py).
10. `deadline` is the next time at which `DeadlinePassed` is wanted.
"""

from collections.abc import Callable
from typing import assert_never

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.barge_in import BargeIn
from serve_app.core.commands import Command, problem
from serve_app.core.config import Config, ResponseRequest, ServerVad
from serve_app.core.items import FunctionCall, Message, Role
from serve_app.core.marks import Marks
from serve_app.core.memory import Memory
from serve_app.core.moments import Moments
from serve_app.core.responses import Responses
from serve_app.core.turns import Turns
from serve_app.core.utterances import Utterances

ItemEvent = ev.ItemCreated | ev.ItemDeleted | ev.ItemTruncated | ev.ItemAsked


class Conversation:
    def __init__(
        self, config: Config, new_id: Callable[[str], str], expires_at: float | None = None, barge_in_s: float = 0.0, echo: bool = False
    ) -> None:
        """`new_id(kind)` gives a fresh id for an "item", "resp" or "call". `expires_at`: the clock time at which the session is at its
        longest. `barge_in_s`: how long speech over an answer lasts before it wants the floor even without a word; 0: at once. `echo`: the
        agent's own words may come back."""
        self.memory = Memory()
        self.responses = Responses(self.memory, new_id)
        self._moments = Moments(self.memory.playback, expires_at)
        self._utterances = Utterances(self.memory, new_id, self._moments)
        self._barge_in = BargeIn(barge_in_s, self.memory.saying if echo else None)
        self._turns = Turns(config, self.memory, self._utterances, self.responses, self._barge_in)

    @property
    def config(self) -> Config:
        return self._turns.config

    @property
    def deadline(self) -> float | None:
        moments = (self._barge_in.due, self._moments.next(self._idle_timeout_s))
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def quiet(self) -> bool:
        """Nobody speaks, nothing is being made, and nothing that was begun waits for the client."""
        said = self._utterances.current or self._utterances.waiting
        called = isinstance(self.memory.history.last, FunctionCall)
        return not (said or len(self.responses) or self.responses.draft or called)

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """What is to be done because of `event`, in order. `now` never goes back."""
        answering = self.responses.default is not None
        commands = self._handle(event, now)
        engaged = self.responses.default is not None or self._utterances.current is not None
        self._moments.happened(answering, engaged, self.quiet, now)
        return commands

    def _handle(self, event: ev.Event, now: float) -> list[Command]:
        match event:
            case ev.SpeechStarted() | ev.SpeechStopped() | ev.SpeechPaused() | ev.SpeechResumed() | ev.BufferStarted():
                return self._turns.speech(event, now)
            case ev.TranscriptGrew() | ev.TranscriptFinished() | ev.TranscriptFailed() | ev.TranscriptGuessed():
                return self._turns.transcript(event, now)
            case ev.ReplyText() | ev.ReplyToolCall() | ev.ReplyFinished() | ev.ReplyFailed():
                return self.responses.reply(event, now)
            case ev.SoundMade() | ev.ClauseAudio() | ev.ClauseSpoken() | ev.SpeakingFailed():
                return self.responses.speaking(event, now)
            case ev.Configured():
                return self._turns.configured(event, now)
            case ev.CommitAsked():
                return self._turns.commit_asked(event, now)
            case ev.ClearAsked():
                return self._turns.clear_asked(event)
            case ev.ItemCreated() | ev.ItemDeleted() | ev.ItemTruncated() | ev.ItemAsked():
                return self._item(event, now)
            case ev.ResponseAsked():
                return self._response_asked(event, now)
            case ev.ResponseCancelled():
                return self.responses.cancel_asked(event)
            case ev.DeadlinePassed():
                return self._deadline_passed(event.audio_s, now)
            case ev.LeaveAsked() | ev.Parted():
                return self._leave(event)
            case _:
                assert_never(event)

    # --- the client ---------------------------------------------------------------------------------------------------------------------

    def _item(self, event: ItemEvent, now: float) -> list[Command]:
        if isinstance(event, ev.ItemAsked):
            return self.memory.handle(event)
        if isinstance(event, ev.ItemCreated) and event.item.id == self._utterances.current:
            message = f"Item {event.item.id!r} is what the user is saying now."
            return [problem(message, "item_create_duplicate_item_id", "item.id", event.event_id)]
        if isinstance(event, ev.ItemCreated) and isinstance(event.item, Message) and event.item.role is Role.USER:
            self._moments.said(now)
        commands = [*self.responses.discard_draft(), *self.memory.handle(event)]
        return commands + (self._utterances.brought(event.item, self.config.hints) if isinstance(event, ev.ItemCreated) else [])

    def _response_asked(self, event: ev.ResponseAsked, now: float) -> list[Command]:
        if not self.config.responds:
            return [problem("A transcription session makes no responses.", "invalid_event", None, event.event_id)]
        commands = [] if event.request.out_of_band else self._turns.without_draft(now)
        if refusal := self.responses.refusal(event):
            return [*commands, refusal]
        pending = next(reversed(self._utterances.marks.values()), None)
        return commands + self._turns.respond(event.request, pending or Marks(over_at=now), now)

    def _leave(self, event: ev.LeaveAsked | ev.Parted) -> list[Command]:
        if isinstance(event, ev.LeaveAsked):
            self._moments.leave(event.by)
            return []
        commands = self.responses.discard_draft()
        return commands + (self.responses.cancel_asked(ev.ResponseCancelled()) if self.responses.default else [])

    # --- time ---------------------------------------------------------------------------------------------------------------------------

    def _deadline_passed(self, audio_s: float, now: float) -> list[Command]:
        if self._moments.expired(now):
            expired = problem("The session has reached its longest duration.", "session_expired", None, None)
            return [expired, cmd.HangUp(1001, "session_expired")]
        if self._moments.left(now):
            return [cmd.HangUp(1012, "the server is being replaced: connect again")]
        if self._barge_in.overdue(now):
            return self._turns.floor_taken(now)
        idle_at = self._moments.idle_at(self._idle_timeout_s)
        return self._idle(audio_s, now) if idle_at is not None and now >= idle_at else []

    @property
    def _idle_timeout_s(self) -> float | None:
        policy = self.config.turn_taking
        return policy.idle_timeout_s if isinstance(policy, ServerVad) else None

    def _idle(self, audio_s: float, now: float) -> list[Command]:
        """The user has been silent for too long after an answer: the silence becomes a turn, and the agent speaks."""
        silence_s = self._idle_timeout_s
        assert silence_s is not None
        commands = self._utterances.silence(silence_s, audio_s)
        return commands + (self._turns.respond(ResponseRequest(), Marks(over_at=now), now) if self.config.responds else [])
