"""A request for a chat completion -> a prompt for the language model."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from serve_app.core.language import ChatMessage, Prompt, Tool, ToolCall
from serve_app.http.errors import ApiError

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


class ChatRequest(BaseModel):
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedTool | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    n: Literal[1] | None = None

    @model_validator(mode="after")
    def _named_tool_exists(self) -> "ChatRequest":
        if isinstance(self.tool_choice, NamedTool) and self.tool_choice.function.name not in self._tool_names:
            raise ApiError(400, f"tool_choice names {self.tool_choice.function.name!r}, which is no tool.", "invalid_value", "tool_choice")
        if self.tool_choice == "required" and not self.tools:
            raise ApiError(400, "tool_choice is required, but there are no tools.", "invalid_value", "tool_choice")
        return self

    @property
    def _tool_names(self) -> set[str]:
        return {tool.function.name for tool in self.tools or ()}

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
