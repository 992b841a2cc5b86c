"""What a session is set to. The wire (realtime/session_object.py) makes these; the conversation obeys them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from serve_app.core.language import Hints, Tool


class Modality(StrEnum):
    AUDIO = "audio"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class ServerVad:
    """A turn ends after a fixed silence."""

    threshold: float = 0.5
    """Probability of speech, 0 to 1, above which a frame counts as speech."""
    prefix_padding_s: float = 0.3
    """How much audio before the detected start belongs to the utterance."""
    silence_s: float = 0.5
    idle_timeout_s: float | None = None
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """A turn ends when a model of turn-taking says that the speaker has finished, at the latest after `longest_silence_s`."""

    longest_silence_s: float = 4.0
    threshold: float = 0.5
    prefix_padding_s: float = 0.3
    create_response: bool = True
    interrupt_response: bool = True


TurnTaking = ServerVad | SemanticVad | None
"""None: push to talk, the client commits."""


@dataclass(frozen=True, slots=True)
class Config:
    """The session as the conversation sees it."""

    instructions: str = ""
    modality: Modality = Modality.AUDIO
    turn_taking: TurnTaking = field(default_factory=ServerVad)
    responds: bool = True
    """False in a transcription session: no response is ever made."""
    transcribes: bool = False
    """Whether the client is told what was heard; it is always transcribed, for the language model needs it."""
    hints: Hints = field(default_factory=Hints)
    voice: str = ""
    speed: float = 1.0
    audio_format: str = "audio/pcm"
    """Of spoken answers: a name of the Realtime protocol."""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    max_tokens: int | None = None
    """Of a response. None: no limit but, for a spoken one, the next."""
    spoken_tokens: int | None = None
    """Of a spoken response whose client sets no limit, not even "none"."""


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """What a client may set for one response. None: as the session has it."""

    instructions: str | None = None
    modality: Modality | None = None
    voice: str | None = None
    speed: float | None = None
    audio_format: str | None = None
    tools: tuple[Tool, ...] | None = None
    tool_choice: str | None = None
    max_tokens: int | None = None
    unlimited: bool = False
    """No limit, although the session may have one."""
    metadata: dict[str, str] | None = None
    out_of_band: bool = False
    """Not part of the conversation: runs beside the default response and leaves no items."""
    input: tuple[Any, ...] | None = None
    """Items (core.items.Item, or an ItemReference) that make up the prompt in place of the conversation."""
