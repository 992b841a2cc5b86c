"""The client's events of the OpenAI Realtime protocol (GA) as types, and their parsing.

Source: the types of the `openai` Python package 3.52.0 (`openai.types.realtime`). Unknown parameters are refused by name, as the service
does.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from serve_app.realtime.errors import ProtocolError, from_validation, short

RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Samples a second: each format has one, which need not be named."""

LONGEST_HINT = 64 * 1024
"""Characters of the prompt of speech-to-text, which goes to its replica with each utterance."""


DEEPEST = 32
"""Levels of an object that may be of any shape; what reads and writes JSON ends somewhere above a hundred."""


class Strict(BaseModel):
    """Text is no number and a number no truth: what is echoed has the type that it was given with."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _whole(value: Any) -> Any:
    """Some clients write 300 as 300.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _not_too_deep(value: Any) -> Any:
    """Raises ValueError."""
    level = [value]
    for _ in range(DEEPEST):
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return value
    raise ValueError(f"it is nested deeper than {DEEPEST} levels")


def _text_or_object(value: Any) -> str:
    """Tells which member of a union was meant, so that an error is about that one. Tags that begin with ~ are no part of a path."""
    return "~text" if isinstance(value, str) else "~object"


Whole = Annotated[int, BeforeValidator(_whole)]
AnyObject = Annotated[dict[str, Any], AfterValidator(_not_too_deep)]
Id = Annotated[str, Field(max_length=512)]


# --- the session ------------------------------------------------------------------------------------------------------------------------


class AudioFormat(Strict):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Whole | None = None

    @field_validator("rate")
    @classmethod
    def _only_its_own(cls, rate: int | None, info: ValidationInfo) -> int | None:
        form = info.data.get("type")  # None: refused already
        if form is not None and rate not in (None, RATES[form]):
            raise ValueError(f"{form} has {RATES[form]} samples a second, not {rate}: resample the audio or name another format")
        return rate


class Transcription(Strict):
    model: str | None = None
    language: str | None = None
    languages: Annotated[list[str], Field(max_length=200)] | None = None
    prompt: str | None = Field(None, max_length=LONGEST_HINT)
    keywords: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=2000)] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(Strict):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class ServerVadUpdate(Strict):
    type: Literal["server_vad"]
    threshold: float | None = Field(None, ge=0, le=1)
    prefix_padding_ms: Whole | None = Field(None, ge=0, le=10_000)
    silence_duration_ms: Whole | None = Field(None, ge=0, le=60_000)
    idle_timeout_ms: Whole | None = Field(None, ge=1, le=3_600_000)
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVadUpdate(Strict):
    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class AudioInputUpdate(Strict):
    format: AudioFormat | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: Annotated[ServerVadUpdate | SemanticVadUpdate, Field(discriminator="type")] | None = None


class VoiceId(Strict):
    id: str


Voice = Annotated[Annotated[str, Tag("~text")] | Annotated[VoiceId, Tag("~object")], Discriminator(_text_or_object)]


class AudioOutputUpdate(Strict):
    format: AudioFormat | None = None
    voice: Voice | None = None
    speed: float | None = Field(None, ge=0.25, le=1.5)


class AudioUpdate(Strict):
    input: AudioInputUpdate | None = None
    output: AudioOutputUpdate | None = None


class FunctionTool(Strict):
    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: AnyObject | None = None
    strict: bool | None = None


class ToolChoiceFunction(Strict):
    type: Literal["function"]
    name: str


ToolChoice = Annotated[
    Annotated[Literal["auto", "none", "required"], Tag("~text")] | Annotated[ToolChoiceFunction, Tag("~object")],
    Discriminator(_text_or_object),
]
MaxTokens = Annotated[
    Annotated[Whole, Field(ge=1, le=4096), Tag("~number")] | Annotated[Literal["inf"], Tag("~text")],
    Discriminator(lambda value: "~text" if isinstance(value, str) else "~number"),
]
Modalities = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class Reasoning(Strict):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class TracingConfiguration(Strict):
    group_id: str | None = None
    metadata: AnyObject | None = None
    workflow_name: str | None = None


Tracing = Annotated[
    Annotated[Literal["auto"], Tag("~text")] | Annotated[TracingConfiguration, Tag("~object")], Discriminator(_text_or_object)
]


class TokenLimits(Strict):
    post_instructions: Whole | None = Field(None, ge=0, le=2**31)


class RetentionRatio(Strict):
    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0, le=1)
    token_limits: TokenLimits | None = None


Truncation = Annotated[
    Annotated[Literal["auto", "disabled"], Tag("~text")] | Annotated[RetentionRatio, Tag("~object")], Discriminator(_text_or_object)
]


class CacheBreakpoint(Strict):
    mode: Literal["explicit"]
    ttl: Literal["30m", "12h"] | None = None


class PromptText(Strict):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class PromptImage(Strict):
    type: Literal["input_image"]
    detail: Literal["low", "high", "auto", "original"]
    file_id: str | None = None
    image_url: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


class PromptFile(Strict):
    type: Literal["input_file"]
    detail: Literal["auto", "low", "high"] | None = None
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: CacheBreakpoint | None = None


PromptPart = Annotated[PromptText | PromptImage | PromptFile, Field(discriminator="type")]
PromptVariable = Annotated[Annotated[str, Tag("~text")] | Annotated[PromptPart, Tag("~object")], Discriminator(_text_or_object)]


class PromptReference(Strict):
    """A prompt that is stored at the service. Taken and echoed; there are none here."""

    id: str
    variables: dict[str, PromptVariable] | None = None
    version: str | None = None


class SessionUpdateBody(Strict):
    type: Literal["realtime", "transcription"] | None = None
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    tracing: Tracing | None = None
    truncation: Truncation | None = None
    prompt: PromptReference | None = None
    include: list[Literal["item.input_audio_transcription.logprobs", "sparkvox.timings"]] | None = None
    audio: AudioUpdate | None = None


# --- items ------------------------------------------------------------------------------------------------------------------------------


class ContentPart(Strict):
    type: Annotated[str, Field(max_length=64)]
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: Any = None
    """Of images, which are refused whatever form this has; `detail` and `file_id` too."""
    detail: Any = None
    file_id: Any = None


CallId = Annotated[str, Field(min_length=1, max_length=512)]


class ItemBase(Strict):
    id: str | None = Field(None, min_length=1, max_length=64)
    object: Literal["realtime.item"] | None = None
    status: Literal["completed", "incomplete", "in_progress"] | None = None


class MessageItem(ItemBase):
    type: Literal["message"]
    role: Literal["system", "user", "assistant"]
    content: list[ContentPart]
    phase: str | None = None


class FunctionCallItem(ItemBase):
    type: Literal["function_call"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    call_id: CallId | None = None
    arguments: str


class FunctionCallOutputItem(ItemBase):
    type: Literal["function_call_output"]
    call_id: CallId
    output: str


class ItemReferenceItem(Strict):
    type: Literal["item_reference"]
    id: Id


ItemBody = Annotated[MessageItem | FunctionCallItem | FunctionCallOutputItem, Field(discriminator="type")]
InputItem = Annotated[MessageItem | FunctionCallItem | FunctionCallOutputItem | ItemReferenceItem, Field(discriminator="type")]


class ResponseAudioOutput(Strict):
    output: AudioOutputUpdate | None = None


class ResponseBody(Strict):
    audio: ResponseAudioOutput | None = None
    conversation: str | None = None
    input: list[InputItem] | None = None
    instructions: str | None = None
    max_output_tokens: MaxTokens | None = None
    metadata: Metadata | None = None
    output_modalities: Modalities | None = None
    parallel_tool_calls: bool | None = None
    prompt: PromptReference | None = None
    reasoning: Reasoning | None = None
    tool_choice: ToolChoice | None = None
    tools: list[FunctionTool] | None = None


# --- events -----------------------------------------------------------------------------------------------------------------------------


LONGEST_EVENT_ID = 512


class ClientEvent(Strict):
    type: str
    event_id: str | None = Field(None, max_length=LONGEST_EVENT_ID)


class SessionUpdate(ClientEvent):
    session: SessionUpdateBody


class Append(ClientEvent):
    audio: str


class Commit(ClientEvent):
    pass


class Clear(ClientEvent):
    pass


class ItemCreate(ClientEvent):
    item: ItemBody
    previous_item_id: Id | None = None


class ItemDelete(ClientEvent):
    item_id: Id


class ItemRetrieve(ClientEvent):
    item_id: Id


class ItemTruncate(ClientEvent):
    item_id: Id
    content_index: Whole = Field(ge=0, le=2**31)
    audio_end_ms: Whole = Field(ge=0, le=2**31)


class ResponseCreate(ClientEvent):
    response: ResponseBody | None = None


class ResponseCancel(ClientEvent):
    response_id: Id | None = None


class OutputBufferClear(ClientEvent):
    """WebRTC and SIP only."""


EVENTS: dict[str, type[ClientEvent]] = {
    "session.update": SessionUpdate,
    "input_audio_buffer.append": Append,
    "input_audio_buffer.commit": Commit,
    "input_audio_buffer.clear": Clear,
    "conversation.item.create": ItemCreate,
    "conversation.item.delete": ItemDelete,
    "conversation.item.retrieve": ItemRetrieve,
    "conversation.item.truncate": ItemTruncate,
    "response.create": ResponseCreate,
    "response.cancel": ResponseCancel,
    "output_audio_buffer.clear": OutputBufferClear,
}


def parse(raw: str | bytes) -> ClientEvent:
    """Raises ProtocolError."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ProtocolError(f"The message is not JSON: {error}.", "invalid_json") from error
    if not isinstance(body, dict):
        raise ProtocolError("The message is not a JSON object.", "invalid_event")
    kind, event_id = body.get("type"), body.get("event_id")
    event_id = event_id if isinstance(event_id, str) and len(event_id) <= LONGEST_EVENT_ID else None
    model = EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ProtocolError(f"Unknown event type {short(repr(kind))}; known are {', '.join(EVENTS)}.", "invalid_event", "type", event_id)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise from_validation(error, event_id, body) from error
