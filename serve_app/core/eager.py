"""Work on a turn before it is confirmed: at the first plausible end of an utterance its text is guessed, and an answer is drafted.

    SpeechPaused ─> GuessTranscript ─> TranscriptGuessed ─> a draft (draft.py)
    SpeechResumed, or anything that changes what the model would read ─> the draft is thrown away
    SpeechStopped ─> nothing was said after the guess: it is the transcript
    the transcript is final ─> same words: the draft is released; others: it is thrown away

The wait for silence, the transcription and the model's first words then lie beside each other instead of one after the other.
"""

from dataclasses import dataclass

from serve_app.core.commands import Command, GuessTranscript, SettleUtterance
from serve_app.core.config import Config
from serve_app.core.draft import same_words
from serve_app.core.events import SpeechPaused, TranscriptFinished, TranscriptGuessed
from serve_app.core.responses import Responses


@dataclass(slots=True)
class _Guess:
    item_id: str
    at_s: float
    asked_at: float
    """Clock time."""
    answer: TranscriptGuessed | None = None
    final: bool = False
    """The utterance is over, and nothing was said after the guess."""


class EagerTurn:
    def __init__(self, responses: Responses) -> None:
        self._responses = responses
        self._guess: _Guess | None = None
        self.undecided: str | None = None
        """The utterance that is over, whose transcript will say whether the draft answers it."""

    def paused(self, item_id: str, event: SpeechPaused, now: float) -> list[Command]:
        if self._guess is not None and self._guess.item_id == item_id and self._guess.at_s >= event.last_speech_s:
            return []  # nothing was said since
        self._guess = _Guess(item_id, event.at_s, now)
        return [GuessTranscript(item_id, event.at_s)]

    def guessed(
        self, event: TranscriptGuessed, config: Config, ready: bool, now: float
    ) -> tuple[list[Command], TranscriptFinished | None]:
        """What to do, and the transcript if the guess is it. A late guess, about an older pause, means nothing. `ready`: everything that
        was said before has its text."""
        guess = self._guess
        if guess is None or (guess.item_id, guess.at_s) != (event.item_id, event.at_s):
            return [], None
        guess.answer = event
        if guess.final:
            return self._settle(event)
        draft = self._responses.draft
        if draft is not None and draft.item_id == event.item_id and same_words(draft.text, event.text):
            return [], None
        commands = self._responses.discard_draft()
        if ready and event.text.strip() and self._answerable(config):
            commands += self._responses.write_draft(config, event.item_id, event.text, guess.asked_at, now)
        return commands, None

    def forget(self) -> None:
        """The utterance is dropped: what its guess says means nothing."""
        self._guess = None

    def covers(self, item_id: str, last_speech_s: float) -> bool:
        """Whether a guess holds all that was said."""
        return self._guess is not None and self._guess.item_id == item_id and self._guess.at_s >= last_speech_s

    @property
    def was_answered(self) -> bool:
        """Whether the text of the last guess is there."""
        return self._guess is not None and self._guess.answer is not None

    def over(self) -> tuple[list[Command], TranscriptFinished | None]:
        """The utterance has ended with nothing after the guess: its transcript, if the guess was answered already."""
        assert self._guess is not None
        self._guess.final = True
        return ([], None) if self._guess.answer is None else self._settle(self._guess.answer)

    def answers(self, text: str) -> bool:
        """Whether the draft is an answer to this final transcript."""
        draft = self._responses.draft
        return draft is not None and draft.item_id == self.undecided and same_words(draft.text, text)

    def _answerable(self, config: Config) -> bool:
        policy = config.turn_taking
        return policy is not None and policy.create_response and config.responds and self._responses.default is None

    def _settle(self, answer: TranscriptGuessed) -> tuple[list[Command], TranscriptFinished]:
        self._guess = None
        return [SettleUtterance(answer.item_id)], TranscriptFinished(answer.item_id, answer.text, answer.audio_s)
