"""What the client is told; realtime/render.py makes server events of it."""

from dataclasses import dataclass

from serve_app.core.config import Modality
from serve_app.core.items import FunctionCall, Item, Part


@dataclass(frozen=True, slots=True)
class Problem:
    """An error that leaves the session usable."""

    message: str
    code: str | None = None
    param: str | None = None
    event_id: str | None = None
    kind: str = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    item_id: str
    start_s: float


@dataclass(frozen=True, slots=True)
class UtteranceStopped:
    item_id: str
    end_s: float


@dataclass(frozen=True, slots=True)
class UtteranceCommitted:
    item_id: str
    previous: str | None


@dataclass(frozen=True, slots=True)
class BufferCleared:
    pass


@dataclass(frozen=True, slots=True)
class IdleTimedOut:
    item_id: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TranscriptDelta:
    item_id: str
    delta: str
    part: int = 0
    """Index of the item's part that the audio is."""


@dataclass(frozen=True, slots=True)
class TranscriptCompleted:
    item_id: str
    text: str
    audio_s: float
    part: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptionFailed:
    item_id: str
    reason: str
    part: int = 0


@dataclass(frozen=True, slots=True)
class ItemAdded:
    item: Item
    previous: str | None


@dataclass(frozen=True, slots=True)
class ItemDone:
    item: Item
    previous: str | None


@dataclass(frozen=True, slots=True)
class ItemGone:
    item_id: str


@dataclass(frozen=True, slots=True)
class ItemCut:
    item_id: str
    content_index: int
    played_s: float
    by_words: bool
    """Whether the cut follows the times of words; by the audio's proportion otherwise."""


@dataclass(frozen=True, slots=True)
class ItemShown:
    item: Item


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a turn, in clock seconds. Steps of an answer that was drafted lie beside each other."""

    name: str
    """endpointing, transcription, guess (of a draft: the transcription in the pause), first_token, first_clause, synthesis (of the first
    sound) or first_audio (from the first clause until it was sent)."""
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a turn's time went; None where a step did not happen. The first four count from the end of the one before it, and add up to
    what the speaker waited."""

    endpoint_s: float | None = None
    """From the last speech to the decision that the turn was over, in audio time."""
    transcript_s: float | None = None
    first_token_s: float | None = None
    first_audio_s: float | None = None
    stages: tuple[Stage, ...] = ()
    """Those that happened."""
    speech_ended_at: float = 0.0
    """Clock time of the last speech; of a response without an utterance when it was asked for."""
    drafted: bool = False
    """The answer was begun before the turn was over."""
    saved_s: float | None = None
    """Of one that was drafted: how much earlier it came for that (`Marks.saved_s`)."""


@dataclass(frozen=True, slots=True)
class ResponseView:
    """A response as it stands when the client is told of it."""

    id: str
    in_conversation: bool
    status: str
    """in_progress, completed, cancelled, incomplete or failed."""
    modality: Modality
    voice: str
    audio_format: str
    output: tuple[Item, ...] = ()
    reason: str | None = None
    """Of cancelled: turn_detected or client_cancelled; of incomplete: max_output_tokens; of failed: what went wrong."""
    max_tokens: int | None = None
    metadata: dict[str, str] | None = None
    usage: Usage | None = None
    timings: Timings | None = None


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    response: ResponseView


@dataclass(frozen=True, slots=True)
class ResponseDone:
    response: ResponseView


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    response_id: str
    output_index: int
    item: Item


@dataclass(frozen=True, slots=True)
class At:
    """Where in a response something belongs; a message has one part, of index 0."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class PartAdded:
    at: At
    part: Part


@dataclass(frozen=True, slots=True)
class PartDone:
    at: At
    part: Part


@dataclass(frozen=True, slots=True)
class TextGrew:
    """Text of the answer, or the transcript of its audio: `modality` tells."""

    at: At
    modality: Modality
    delta: str


@dataclass(frozen=True, slots=True)
class TextDone:
    at: At
    modality: Modality
    text: str


@dataclass(frozen=True, slots=True)
class AudioDone:
    at: At


@dataclass(frozen=True, slots=True)
class ArgumentsGrew:
    at: At
    call_id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ArgumentsDone:
    at: At
    call: FunctionCall


Notification = (
    Problem
    | UtteranceStarted | UtteranceStopped | UtteranceCommitted | BufferCleared | IdleTimedOut
    | TranscriptDelta | TranscriptCompleted | TranscriptionFailed
    | ItemAdded | ItemDone | ItemGone | ItemCut | ItemShown
    | ResponseCreated | ResponseDone | OutputItemAdded | OutputItemDone
    | PartAdded | PartDone | TextGrew | TextDone | AudioDone | ArgumentsGrew | ArgumentsDone
)  # fmt: skip
