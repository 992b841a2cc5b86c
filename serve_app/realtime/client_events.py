"""The client's events of the OpenAI Realtime protocol (GA) as types, and their parsing.

Source: the types of the `openai` Python package 3.52.0 (`openai.types.realtime`). Unknown parameters are refused by name, as the service
does.
"""

from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from serve_app.realtime.errors import ProtocolError, from_validation

RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Samples a second: each format has one, which need not be named."""

LONGEST_HINT = 64 * 1024
"""Characters of the prompt of speech-to-text, which goes to its replica with each utterance."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


# --- the session ------------------------------------------------------------------------------------------------------------------------


class AudioFormat(Strict):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: int | None = None

    @field_validator("rate")
    @classmethod
    def _only_its_own(cls, rate: int | None, info: ValidationInfo) -> int | None:
        form = info.data.get("type")  # None: refused already
        if form is not None and rate not in (None, RATES[form]):
            raise ValueError(f"{form} has {RATES[form]} samples a second here, not {rate}")
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
    prefix_padding_ms: int | None = Field(None, ge=0, le=10_000)
    silence_duration_ms: int | None = Field(None, ge=0, le=60_000)
    idle_timeout_ms: int | None = Field(None, ge=1)
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


class AudioOutputUpdate(Strict):
    format: AudioFormat | None = None
    voice: str | VoiceId | None = None
    speed: float | None = Field(None, ge=0.25, le=1.5)


class AudioUpdate(Strict):
    input: AudioInputUpdate | None = None
    output: AudioOutputUpdate | None = None


class FunctionTool(Strict):
    type: Literal["function"] = "function"
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolChoiceFunction(Strict):
    type: Literal["function"]
    name: str


ToolChoice = Literal["auto", "none", "required"] | ToolChoiceFunction
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Modalities = Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]


class SessionUpdateBody(Strict):
    type: Literal["realtime", "transcription"] | None = None
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    max_output_tokens: MaxTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, Any] | None = None
    tracing: str | dict[str, Any] | None = None
    truncation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: list[Literal["item.input_audio_transcription.logprobs", "sparkvox.timings"]] | None = None
    audio: AudioUpdate | None = None


# --- items ------------------------------------------------------------------------------------------------------------------------------


class ContentPart(Strict):
    type: str
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


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
    name: str
    call_id: str | None = None
    arguments: str


class FunctionCallOutputItem(ItemBase):
    type: Literal["function_call_output"]
    call_id: str
    output: str


class ItemReferenceItem(Strict):
    type: Literal["item_reference"]
    id: str


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
    prompt: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    tool_choice: ToolChoice | None = None
    tools: list[FunctionTool] | None = None


# --- events -----------------------------------------------------------------------------------------------------------------------------


class ClientEvent(Strict):
    type: str
    event_id: str | None = Field(None, max_length=512)


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
    previous_item_id: str | None = None


class ItemDelete(ClientEvent):
    item_id: str


class ItemRetrieve(ClientEvent):
    item_id: str


class ItemTruncate(ClientEvent):
    item_id: str
    content_index: int
    audio_end_ms: int = Field(ge=0)


class ResponseCreate(ClientEvent):
    response: ResponseBody | None = None


class ResponseCancel(ClientEvent):
    response_id: str | None = None


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
    event_id = event_id if isinstance(event_id, str) else None
    model = EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ProtocolError(f"Unknown event type {kind!r}; known are {', '.join(EVENTS)}.", "invalid_event", "type", event_id)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise from_validation(error, event_id) from error
