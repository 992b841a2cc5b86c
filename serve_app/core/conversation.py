"""A spoken conversation as a state machine: events and a time go in, commands come out. It imports neither asyncio nor Ray nor a model.

Theory of operation
1. An utterance begins with speech (or with the first audio, under push to talk), and gets the id of the item that it will become. Its
   audio goes to speech-to-text by itself; here are only its borders.
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
from copy import deepcopy
from typing import assert_never

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.barge_in import BargeIn, Words
from serve_app.core.commands import Command, Tell, problem
from serve_app.core.config import Config, ResponseRequest, ServerVad
from serve_app.core.eager import EagerTurn
from serve_app.core.items import FunctionCall, Kind, Message, Part, Role
from serve_app.core.marks import Marks
from serve_app.core.memory import Memory
from serve_app.core.moments import Moments
from serve_app.core.responses import Responses
from serve_app.core.transcripts import TranscriptEvent, Transcripts, audio_without_text
from serve_app.core.warmth import SAID, Warmth

SHORTEST_COMMIT_S = 0.1
"""Less audio than this cannot be committed (OpenAI Realtime: input_audio_buffer_commit_empty)."""


class Conversation:
    def __init__(
        self, config: Config, new_id: Callable[[str], str], expires_at: float | None = None, barge_in_s: float = 0.0, echo: bool = False
    ) -> None:
        """`new_id(kind)` gives a fresh id for an "item", "resp" or "call". `expires_at`: the clock time at which the session is at its
        longest. `barge_in_s`: how long speech over an answer lasts before it wants the floor even without a word; 0: at once. `echo`: the
        agent's own words may come back."""
        self.config = config
        self.memory = Memory()
        self._new_id = new_id
        self._moments = Moments(self.memory.playback, expires_at)
        self._utterance: str | None = None  # the item that what is being said now will become
        self._transcripts = Transcripts()
        self.responses = Responses(self.memory, new_id)
        self._eager = EagerTurn(self.responses)
        self._marks: dict[str, Marks] = {}
        self._barge_in = BargeIn(barge_in_s, self.memory.saying if echo else None)
        self._warmth = Warmth()

    @property
    def deadline(self) -> float | None:
        moments = (self._barge_in.due, self._moments.next(self._idle_timeout_s))
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def _idle_timeout_s(self) -> float | None:
        policy = self.config.turn_taking
        return policy.idle_timeout_s if isinstance(policy, ServerVad) else None

    @property
    def quiet(self) -> bool:
        """Nobody speaks, nothing is being made, and nothing that was begun waits for the client."""
        called = isinstance(self.memory.history.last, FunctionCall)
        return not (self._utterance or len(self.responses) or self.responses.draft or self._transcripts.waiting or called)

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """What is to be done because of `event`, in order. `now` never goes back."""
        answering = self.responses.default is not None
        commands = self._handle(event, now)
        engaged = self.responses.default is not None or self._utterance is not None
        self._moments.happened(answering, engaged, self.quiet, now)
        return commands

    def _handle(self, event: ev.Event, now: float) -> list[Command]:
        match event:
            case ev.SpeechStarted():
                return self._speech_started(event, now)
            case ev.SpeechStopped():
                return self._speech_stopped(event, now)
            case ev.SpeechPaused():
                return self._paused(event, now)
            case ev.SpeechResumed():
                return self._resumed(now)
            case ev.BufferStarted():
                return [*self._begin_utterance(event.start_s, told_of=False), *self._warmed()]
            case ev.TranscriptGrew() | ev.TranscriptFinished() | ev.TranscriptFailed():
                return self._transcript(event, now)
            case ev.TranscriptGuessed():
                return self._guessed(event, now)
            case ev.ReplyText() | ev.ReplyToolCall() | ev.ReplyFinished() | ev.ReplyFailed():
                return self.responses.reply(event, now)
            case ev.SoundMade() | ev.ClauseAudio() | ev.ClauseSpoken() | ev.SpeakingFailed():
                return self.responses.speaking(event, now)
            case ev.Configured():
                return self._configured(event.config)
            case ev.CommitAsked():
                return self._commit_asked(event, now)
            case ev.ClearAsked():
                return [*self._drop_utterance(), cmd.ForgetBuffer(), Tell(told.BufferCleared())]
            case ev.ItemCreated():
                return self._item_created(event)
            case ev.ItemAsked():
                return self.memory.handle(event)
            case ev.ItemDeleted() | ev.ItemTruncated():
                return [*self.responses.discard_draft(), *self.memory.handle(event)]
            case ev.ResponseAsked():
                return self._response_asked(event, now)
            case ev.ResponseCancelled():
                return self._cancel_asked(event)
            case ev.DeadlinePassed():
                return self._deadline_passed(event.audio_s, now)
            case ev.LeaveAsked():
                self._moments.leave(event.by)
                return []
            case ev.Parted():
                return [*self.responses.discard_draft(), *(self._cancel_asked(ev.ResponseCancelled()) if self.responses.default else [])]
            case _:
                assert_never(event)

    # --- turns --------------------------------------------------------------------------------------------------------------------------

    def _speech_started(self, event: ev.SpeechStarted, now: float) -> list[Command]:
        policy = self.config.turn_taking
        interrupted = self.responses.discard_draft()
        if policy is not None and policy.interrupt_response:
            if self._barge_in.lasts_s and self._utterance is None and self._heard_now(now):
                return interrupted + self._hold(event, now)
            self._eager.undecided = None
            interrupted += self._interrupt(now)
        begun = self._begin_utterance(event.start_s, told_of=True)
        return [*begun, *interrupted, *self._warmed()]

    def _warmed(self) -> list[Command]:
        if not self.config.responds or self.responses.default is not None or self._transcripts.waiting:
            return []
        return self._warmth.wanted(self.responses.prompt_of(self.config, SAID))

    def _begin_utterance(self, start_s: float, told_of: bool) -> list[Command]:
        if self._utterance is not None:
            return []
        item_id = self._new_id("item")
        self._utterance = item_id
        self._transcripts.begin(item_id, told_of)
        begin = cmd.BeginUtterance(item_id, start_s, self.config.hints)
        return [Tell(told.UtteranceStarted(item_id, start_s)), begin] if told_of else [begin]

    def _speech_stopped(self, event: ev.SpeechStopped, now: float) -> list[Command]:
        if self._utterance is None:
            return []
        item_id = self._utterance
        guessed = self._eager.covers(item_id, event.last_speech_s)
        if self._barge_in.undecided and guessed and self._eager.was_answered:
            return self._never_happened()
        commands = self._floor_taken(now)
        commands += [Tell(told.UtteranceStopped(item_id, event.end_s)), *self._commit(item_id, guessed)]
        failed = self._transcripts.commit(item_id)
        self._marks[item_id] = Marks(over_at=now, endpoint_s=event.end_s - event.last_speech_s)
        commands += self._answer(item_id, now)
        if failed is not None:
            return commands + self._transcript(failed, now)
        return commands + (self._settled(*self._eager.over(), now) if guessed else [])

    def _paused(self, event: ev.SpeechPaused, now: float) -> list[Command]:
        self._barge_in.paused()
        wanted = event.eager or self._barge_in.undecided
        return self._eager.paused(self._utterance, event, now) if self._utterance and wanted else []

    def _resumed(self, now: float) -> list[Command]:
        self._barge_in.resumed(now)
        return self.responses.discard_draft()

    def _answer(self, item_id: str, now: float) -> list[Command]:
        """The turn is over. A draft waits for the transcript, which says whether it answers it; otherwise the response is created now."""
        policy = self.config.turn_taking
        if policy is None or not policy.create_response or not self.config.responds or self.responses.default is not None:
            return self.responses.discard_draft()
        if self.responses.draft is not None:
            self._eager.undecided = item_id
            return []
        return self._respond(ResponseRequest(), self._marks[item_id], now, for_utterance=item_id)

    def _commit(self, item_id: str, guessed: bool = False) -> list[Command]:
        self._utterance = None
        committed = Tell(told.UtteranceCommitted(item_id, self.memory.history.last_id))
        item = Message(item_id, Role.USER, [Part(Kind.INPUT_AUDIO)])
        return [cmd.EndUtterance(item_id, guessed), cmd.ForgetBuffer(), committed, *self._append(item)]

    def _commit_asked(self, event: ev.CommitAsked, now: float) -> list[Command]:
        if event.buffered_s < SHORTEST_COMMIT_S:
            held_ms, least_ms = event.buffered_s * 1000, SHORTEST_COMMIT_S * 1000
            message = f"The input audio buffer holds {held_ms:.0f} ms of audio; at least {least_ms:.0f} ms are needed to commit it."
            return [problem(message, "input_audio_buffer_commit_empty", None, event.event_id)]
        commands = [*self._floor_taken(now), *self.responses.discard_draft()]
        commands += [] if self._utterance else self._begin_utterance(0.0, told_of=False)
        assert self._utterance is not None
        item_id = self._utterance
        self._marks[item_id] = Marks(over_at=now)
        commands += self._commit(item_id)
        failed = self._transcripts.commit(item_id)
        return commands + (self._transcript(failed, now) if failed else [])

    def _drop_utterance(self) -> list[Command]:
        if self._utterance is None:
            return []
        item_id, self._utterance = self._utterance, None
        self._transcripts.drop(item_id)
        self._eager.forget()
        held = self._barge_in.decided()
        return [*self.responses.discard_draft(), cmd.DropUtterance(item_id), *([cmd.ResumeAudio()] if held else [])]

    def _configured(self, config: Config) -> list[Command]:
        changed, differs = config.turn_taking != self.config.turn_taking, config != self.config
        self.config = config
        if changed and self._utterance:
            return [*self._drop_utterance(), cmd.ForgetBuffer()]
        return self.responses.discard_draft() if differs else []

    # --- transcripts --------------------------------------------------------------------------------------------------------------------

    def _item_created(self, event: ev.ItemCreated) -> list[Command]:
        """Audio without a transcript is transcribed before the model is asked again."""
        commands, item = [*self.responses.discard_draft(), *self.memory.handle(event)], event.item
        index = audio_without_text(item)
        if index is None or item.id not in self.memory.history or self.memory.history[item.id] is not item:
            return commands
        self._transcripts.commit(item.id, index)
        return [*commands, cmd.TranscribeItem(item.id, self.config.hints)]

    def _guessed(self, event: ev.TranscriptGuessed, now: float) -> list[Command]:
        decided = self._heard_words(event, now)
        ready = not (self._transcripts.waiting or self._barge_in.undecided)
        return decided + self._settled(*self._eager.guessed(event, self.config, ready, now), now)

    def _settled(self, commands: list[Command], final: ev.TranscriptFinished | None, now: float) -> list[Command]:
        return commands if final is None else commands + self._transcript(final, now)

    def _transcript(self, event: TranscriptEvent, now: float) -> list[Command]:
        decided = self._heard_words(event, now) if isinstance(event, ev.TranscriptGrew) else []
        told_of, text = self._transcripts.take(event, self.config.transcribes)
        commands = decided + told_of
        return commands if text is None else commands + self._transcribed(event.item_id, text, now)

    def _transcribed(self, item_id: str, text: str, now: float) -> list[Command]:
        if item_id in self.memory.history:
            item = self.memory.history[item_id]
            index = audio_without_text(item)  # None: another item took the id meanwhile
            if isinstance(item, Message) and index is not None:
                item.parts[index].text = text
        marks = self._marks.pop(item_id, None) or Marks(over_at=now)
        marks.transcript_at = now
        commands: list[Command] = []
        if self._eager.undecided == item_id:
            commands += self._decide(text, marks, now)
        if not text.strip():
            commands += self.responses.complete_for(item_id)
        return commands if self._transcripts.waiting else commands + self.responses.start_waiting(self.config, now)

    def _decide(self, text: str, marks: Marks, now: float) -> list[Command]:
        """The draft answers what was said, or another response is made."""
        answered = self._eager.answers(text)
        item_id, self._eager.undecided = self._eager.undecided, None
        if answered:
            return self.responses.release_draft(marks)
        return [*self.responses.discard_draft(), *self.responses.create(self.config, ResponseRequest(), marks, item_id)]

    def _without_draft(self, now: float) -> list[Command]:
        """The response that would have been decided on with the transcript is made now, and the draft is forgotten."""
        item_id, self._eager.undecided = self._eager.undecided, None
        commands = self.responses.discard_draft()
        return commands + (self._respond(ResponseRequest(), self._marks[item_id], now, item_id) if item_id else [])

    # --- responses ----------------------------------------------------------------------------------------------------------------------

    def _response_asked(self, event: ev.ResponseAsked, now: float) -> list[Command]:
        if not self.config.responds:
            return [problem("A transcription session makes no responses.", "invalid_event", None, event.event_id)]
        commands = [] if event.request.out_of_band else self._without_draft(now)
        if refusal := self.responses.refusal(event):
            return [*commands, refusal]
        pending = next(reversed(self._marks.values()), None)
        return commands + self._respond(event.request, pending or Marks(over_at=now), now)

    def _respond(self, request: ResponseRequest, marks: Marks, now: float, for_utterance: str | None = None) -> list[Command]:
        created = self.responses.create(self.config, request, marks, for_utterance)
        return created if self._transcripts.waiting else created + self.responses.start_waiting(self.config, now)

    def _interrupt(self, now: float) -> list[Command]:
        """The user speaks: what is live stops, and what cannot have been played by now leaves the memory."""
        live = self.responses.default
        commands = self.responses.cancel(live, "turn_detected") if live else []  # first: its done events tell all that was written
        self.memory.interrupted(live.spoken if live else None, now)
        return commands

    # --- speech over an answer ----------------------------------------------------------------------------------------------------------

    def _heard_now(self, now: float) -> bool:
        """Whether the user hears an answer, of which more may come."""
        live = self.responses.default
        spoken = live.spoken if live else None
        return self.memory.playback.ahead_s(now) > 0 or (spoken is not None and spoken[1].duration_s > 0)

    def _hold(self, event: ev.SpeechStarted, now: float) -> list[Command]:
        begun = self._begin_utterance(event.start_s, told_of=False)
        assert self._utterance is not None
        self._barge_in.hold(self._utterance, event.start_s, self.memory.asks(), now)
        return [*begun, cmd.HoldAudio()]

    def _heard_words(self, event: ev.TranscriptGrew | ev.TranscriptGuessed, now: float) -> list[Command]:
        match self._barge_in.judged(event, now):
            case Words.INTERRUPT:
                return self._floor_taken(now)
            case Words.ECHO:
                return self._never_happened()
        return []

    def _never_happened(self) -> list[Command]:
        return [*self._drop_utterance(), cmd.ForgetBuffer()]

    def _floor_taken(self, now: float) -> list[Command]:
        """The utterance that was undecided is an interruption."""
        one = self._barge_in.decided()
        if one is None:
            return []
        self._eager.undecided = None
        self._transcripts.reveal(one.item_id)
        interrupted = [*self.responses.discard_draft(), *self._interrupt(now)]
        return [Tell(told.UtteranceStarted(one.item_id, one.start_s)), *interrupted, cmd.ResumeAudio(), *self._warmed()]

    def _cancel_asked(self, event: ev.ResponseCancelled) -> list[Command]:
        live = self.responses.default
        commands = self.responses.cancel_asked(event)
        if live is not None and live.done:
            self.memory.cancelled(live.spoken)
        return commands

    # --- time ---------------------------------------------------------------------------------------------------------------------------

    def _deadline_passed(self, audio_s: float, now: float) -> list[Command]:
        if self._moments.expired(now):
            expired = problem("The session has reached its longest duration.", "session_expired", None, None)
            return [expired, cmd.HangUp(1001, "session_expired")]
        if self._moments.left(now):
            return [cmd.HangUp(1012, "the server is being replaced: connect again")]
        if self._barge_in.overdue(now):
            return self._floor_taken(now)
        idle_at = self._moments.idle_at(self._idle_timeout_s)
        return self._idle(audio_s, now) if idle_at is not None and now >= idle_at else []

    def _idle(self, audio_s: float, now: float) -> list[Command]:
        """The user has been silent for too long after an answer: the silence becomes a turn, and the agent speaks."""
        silence_s = self._idle_timeout_s
        assert silence_s is not None
        note = Message(self._new_id("item"), Role.SYSTEM, [Part(Kind.INPUT_TEXT, f"The user has said nothing for {silence_s:g} seconds.")])
        silence = Message(self._new_id("item"), Role.USER, [Part(Kind.INPUT_AUDIO, "")])
        commands: list[Command] = [Tell(told.IdleTimedOut(silence.id, max(0.0, audio_s - silence_s), audio_s)), *self._append(note)]
        commands += [cmd.ForgetBuffer(), Tell(told.UtteranceCommitted(silence.id, self.memory.history.last_id)), *self._append(silence)]
        return commands + (self._respond(ResponseRequest(), Marks(over_at=now), now) if self.config.responds else [])

    def _append(self, item: Message) -> list[Command]:
        previous = self.memory.history.append(item)
        return [Tell(told.ItemAdded(deepcopy(item), previous)), Tell(told.ItemDone(deepcopy(item), previous))]
