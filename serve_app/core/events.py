"""What can happen to a conversation. Everything here is a fact about the past; the time at which it is handled is given beside it."""

from dataclasses import dataclass

from serve_app.core.config import Config, ResponseRequest
from serve_app.core.items import Item
from serve_app.core.language import Word

# --- from the ear -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    start_s: float
    """Audio time since the session began at which the utterance starts, padding included."""
    echo_lag_s: tuple[float, float] | None = (0.0, 1.0)
    """The shortest and the longest lag with which the microphone may hear what the client plays; None: it was found to hear none of it."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    end_s: float
    """Audio time at which the turn was decided to be over."""
    last_speech_s: float
    """Audio time of the last speech; the rest was waiting."""
    others: bool = False
    """What was heard after it is the speech of others, and no part of the turn."""


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The turn may be over: what can be done before it is confirmed may begin."""

    last_speech_s: float
    at_s: float
    """Audio time so far."""
    eager: bool
    """Whether there is room for work that may be thrown away."""


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The speaker goes on after a pause."""


@dataclass(frozen=True, slots=True)
class BufferStarted:
    """Push to talk: the first audio since the last commit or clear."""

    start_s: float


@dataclass(frozen=True, slots=True)
class TranscriptGrew:
    item_id: str
    text: str
    """All of the text so far that will not change any more."""


@dataclass(frozen=True, slots=True)
class TranscriptGuessed:
    """What the utterance says if it ends at `at_s`, as final as if it did."""

    item_id: str
    text: str
    at_s: float
    audio_s: float


@dataclass(frozen=True, slots=True)
class TranscriptFinished:
    item_id: str
    text: str
    audio_s: float


@dataclass(frozen=True, slots=True)
class TranscriptFailed:
    item_id: str
    reason: str


# --- from the language model ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplyText:
    response_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyToolCall:
    """A piece of one call; `name` is on the first piece of an `index`."""

    response_id: str
    index: int
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    response_id: str
    finish: str
    """stop or length."""
    prompt_tokens: int
    reply_tokens: int
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    response_id: str
    reason: str


# --- from text-to-speech ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SoundMade:
    """The first sound of the clause is there; it may have to wait before it is sent."""

    response_id: str
    clause: int


@dataclass(frozen=True, slots=True)
class ClauseAudio:
    """Audio of a clause was handed to the client."""

    response_id: str
    clause: int
    duration_s: float
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class ClauseSpoken:
    """All audio of the clause was handed to the client."""

    response_id: str
    clause: int


@dataclass(frozen=True, slots=True)
class SpeakingFailed:
    response_id: str
    reason: str


# --- from the client (`event_id` is the client's own, echoed in an error) ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Configured:
    config: Config
    audio_s: float = 0.0
    """Audio time so far."""


@dataclass(frozen=True, slots=True)
class CommitAsked:
    buffered_s: float
    """Seconds of audio since the last commit or clear."""
    event_id: str | None = None
    audio_s: float = 0.0
    """Audio time so far."""


@dataclass(frozen=True, slots=True)
class ClearAsked:
    event_id: str | None = None
    audio_s: float = 0.0
    """Audio time so far."""


@dataclass(frozen=True, slots=True)
class ItemCreated:
    item: Item
    previous: str | None = None
    """Id of the item that it follows, "root", or None for the end."""
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    item_id: str
    content_index: int
    played_s: float
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ItemAsked:
    item_id: str
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseAsked:
    request: ResponseRequest
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseCancelled:
    response_id: str | None = None
    event_id: str | None = None


# --- from the clock ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """`Conversation.deadline` has come."""

    audio_s: float = 0.0
    """Audio time so far."""


# --- from the server --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaveAsked:
    """This server is being taken away: the session ends at the next quiet moment."""

    by: float
    """Clock time; at the latest then."""


@dataclass(frozen=True, slots=True)
class Parted:
    """The connection is gone: what was sent may still be played, and nothing else will be."""


Event = (
    SpeechStarted | SpeechStopped | SpeechPaused | SpeechResumed | BufferStarted
    | TranscriptGrew | TranscriptGuessed | TranscriptFinished | TranscriptFailed
    | ReplyText | ReplyToolCall | ReplyFinished | ReplyFailed
    | SoundMade | ClauseAudio | ClauseSpoken | SpeakingFailed
    | Configured | CommitAsked | ClearAsked
    | ItemCreated | ItemDeleted | ItemTruncated | ItemAsked
    | ResponseAsked | ResponseCancelled
    | DeadlinePassed | LeaveAsked | Parted
)  # fmt: skip
