"""What a conversation needs of its engines: five small Protocols and the messages that they take and give.

An engine is a model behind one of these. The same Protocol has an in-process form (the engine itself), a remote form (a Serve handle,
deployments/remote.py) and a fake (deployments/engines/fake.py); a session cannot tell which one it holds.

Two Protocols stand behind speech-to-text, because a GPU is filled by batches: a `Recogniser` is the model, which takes one step for all
live utterances; `listening.Listening` gathers what is due, steps once, and is the `SpeechToText` that a session sees.

Units: seconds are floats with suffix `_s`; audio is mono 16-bit PCM; what is heard is always at `HEARING_RATE`.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

# Made by the core, met by engines: re-exported, so that an engine has one place to import from.
from serve_app.core.language import ChatMessage as ChatMessage
from serve_app.core.language import Constraints as Constraints
from serve_app.core.language import Hints as Hints
from serve_app.core.language import Prompt as Prompt
from serve_app.core.language import Tool as Tool
from serve_app.core.language import ToolCall as ToolCall
from serve_app.core.language import Word as Word
from serve_app.work import NO_WORK, Work

Pcm = npt.NDArray[np.int16]
"""Mono samples, shape [n], int16."""

HEARING_RATE = 16_000
"""Samples a second of everything that voice activity, turn detection and speech-to-text are given."""


class Engine(Protocol):
    """What every engine has: constructing one is cheap, warming it is not."""

    async def warm(self) -> None:
        """Load the weights and produce real output once. Raises `EngineFailed` when that cannot be done."""


# --- voice activity ---------------------------------------------------------------------------------------------------------------------


class VoiceStream(Protocol):
    """One session's running state in the detector."""

    def score(self, frame: Pcm) -> float:
        """The probability, 0 to 1, that the frame (exactly `frame_samples` long) holds speech. Takes well under a millisecond."""


class VoiceActivity(Engine, Protocol):
    frame_samples: int
    """Samples in one frame at `HEARING_RATE`."""

    def open(self) -> VoiceStream: ...


# --- turn detection ---------------------------------------------------------------------------------------------------------------------


class TurnDetector(Engine, Protocol):
    async def score(self, pcm: Pcm) -> float:
        """The probability, 0 to 1, that the speaker has finished. `pcm` is what was said so far, with the pause at its end; a detector
        uses the last seconds that it can."""


# --- speech-to-text ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """An utterance starts; its audio follows."""

    utterance: str
    hints: Hints = field(default_factory=Hints)


@dataclass(frozen=True, slots=True)
class Audio:
    utterance: str
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class End:
    """All audio was sent: answer with one `Final` or `Failed`."""

    utterance: str
    trace: str = ""
    """The traceparent of what waits for the answer; empty: nothing is traced."""


@dataclass(frozen=True, slots=True)
class Drop:
    """The utterance is not wanted any more: no answer."""

    utterance: str


@dataclass(frozen=True, slots=True)
class Guess:
    """What would the text be if the utterance ended here? Answered by one `Guessed`, unless the utterance ends first; it goes on."""

    utterance: str
    at_s: float
    """Names the guess; comes back with it."""
    trace: str = ""


HearingMessage = Begin | Audio | End | Drop | Guess


@dataclass(frozen=True, slots=True)
class Partial:
    """The text so far. Later partials may differ in what is not `stable_chars` yet."""

    utterance: str
    text: str
    stable_chars: int = 0
    """How many leading characters of `text` will not change any more."""


@dataclass(frozen=True, slots=True)
class Final:
    utterance: str
    text: str
    audio_s: float
    """Seconds of audio that were transcribed."""
    words: tuple[Word, ...] = ()
    """Empty when the engine has no word times."""
    language: str | None = None
    work: Work = field(default=NO_WORK, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """This utterance will have no text; the others are not concerned."""

    utterance: str
    reason: str


@dataclass(frozen=True, slots=True)
class Guessed:
    utterance: str
    text: str
    at_s: float
    audio_s: float
    work: Work = field(default=NO_WORK, compare=False)


HearingResult = Partial | Final | Failed | Guessed


class Ear(Protocol):
    """One session's connection to one replica; any number of utterances one after the other, or overlapping."""

    def send(self, message: HearingMessage) -> None:
        """Never waits. Raises `EngineGone` once the replica is lost."""

    def results(self) -> AsyncIterator[HearingResult]:
        """One consumer. Ends after `close`; raises `EngineGone` when the replica is lost."""

    async def close(self) -> None:
        """Drops what is open. May be called twice."""


class SpeechToText(Engine, Protocol):
    async def open(self, session_id: str) -> Ear:
        """Raises `EngineBusy` when no replica takes another session."""


@dataclass(slots=True)
class Due:
    """What one stream brings to a step."""

    stream: Any
    """What `Recogniser.begin` gave."""
    pcm: Pcm
    """New samples since the last step, perhaps none."""
    last: bool
    """No more will come: the hypothesis must be final."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    text: str
    stable_chars: int = 0
    words: tuple[Word, ...] = ()
    language: str | None = None


class Recogniser(Engine, Protocol):
    """A model that transcribes many utterances in steps. `begin` and `step` are called from one worker thread, never at once."""

    step_samples: int
    """A stream is due when it has this many new samples, or when its last have come. 0: only then (a model that is not streaming)."""

    def begin(self, hints: Hints) -> Any:
        """A fresh stream's state. Dropping the reference ends it."""

    def fork(self, stream: Any) -> Any:
        """A copy, whose last step leaves the stream as it is. Called from the worker thread too."""

    def step(self, due: Sequence[Due]) -> Sequence[Hypothesis | Exception]:
        """One step for all of them; an answer for each in its place. An exception concerns that stream alone."""


def known_languages(engine: object) -> tuple[str, ...] | None:
    """Primary tags (`en`) of the languages that speech-to-text hears or text-to-speech speaks, once it is warmed: the attribute `languages`
    of its engine. None: the engine does not know, and is asked for any."""
    languages: tuple[str, ...] | None = getattr(engine, "languages", None)
    return languages


# --- language model ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextDelta:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of one call. The first piece of an `index` carries its `name`; `call_id`s are the session's to give."""

    index: int
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The last message of a reply."""

    finish: str
    """stop or length."""
    prompt_tokens: int
    reply_tokens: int
    cached_tokens: int = 0
    looped: bool = False
    """The model repeated itself, and was stopped."""


ReplyPiece = TextDelta | ToolCallDelta | ReplyEnd


class LanguageModel(Engine, Protocol):
    def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        """Ends with a `ReplyEnd`. Closing the iterator aborts generation at once. Raises `EngineFailed`, `EngineGone`,
        `PromptTooLong` or `PromptRefused`."""


# --- text-to-speech ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Speech:
    """What to say: text already normalised for speaking (serve_app/speech_text.py)."""

    text: str
    voice: str
    """A voice of the engine, or several mixed in equal parts: `af_heart+af_bella`."""
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of the audio, in order."""

    pcm: Pcm
    """At the engine's `sample_rate`."""
    words: tuple[Word, ...] = ()
    """Times from the first sample of the whole speech; empty when the engine has none."""


class TextToSpeech(Engine, Protocol):
    sample_rate: int
    voices: tuple[str, ...]

    def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        """Closing the iterator stops the work. Raises `UnknownVoice`, `EngineFailed` or `EngineGone`."""


# --- all of them ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Engines:
    """What one session is given."""

    voice_activity: VoiceActivity
    turn_detector: TurnDetector
    speech_to_text: SpeechToText
    language_model: LanguageModel
    text_to_speech: TextToSpeech
