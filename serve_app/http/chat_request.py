"""A request for a chat completion -> a prompt for the language model.

What would change the answer and cannot be done is refused by name (`REFUSED`). Taken and ignored is what changes nothing that a client can
see: user, metadata, store, service_tier, reasoning_effort, verbosity, prediction, safety_identifier, prompt_cache_key and the like.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from serve_app.core.language import ChatMessage, Constraints, Prompt, Tool, ToolCall
from serve_app.http.errors import ApiError
from serve_app.realtime.errors import untaken

MAX_STOPS = 4
ANY_OBJECT = {"type": "object"}
REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "n": ((1,), "One completion is written for each request."),
    "logprobs": ((False,), "The engines give no probabilities of tokens."),
    "top_logprobs": ((0,), "The engines give no probabilities of tokens."),
    "logit_bias": (({},), "Single tokens cannot be made likelier here."),
    "modalities": ((["text"],), "Chat completions are text here; /v1/audio/speech speaks, /v1/realtime does both."),
    "audio": ((), "Chat completions are text here; /v1/audio/speech speaks, /v1/realtime does both."),
    "functions": (([],), "Functions are given as 'tools'."),
    "function_call": (("auto", "none"), "Functions are chosen by 'tool_choice'."),
    "web_search_options": ((), "Nothing is looked up here."),
}
"""By field: the values that ask for nothing, beside null, and what is said to all others."""
PART_TYPES = ("text", "refusal")
ROLES = {"developer": "system", "function": "tool"}


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class RefusalPart(BaseModel):
    type: Literal["refusal"]
    refusal: str


Part = Annotated[TextPart | RefusalPart, Field(discriminator="type")]


class CalledFunction(BaseModel):
    name: str
    arguments: str


class Called(BaseModel):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None


class Function(BaseModel):
    name: str = Field(min_length=1, max_length=64)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class FunctionTool(BaseModel):
    type: Literal["function"]
    function: Function


class NamedFunction(BaseModel):
    name: str


class NamedTool(BaseModel):
    type: Literal["function"]
    function: NamedFunction


class StreamOptions(BaseModel):
    include_usage: bool = False


class NamedSchema(BaseModel):
    name: str
    wanted: dict[str, Any] = Field(ANY_OBJECT, alias="schema")


class ResponseFormat(BaseModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @property
    def wanted(self) -> dict[str, Any] | None:
        """The JSON Schema of the reply; None for text. Raises `ApiError`."""
        if self.type != "json_schema":
            return ANY_OBJECT if self.type == "json_object" else None
        if self.json_schema is None:
            param = "response_format.json_schema"
            raise ApiError(400, f"Missing required parameter: '{param}'.", "missing_required_parameter", param)
        return self.json_schema.wanted


class ChatRequest(BaseModel):
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    response_format: ResponseFormat | None = None
    stop: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_STOPS)] = []
    """Of OpenAI's forms: null, one text, or some."""
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    parallel_tool_calls: bool | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _some(cls, stop: Any) -> Any:
        return [stop] if isinstance(stop, str) else stop or []

    @model_validator(mode="before")
    @classmethod
    def _can_be_done(cls, given: Any) -> Any:
        for name, (harmless, why) in REFUSED.items():
            if isinstance(given, dict) and given.get(name) is not None and given[name] not in harmless:
                raise ApiError(400, f"{name!r} cannot be used here. {why}", "unsupported_parameter", name)
        return given

    @field_validator("messages", mode="before")
    @classmethod
    def _is_text(cls, messages: Any) -> Any:
        """Here and not by the types alone, which would say that a list is no text."""
        for number, message in enumerate(messages if isinstance(messages, list) else ()):
            content = message.get("content") if isinstance(message, dict) else None
            for place, part in enumerate(content if isinstance(content, list) else ()):
                kind = part.get("type") if isinstance(part, dict) else None
                if isinstance(kind, str) and kind not in PART_TYPES:
                    said = f"Content of type {kind!r} is not supported; supported are {' and '.join(PART_TYPES)}."
                    param = f"messages[{number}].content[{place}].type"
                    raise ApiError(400, f"{untaken(kind)} {said}".lstrip(), "unsupported_content_type", param)
        return messages

    @model_validator(mode="after")
    def _named_tool_exists(self) -> "ChatRequest":
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in self._tool_names:
            raise ApiError(400, f"tool_choice names {self.tool_choice.function.name!r}, which is no tool.", "invalid_value", "tool_choice")
        if self.tool_choice == "required" and not self.tools:
            raise ApiError(400, "tool_choice is required, but there are no tools.", "invalid_value", "tool_choice")
        return self

    @model_validator(mode="after")
    def _results_have_their_calls(self) -> "ChatRequest":
        """No model reads the result of a call that is not there."""
        called: set[str] = set()
        for index, message in enumerate(self.messages):
            called |= {call.id for call in message.tool_calls or ()}
            if message.role == "tool" and message.tool_call_id not in called:
                said = "has no tool_call_id" if message.tool_call_id is None else f"answers {message.tool_call_id!r}, which was not called"
                param = f"messages[{index}].tool_call_id"
                raise ApiError(400, f"The message of role 'tool' {said} in an earlier message of the assistant.", "invalid_value", param)
        return self

    @property
    def _tool_names(self) -> set[str]:
        return {tool.function.name for tool in self.tools or ()}

    @property
    def constraints(self) -> Constraints:
        schema = None if self.response_format is None else self.response_format.wanted
        return Constraints(tuple(self.stop), schema, self.top_p, self.seed, self.presence_penalty, self.frequency_penalty)

    @property
    def wants_usage(self) -> bool:
        """As a last chunk of a stream; a whole response always has it."""
        return self.stream_options is not None and self.stream_options.include_usage


def prompt_of(asked: ChatRequest, request_id: str) -> Prompt:
    return Prompt(
        messages=tuple(_chat_message(message) for message in asked.messages),
        tools=tuple(_tool(tool.function) for tool in asked.tools or ()),
        tool_choice=asked.tool_choice.function.name if isinstance(asked.tool_choice, NamedTool) else asked.tool_choice or "auto",
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        temperature=asked.temperature,
        request_id=request_id,
        constraints=asked.constraints,
    )


def _chat_message(message: Message) -> ChatMessage:
    calls = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ())
    return ChatMessage(ROLES.get(message.role, message.role), _text(message.content), calls, message.tool_call_id)


def _text(content: str | list[Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _tool(function: Function) -> Tool:
    return Tool(function.name, function.description or "", function.parameters or {"type": "object", "properties": {}})
