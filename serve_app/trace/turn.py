"""The spans of one turn: `turn`, the root of a trace, from the beginning of the utterance to the end of the answer's playback.

    turn ─ speech ─ endpointing ─ transcription ─ answer (answer.py)

What is transcribed in a pause is a `guess`. The one that turns out to be the transcript is renamed `transcription`; the others, and the
answers that were drafted for them, are marked as discarded.
"""


from serve_app.trace.answer import Answer
from serve_app.trace.recorder import DISCARDED, STOPPED, Recorder


class Turn:
    def __init__(self, recorder: Recorder, now: float, item_id: str | None = None) -> None:
        """`item_id`: of the utterance; None where the client asks for a response without one."""
        self.span = recorder.root("turn", now)
        self.item_id = item_id
        self.answer: Answer | None = None
        """Not a draft."""
        self.hearing = self.span
        """What speech-to-text was asked last."""
        self.text_at: float | None = None
        self.ended = False
        self._recorder = recorder
        self._begun = now
        self._over = item_id is None
        self._speech_ended_at: float | None = None
        self._drafts: list[Answer] = []
        self._hearing_open = False
        self._guess_at_s: float | None = None
        self._guessed_at: float | None = None
        if item_id is not None:
            self.span.set_attribute("sparkvox.item.id", item_id)

    def over(self, endpoint_s: float | None, now: float) -> None:
        """`endpoint_s`: how long ago the last speech was; None where the client said that the turn is over."""
        self._over, self._speech_ended_at = True, max(self._begun, now - (endpoint_s or 0.0))
        self._recorder.record("speech", self.span, self._begun, self._speech_ended_at)
        if endpoint_s is not None:
            self._recorder.record("endpointing", self.span, self._speech_ended_at, now)

    # --- its text -----------------------------------------------------------------------------------------------------------------------

    def transcribes(self, guess_at_s: float | None, now: float) -> None:
        """Speech-to-text is asked: for a guess of that name, or (None) for the transcript."""
        self._forget_guess(now)
        self.hearing = self._recorder.begin("transcription" if guess_at_s is None else "guess", self.span, now)
        self._hearing_open, self._guess_at_s, self._guessed_at = True, guess_at_s, None

    def guessed(self, at_s: float, now: float) -> None:
        if at_s == self._guess_at_s:
            self._guessed_at = now

    def transcribed(self, now: float, failed: str | None = None) -> None:
        """The text is known; a guess may have told it before."""
        self.text_at = now
        if self.answer is not None:
            self.answer.text_known(now)
        if self._hearing_open:
            self.hearing.update_name("transcription")
            if failed is not None:
                self.hearing.set_attribute("error.type", failed)
            self._hearing_ends(now)

    def _forget_guess(self, now: float) -> None:
        if self._hearing_open:
            self.hearing.set_attribute(DISCARDED, True)
            self._hearing_ends(now)

    def _hearing_ends(self, now: float) -> None:
        self._hearing_open = False
        self.hearing.end(self._recorder.ns(now if self._guessed_at is None else self._guessed_at))

    # --- its answer ---------------------------------------------------------------------------------------------------------------------

    def answers(self, asked: bool, now: float) -> Answer:
        """`asked`: the client asks for a response, which it may have done late."""
        if asked and self.text_at is not None and self.text_at < now:
            self._recorder.record("client", self.span, self.text_at, now)
        self.answer = Answer(self._recorder, self.span, now)
        return self.answer

    def drafts(self, now: float) -> Answer:
        draft = Answer(self._recorder, self.span, now)
        self._drafts.append(draft)
        return draft

    def releases(self, draft: Answer) -> None:
        draft.released()
        self.answer = draft

    def ends(self, outcome: str, at: float) -> None:
        """At once, or in what is now the past: nothing that is told later belongs to it."""
        self.ended = True
        if not self._over:
            self._recorder.record("speech", self.span, self._begun, at, {STOPPED: True})
        self._forget_guess(at)
        for draft in self._drafts:
            if draft.draft:
                draft.discarded(at)
        if self.answer is not None:
            self.answer.ends(at)
        self.span.set_attribute("sparkvox.outcome", outcome)
        if self.answer is not None and self.answer.first_audio_at is not None and self._speech_ended_at is not None:
            self.span.set_attribute("sparkvox.voice_to_voice_s", self.answer.first_audio_at - self._speech_ended_at)
        self.span.end(self._recorder.ns(at))


