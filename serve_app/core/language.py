"""What is said between a conversation and its engines: hints for the ear, the prompt for the language model, word times. Plain frozen
values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known about an utterance before it is heard."""

    language: str | None = None
    """BCP 47 tag, None for unknown."""
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    """Tags that it may be, where it is one of several."""


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start_s: float
    """From the first sample of the utterance (or of the spoken clause, for text-to-speech)."""
    end_s: float


@dataclass(frozen=True, slots=True)
class ToolCall:
    call_id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    role: str
    """system, user, assistant or tool."""
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant."""
    call_id: str | None = None
    """Of a tool's result: the call that it answers."""


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    description: str
    parameters: dict[str, Any]
    """JSON Schema of the arguments."""


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a reply must keep to beside its length and temperature. An engine that cannot keep one of them raises `PromptRefused`."""

    stop: tuple[str, ...] = ()
    """The reply ends before the first of these that it would hold."""
    schema: dict[str, Any] | None = None
    """JSON Schema. The whole reply is one JSON value that fits it."""
    top_p: float | None = None
    """The share of probability, above 0 to 1, that tokens are drawn from."""
    seed: int | None = None
    presence_penalty: float | None = None
    """-2 to 2, as OpenAI defines both."""
    frequency_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """One request for a reply."""

    messages: tuple[ChatMessage, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    """auto, none, required, or the name of one tool."""
    max_tokens: int | None = None
    temperature: float | None = None
    request_id: str = ""
    """Names the request in logs and traces; unique."""
    constraints: Constraints = Constraints()
    ends_after_tokens: int | None = None
    """After so many tokens the reply ends with its sentence; at `max_tokens` it ends wherever it is."""
    ends_loops: bool = True
    """Whether a reply that repeats itself for ever ends."""
