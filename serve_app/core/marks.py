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
    transcript_at: float | None = None
    asked_at: float | None = None
    """When the language model was."""
    first_token_at: float | None = None
    first_clause_at: float | None = None
    """When text-to-speech was given something to say."""
    first_audio_at: float | None = None
    """When it was sent."""
    drafted: bool = False
    """The answer was begun before the turn was over."""

    @property
    def speech_ended_at(self) -> float:
        return self.over_at - (self.endpoint_s or 0.0)

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
        )

    def _stages(self) -> list[Stage]:
        borders = (
            ("endpointing", None if self.endpoint_s is None else self.speech_ended_at, self.over_at),
            ("transcription", self.over_at, self.transcript_at),
            ("first_token", self.asked_at, self.first_token_at),
            ("first_clause", self.first_token_at, self.first_clause_at),
            ("first_audio", self.first_clause_at, self.first_audio_at),
        )
        return [Stage(name, start, max(start, end)) for name, start, end in borders if start is not None and end is not None]


def _difference(later: float | None, earlier: float | None) -> float | None:
    return None if later is None or earlier is None else max(0.0, later - earlier)
