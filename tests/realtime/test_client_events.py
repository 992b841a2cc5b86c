"""What a client sends is typed to its last field: a bad value is refused by name, and what is echoed every typed client can parse."""

import json
from itertools import count
from typing import Any

import pytest

from serve_app.core import events as ev
from serve_app.realtime.client_events import DEEPEST
from serve_app.realtime.session_object import SessionObject
from serve_app.realtime.wire import Wire
from tests.conformance.invariants import LONGEST_MESSAGE
from tests.realtime.world import SERVED, SERVER_EVENT

LONG = "x" * 1_100_000


def wire() -> Wire:
    numbers = count(1)
    return Wire(SessionObject("sess_1", SERVED, 0), lambda kind: f"{kind}_{next(numbers)}")


def replies(message: dict[str, Any] | str, to: Wire | None = None) -> list[dict[str, Any]]:
    """Each is what the official types say, and short enough for every client."""
    received = (to or wire()).receive(message if isinstance(message, str) else json.dumps(message))
    for one in received.replies:
        assert len(json.dumps(one)) < LONGEST_MESSAGE
        SERVER_EVENT.validate_python(json.loads(json.dumps(one)), strict=True)
    return received.replies


def refusal(message: dict[str, Any] | str) -> dict[str, Any]:
    (reply,) = replies(message)
    assert reply["type"] == "error", reply
    return reply["error"]


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1)} if levels > 1 else {}


SESSION: list[tuple[dict[str, Any], str]] = [
    ({"truncation": {"type": "retention_ratio", "retention_ratio": "0.5"}}, "truncation.retention_ratio"),
    ({"truncation": {"type": "retention_ratio", "retention_ratio": 1.5}}, "truncation.retention_ratio"),
    ({"truncation": {"type": "retention_ratio", "retention_ratio": True}}, "truncation.retention_ratio"),
    ({"truncation": {"type": "retention_ratio"}}, "truncation.retention_ratio"),
    ({"truncation": {"type": "some", "retention_ratio": 0.5}}, "truncation.type"),
    ({"truncation": {"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": "9"}}},
     "truncation.token_limits.post_instructions"),
    ({"truncation": "sometimes"}, "truncation"),
    ({"truncation": 5}, "truncation"),
    ({"truncation": ["auto"]}, "truncation"),
    ({"tracing": "always"}, "tracing"),
    ({"tracing": {"workflow_name": 5}}, "tracing.workflow_name"),
    ({"tracing": {"group_id": ["a"]}}, "tracing.group_id"),
    ({"tracing": {"metadata": "x"}}, "tracing.metadata"),
    ({"tracing": {"other": 1}}, "tracing.other"),
    ({"tracing": {"metadata": nested(DEEPEST + 1)}}, "tracing.metadata"),
    ({"reasoning": {"effort": "much"}}, "reasoning.effort"),
    ({"reasoning": "low"}, "reasoning"),
    ({"reasoning": {"summary": "auto"}}, "reasoning.summary"),
    ({"prompt": {"variables": {}}}, "prompt.id"),
    ({"prompt": {"id": 7}}, "prompt.id"),
    ({"prompt": {"id": "p", "version": 2}}, "prompt.version"),
    ({"prompt": {"id": "p", "variables": {"message": 5}}}, "prompt.variables.message"),
    ({"prompt": {"id": "p", "variables": {"city": {"type": "input_text"}}}}, "prompt.variables.city.text"),
    ({"tools": [{"type": "function", "name": "f", "parameters": nested(200)}]}, "tools[0].parameters"),
    ({"tools": [{"type": "function", "name": "f", "parameters": {"a": [[[nested(DEEPEST)]]]}}]}, "tools[0].parameters"),
    ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice.type"),
    ({"tool_choice": "any"}, "tool_choice"),
    ({"max_output_tokens": "many"}, "max_output_tokens"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": 4.5}, "max_output_tokens"),
    ({"max_output_tokens": True}, "max_output_tokens"),
    ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ({"audio": {"output": {"voice": {"name": "x"}}}}, "audio.output.voice.id"),
    ({"audio": {"output": {"voice": 5}}}, "audio.output.voice"),
    ({"audio": {"output": {"speed": "1.0"}}}, "audio.output.speed"),
    ({"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": "0.5"}}}}, "audio.input.turn_detection.threshold"),
    ({"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": 1}}}}, "audio.input.turn_detection.create_response"),
    ({"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 10**18}}}},
     "audio.input.turn_detection.idle_timeout_ms"),
    ({"audio": {"input": {"noise_reduction": {"type": "near_field", "strength": "1"}}}}, "audio.input.noise_reduction.strength"),
    ({"audio": {"input": {"transcription": {"keywords": "France"}}}}, "audio.input.transcription.keywords"),
    ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": "24000"}}}}, "audio.input.format.rate"),
    ({"instructions": LONG}, ""),
    ({"tracing": {"metadata": {"a": LONG}}}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("session", "param"), SESSION, ids=lambda one: one if isinstance(one, str) else "")
def test_a_bad_value_of_the_session_is_refused_by_name(session: dict[str, Any], param: str) -> None:
    line = wire()
    (error,) = replies({"type": "session.update", "session": session, "event_id": "mine"}, line)
    assert (error["type"], error["error"].get("param")) == ("error", f"session.{param}" if param else "session")
    assert error["error"]["event_id"] == "mine"
    (updated,) = replies({"type": "session.update", "session": {}}, line)
    assert updated["session"] == wire().session.wire(), "the refused update has changed something"


GOOD: list[dict[str, Any]] = [
    {"truncation": {"type": "retention_ratio", "retention_ratio": 1, "token_limits": {"post_instructions": 8000}}},
    {"truncation": {"type": "retention_ratio", "retention_ratio": 0.25, "token_limits": None}},
    {"truncation": "disabled"},
    {"tracing": "auto"},
    {"tracing": {"workflow_name": "w", "group_id": "g", "metadata": {"a": {"b": [1, None, "c"]}}}},
    {"reasoning": {"effort": "xhigh"}},
    {"reasoning": {}},
    {"prompt": {"id": "p", "version": "2", "variables": {
        "name": "Ada", "text": {"type": "input_text", "text": "x"},
        "image": {"type": "input_image", "detail": "auto", "image_url": "data:,"}, "file": {"type": "input_file", "file_id": "f"}}}},
    {"tools": [{"type": "function", "name": "f", "parameters": nested(DEEPEST)}], "tool_choice": {"type": "function", "name": "f"}},
    {"max_output_tokens": 100.0},
    {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 1, "prefix_padding_ms": 300.0}}}},
    {"audio": {"output": {"voice": {"id": "am_michael"}, "speed": 1}}},
    {"reasoning": None, "tracing": None, "truncation": None, "prompt": None, "tools": None, "tool_choice": None, "include": None},
]  # fmt: skip


@pytest.mark.parametrize("session", GOOD)
def test_what_the_official_types_allow_is_taken_and_echoed(session: dict[str, Any]) -> None:
    (updated,) = replies({"type": "session.update", "session": session})
    assert updated["type"] == "session.updated"
    for name in ("truncation", "tracing", "reasoning", "prompt"):
        if session.get(name) is not None:
            assert updated["session"][name] == session[name]


OTHERS: list[tuple[dict[str, Any], str | None]] = [
    ({"type": "response.create", "response": {"conversation": "conv_other"}}, "response.conversation"),
    ({"type": "response.create", "response": {"reasoning": {"effort": 5}}}, "response.reasoning.effort"),
    ({"type": "response.create", "response": {"prompt": {}}}, "response.prompt.id"),
    ({"type": "response.create", "response": {"metadata": {"message": 5}}}, "response.metadata.message"),
    ({"type": "response.create", "response": {"metadata": {"k" * 65: "v"}}}, f"response.metadata.{'k' * 65}"),
    ({"type": "response.create", "response": {"tool_choice": {"type": "function", "name": "none_such"}}}, "response.tool_choice"),
    ({"type": "response.create", "response": {"input": [{"type": "item_reference"}]}}, "response.input[0].id"),
    ({"type": "response.create", "response": {"input": [{"type": "message", "role": "user"}]}}, "response.input[0].content"),
    ({"type": "response.create", "response": {"max_output_tokens": 5000}}, "response.max_output_tokens"),
    ({"type": "conversation.item.create", "item": {"type": "function_call", "name": LONG, "arguments": ""}}, "item.name"),
    ({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "", "output": ""}}, "item.call_id"),
    ({"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c", "output": LONG}}, "item"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": LONG}]}}, "item"),
    ({"type": "conversation.item.create", "item": {"type": LONG}}, "item"),
    ({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{"type": LONG}]}},
     "item.content[0].type"),
    ({"type": "conversation.item.delete", "item_id": LONG}, "item_id"),
    ({"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 10**30}, "audio_end_ms"),
    ({"type": "conversation.item.truncate", "item_id": "x", "content_index": "0", "audio_end_ms": 5}, "content_index"),
    ({"type": "response.cancel", "response_id": LONG}, "response_id"),
    ({"type": "session.update", "event_id": LONG, "session": {}}, "event_id"),
    ({"type": LONG}, "type"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "param"), OTHERS, ids=lambda one: one if isinstance(one, str) else "")
def test_other_bad_values_are_refused_by_name_in_a_short_error(message: dict[str, Any], param: str) -> None:
    error = refusal(message)
    assert error.get("param") == param
    assert len(json.dumps(error)) < 3000


def test_a_parameter_with_a_long_name_is_named_in_short() -> None:
    error = refusal({"type": "session.update", "session": {LONG: 1}})
    assert error["code"] == "unknown_parameter" and error["param"].startswith("session.xxx") and len(json.dumps(error)) < 3000


def test_a_response_may_name_the_conversation_that_it_is_in() -> None:
    line = wire()
    for conversation in ("auto", "conv_1", None):
        (asked,) = line.receive(json.dumps({"type": "response.create", "response": {"conversation": conversation}})).events
        assert isinstance(asked, ev.ResponseAsked) and not asked.request.out_of_band
