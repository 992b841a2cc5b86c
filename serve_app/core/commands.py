"""What a conversation wants done. `Tell` carries a notification for the client; everything else starts or stops work."""

from dataclasses import dataclass

from serve_app.core.language import Hints, Prompt
from serve_app.core.notifications import Notification, Problem


@dataclass(frozen=True, slots=True)
class BeginUtterance:
    """Give the audio from `start_s` on to speech-to-text, under the id of the item that it will become."""

    item_id: str
    start_s: float
    hints: Hints


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """No more audio. Speech-to-text owes a final text, unless a guess stands for it."""

    item_id: str
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class GuessTranscript:
    """What would the text be if the utterance ended here? Answered by TranscriptGuessed; the utterance goes on."""

    item_id: str
    at_s: float


@dataclass(frozen=True, slots=True)
class SettleUtterance:
    """The guess was right: speech-to-text owes nothing any more."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DropUtterance:
    item_id: str


@dataclass(frozen=True, slots=True)
class TranscribeItem:
    """The client brought audio in an item, without its transcript: give it to speech-to-text under the item's id."""

    item_id: str
    hints: Hints


@dataclass(frozen=True, slots=True)
class ForgetBuffer:
    """What was appended since the last commit is not wanted any more, or has been committed."""


@dataclass(frozen=True, slots=True)
class WarmCache:
    """The user speaks: the language model may read this meanwhile, the next prompt but for the last words. Nobody waits for it."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class StartReply:
    response_id: str
    prompt: Prompt
    held: bool = False
    """Nothing of it is sent before `ReleaseReply`."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    response_id: str


@dataclass(frozen=True, slots=True)
class Speak:
    """Say this clause after those before it. Answered by ClauseAudio..., ClauseSpoken."""

    response_id: str
    item_id: str
    output_index: int
    clause: int
    text: str
    voice: str
    speed: float
    audio_format: str = "audio/pcm"
    """In which the client gets it."""


@dataclass(frozen=True, slots=True)
class StopReply:
    """Stop generating and speaking for this response, at once; its unsent audio is not sent any more."""

    response_id: str


@dataclass(frozen=True, slots=True)
class HoldAudio:
    """Send no more audio before `ResumeAudio`: the user may be interrupting."""


@dataclass(frozen=True, slots=True)
class ResumeAudio:
    """The user was not, or what was held is stopped."""


@dataclass(frozen=True, slots=True)
class HangUp:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Items in a notification are copies: what the client was told does not change afterwards."""

    what: Notification


Command = (
    Tell | BeginUtterance | EndUtterance | GuessTranscript | SettleUtterance | DropUtterance | TranscribeItem | ForgetBuffer
    | WarmCache | StartReply | ReleaseReply | Speak | StopReply | HoldAudio | ResumeAudio | HangUp
)  # fmt: skip


def problem(message: str, code: str, param: str | None, event_id: str | None) -> Command:
    return Tell(Problem(message, code, param, event_id))
