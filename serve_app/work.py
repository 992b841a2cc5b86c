"""Where the time of one answer of speech-to-text went."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """Where the time went between the question (`End`, `Guess`) and its answer."""

    queue_s: float = 0.0
    """Until the step that answered it began."""
    step_s: float = 0.0
    batch: int = 0
    """Utterances in the step; 0 where the model is behind a network."""


NO_WORK = Work()
