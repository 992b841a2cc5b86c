"""When the steps of one turn happened."""

from dataclasses import dataclass

from serve_app.core.notifications import Stage, Timings


@dataclass(slots=True)
class Marks:
    """Clock times of one turn, in seconds; None where a step did not happen. With a draft the model's come before `over_at`."""

    over_at: float
    """When the turn was decided to be over (or the response was asked for)."""
    endpoint_s: float | None = None
    """How long before it the last speech was, in audio time."""
    guess_at: float | None = None
    """When the text was asked for in the pause, of a draft."""
    transcript_at: float | None = None
    asked_at: float | None = None
    """When the language model was."""
    first_token_at: float | None = None
    first_clause_at: float | None = None
    """When text-to-speech was given something to say."""
    made_at: float | None = None
    """When the first of what the user waits for was there, though it may have been held: sound, or text or a call where there is none."""
    first_audio_at: float | None = None
    """When it was sent."""
    drafted: bool = False
    """The answer was begun before the turn was over."""

    @property
    def speech_ended_at(self) -> float:
        return self.over_at - (self.endpoint_s or 0.0)

    @property
    def saved_s(self) -> float | None:
        """Of a draft, once it is released: how much earlier the answer comes than without it. That is what was done of its work before the
        release, from the guess of the text on if the guess is the transcript, else from the question to the model on."""
        began_at = self.guess_at if self.transcript_at is None or self.transcript_at <= self.over_at else self.asked_at
        if not self.drafted or began_at is None:
            return None
        released_at = self.over_at if self.transcript_at is None else max(self.over_at, self.transcript_at)
        return max(0.0, min(released_at, released_at if self.made_at is None else self.made_at) - began_at)

    def adopt(self, made: "Marks") -> None:
        """What was done for the draft, when it was."""
        self.guess_at, self.asked_at, self.made_at = made.guess_at, made.asked_at, made.made_at
        self.first_token_at, self.first_clause_at = made.first_token_at, made.first_clause_at
        self.drafted = True

    def timings(self) -> Timings:
        heard = self.over_at if self.transcript_at is None else max(self.over_at, self.transcript_at)
        written = None if self.first_token_at is None else max(heard, self.first_token_at)
        return Timings(
            self.endpoint_s,
            _difference(self.transcript_at, self.over_at),
            _difference(written, heard),
            _difference(self.first_audio_at, written),
            stages=tuple(self._stages()),
            speech_ended_at=self.speech_ended_at,
            drafted=self.drafted,
            saved_s=self.saved_s,
        )

    def _stages(self) -> list[Stage]:
        borders = (
            ("endpointing", None if self.endpoint_s is None else self.speech_ended_at, self.over_at),
            ("transcription", self.over_at, self.transcript_at),
            ("guess", self.guess_at, self.asked_at),
            ("first_token", self.asked_at, self.first_token_at),
            ("first_clause", self.first_token_at, self.first_clause_at),
            ("synthesis", self.first_clause_at, self.made_at),
            ("first_audio", self.first_clause_at, self.first_audio_at),
        )
        return [Stage(name, start, max(start, end)) for name, start, end in borders if start is not None and end is not None]


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else max(0.0, later - earlier)
