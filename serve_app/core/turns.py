"""Whose turn it is: when the user has begun to speak, has finished, and wants the floor from an answer; and what answers a turn.

A turn that is over is answered by the draft that was made for it (eager.py), if its transcript says that this answers it, and else by a
response that is made now. Speech over an answer may be undecided for a while (barge_in.py): then nobody is told of it.
"""

from typing import assert_never

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.barge_in import BargeIn, Words
from serve_app.core.commands import Command, Tell, problem
from serve_app.core.config import Config, ResponseRequest
from serve_app.core.eager import EagerTurn
from serve_app.core.marks import Marks
from serve_app.core.memory import Memory
from serve_app.core.responses import Responses
from serve_app.core.transcripts import TranscriptEvent
from serve_app.core.utterances import Utterances
from serve_app.core.warmth import SAID, Warmth

SHORTEST_COMMIT_S = 0.1
"""Less audio than this cannot be committed (OpenAI Realtime: input_audio_buffer_commit_empty)."""

SpeechEvent = ev.SpeechStarted | ev.SpeechStopped | ev.SpeechPaused | ev.SpeechResumed | ev.BufferStarted


class Turns:
    def __init__(self, config: Config, memory: Memory, utterances: Utterances, responses: Responses, barge_in: BargeIn) -> None:
        self.config = config
        self._memory = memory
        self._utterances = utterances
        self._responses = responses
        self._barge_in = barge_in
        self._eager = EagerTurn(responses)
        self._warmth = Warmth()

    def speech(self, event: SpeechEvent, now: float) -> list[Command]:
        match event:
            case ev.SpeechStarted():
                return self._started(event, now)
            case ev.SpeechStopped():
                return self._stopped(event, now)
            case ev.SpeechPaused():
                return self._paused(event, now)
            case ev.SpeechResumed():
                self._barge_in.resumed(now)
                return self._responses.discard_draft()
            case ev.BufferStarted():
                return [*self._begin(event.start_s, told_of=False), *self._warmed()]
            case _:
                assert_never(event)

    def configured(self, event: ev.Configured, now: float) -> list[Command]:
        """What is being said goes on under the new turn taking. Without voice activity detection it stays in the buffer, for a commit by
        hand. An answer that it holds goes on where speech does not interrupt any more."""
        waits = self._barge_in.undecided is not None and self._barge_in.undecided.stopped is not None
        over = self.floor_taken(now) if waits else []
        before, self.config = self.config, event.config
        commands = over + (self._responses.discard_draft() if before != self.config else [])
        policy = self.config.turn_taking
        undecided = None if policy is not None and policy.interrupt_response else self._barge_in.decided()
        if undecided is not None:
            commands.append(cmd.ResumeAudio())
        if policy is None:
            return commands + self._utterances.stopped(event.audio_s)
        return commands + (self._utterances.announce(undecided.start_s) if undecided else [])

    # --- a turn is over -----------------------------------------------------------------------------------------------------------------

    def _stopped(self, event: ev.SpeechStopped, now: float) -> list[Command]:
        item_id = self._utterances.current
        if item_id is None or (self._barge_in.undecided and self._barge_in.undecided.stopped):
            return []  # nothing was being said, or it is over already and waits for its words
        if self._barge_in.undecided and self._eager.covers(item_id, event.last_speech_s):
            if not self._eager.was_answered:
                self._barge_in.over(event, now)
                return []
            if self._barge_in.verdict(self._ends_at, now) is not Words.INTERRUPT:
                return self._never_happened()
        return self.floor_taken(now) + self._over(item_id, event, now, now)

    def _over(self, item_id: str, event: ev.SpeechStopped, over_at: float, now: float) -> list[Command]:
        guessed = self._eager.covers(item_id, event.last_speech_s)
        commands = self._utterances.stopped(event.end_s)
        committed, failed = self._utterances.commit(Marks(over_at=over_at, endpoint_s=event.end_s - event.last_speech_s), guessed)
        commands += [*committed, *self._answer(item_id, now)]
        if failed is not None:
            return commands + self._transcript(failed, now)
        return commands + (self._settled(*self._eager.over(), now) if guessed else [])

    def commit_asked(self, event: ev.CommitAsked, now: float) -> list[Command]:
        if event.buffered_s < SHORTEST_COMMIT_S:
            held_ms, least_ms = event.buffered_s * 1000, SHORTEST_COMMIT_S * 1000
            message = f"The input audio buffer holds {held_ms:.0f} ms of audio; at least {least_ms:.0f} ms are needed to commit it."
            return [problem(message, "input_audio_buffer_commit_empty", None, event.event_id)]
        if self._barge_in.undecided and self._barge_in.undecided.stopped:
            return self.floor_taken(now)  # that commits it
        commands = [*self.floor_taken(now), *self._utterances.stopped(event.audio_s), *self._responses.discard_draft()]
        commands += self._begin(0.0, told_of=False)
        committed, failed = self._utterances.commit(Marks(over_at=now))
        return [*commands, *committed, *(self._transcript(failed, now) if failed else [])]

    def clear_asked(self, event: ev.ClearAsked) -> list[Command]:
        return [*self._utterances.stopped(event.audio_s), *self._never_happened(), Tell(told.BufferCleared())]

    def _paused(self, event: ev.SpeechPaused, now: float) -> list[Command]:
        self._barge_in.paused(event, now)
        wanted = event.eager or self._barge_in.undecided
        return self._eager.paused(self._utterances.current, event, now) if self._utterances.current and wanted else []

    # --- what answers it ----------------------------------------------------------------------------------------------------------------

    def respond(self, request: ResponseRequest, marks: Marks, now: float, for_utterance: str | None = None) -> list[Command]:
        """The language model is asked as soon as everything that was said has its text."""
        created = self._responses.create(self.config, request, marks, for_utterance)
        return created if self._utterances.waiting else created + self._responses.start_waiting(self.config, now)

    def without_draft(self, now: float) -> list[Command]:
        """The response that would have been decided on with the transcript is made now, and the draft is forgotten."""
        item_id, self._eager.undecided = self._eager.undecided, None
        commands = self._responses.discard_draft()
        return commands + (self.respond(ResponseRequest(), self._utterances.marks[item_id], now, item_id) if item_id else [])

    def _answer(self, item_id: str, now: float) -> list[Command]:
        """The turn is over. A draft waits for the transcript, which says whether it answers it; otherwise the response is created now."""
        policy = self.config.turn_taking
        if policy is None or not policy.create_response or not self.config.responds or self._responses.default is not None:
            return self._responses.discard_draft()
        if self._responses.draft is not None:
            self._eager.undecided = item_id
            return []
        return self.respond(ResponseRequest(), self._utterances.marks[item_id], now, for_utterance=item_id)

    def _decide(self, text: str, marks: Marks) -> list[Command]:
        """The draft answers what was said, or another response is made."""
        answered = self._eager.answers(text)
        item_id, self._eager.undecided = self._eager.undecided, None
        if self._responses.default is not None:  # a later turn is answered already
            return self._responses.discard_draft()
        if answered:
            return self._responses.release_draft(marks)
        return [*self._responses.discard_draft(), *self._responses.create(self.config, ResponseRequest(), marks, item_id)]

    # --- what was said ------------------------------------------------------------------------------------------------------------------

    def transcript(self, event: TranscriptEvent | ev.TranscriptGuessed, now: float) -> list[Command]:
        return self._guessed(event, now) if isinstance(event, ev.TranscriptGuessed) else self._transcript(event, now)

    def _guessed(self, event: ev.TranscriptGuessed, now: float) -> list[Command]:
        decided = self._heard_words(event, now)
        ready = not (self._utterances.waiting or self._barge_in.undecided)
        return decided + self._settled(*self._eager.guessed(event, self.config, ready, now), now)

    def _settled(self, commands: list[Command], final: ev.TranscriptFinished | None, now: float) -> list[Command]:
        return commands if final is None else commands + self._transcript(final, now)

    def _transcript(self, event: TranscriptEvent, now: float) -> list[Command]:
        decided = self._heard_words(event, now) if isinstance(event, ev.TranscriptGrew) else []
        told_of, text = self._utterances.transcripts.take(event, self.config.transcribes)
        commands = decided + told_of
        return commands if text is None else commands + self._transcribed(event.item_id, text, now)

    def _transcribed(self, item_id: str, text: str, now: float) -> list[Command]:
        marks = self._utterances.written(item_id, text, now)
        commands = self._decide(text, marks) if self._eager.undecided == item_id else []
        if not text.strip():
            commands += self._responses.complete_for(item_id)
        return commands if self._utterances.waiting else commands + self._responses.start_waiting(self.config, now)

    # --- the user speaks, perhaps over an answer ----------------------------------------------------------------------------------------

    def _started(self, event: ev.SpeechStarted, now: float) -> list[Command]:
        policy = self.config.turn_taking
        if self._barge_in.undecided:  # nobody was told that it had ended, or only the turn detection was changed: it goes on
            self._barge_in.resumed(now)
            return self._responses.discard_draft()
        interrupted = self._responses.discard_draft()
        if self._barge_in.undecided is not None:
            return interrupted  # of this speech nobody is told before it is decided on
        if policy is not None and policy.interrupt_response:
            if self._barge_in.lasts_s and self._utterances.current is None and self._responses.heard(now):
                return interrupted + self._hold(event, now)
            self._eager.undecided = None
            interrupted += self._responses.interrupt(now)
        begun = self._begin(event.start_s, told_of=True)
        return [*begun, *interrupted, *self._warmed()]

    def floor_taken(self, now: float) -> list[Command]:
        """The utterance that was undecided is an interruption."""
        one = self._barge_in.decided()
        if one is None:
            return []
        self._eager.undecided = None
        begun = self._utterances.announce(one.start_s)
        interrupted = [*self._responses.discard_draft(), *self._responses.interrupt(now)]
        taken = [*begun, *interrupted, cmd.ResumeAudio()]
        return taken + (self._warmed() if one.stopped is None else self._over(one.item_id, *one.stopped, now))

    def _begin(self, start_s: float, told_of: bool) -> list[Command]:
        return self._utterances.begin(start_s, self.config.hints, told_of)

    def _warmed(self) -> list[Command]:
        if not self.config.responds or self._responses.default is not None or self._utterances.waiting:
            return []
        return self._warmth.wanted(self._responses.prompt_of(self.config, SAID))

    def _hold(self, event: ev.SpeechStarted, now: float) -> list[Command]:
        begun = self._begin(event.start_s, told_of=False)
        assert self._utterances.current is not None
        self._barge_in.hold(self._utterances.current, event, self._memory.asks(), now)
        return [*begun, cmd.HoldAudio()]

    def _heard_words(self, event: ev.TranscriptGrew | ev.TranscriptGuessed, now: float) -> list[Command]:
        verdict = self._barge_in.judged(event, self._ends_at, now)
        if verdict is Words.INTERRUPT:
            return self.floor_taken(now)
        return self._never_happened() if verdict is Words.ECHO or self._barge_in.complete else []

    @property
    def _ends_at(self) -> float | None:
        """When the last sound of an answer is played; None while one is being made, of which more may come."""
        return self._memory.playback.ends_at if self._responses.default is None else None

    def _never_happened(self) -> list[Command]:
        """What is being said is dropped, and what was held of an answer goes on."""
        dropped = self._utterances.drop()
        if not dropped:
            return [cmd.ForgetBuffer()]
        self._eager.forget()
        resumed = [cmd.ResumeAudio()] if self._barge_in.decided() else []
        return [*self._responses.discard_draft(), *dropped, *resumed, cmd.ForgetBuffer()]
