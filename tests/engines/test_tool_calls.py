"""Calls of tools read out of a reply, however it was cut on its way."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.engines.tool_calls import JsonCall, PlainText, call_schema, reply_schema
from serve_app.engines import ChatMessage, Constraints, Prompt, TextDelta, Tool, ToolCallDelta
from serve_app.errors import EngineFailed, PromptRefused

WEATHER = Tool("get_weather", "The weather in a city", {"type": "object", "properties": {"city": {"type": "string"}}})
TIMER = Tool("set_timer", "Rings later", {"properties": {"minutes": {"type": "integer"}}})


def read(reader, chunks):
    """What was said, and the calls as (name, arguments) by index."""
    text, calls = "", {}
    for piece in [*(piece for chunk in chunks for piece in reader.feed(chunk)), *reader.end()]:
        if isinstance(piece, TextDelta):
            assert piece.text
            text += piece.text
        else:
            assert isinstance(piece, ToolCallDelta)
            assert piece.name or piece.index in calls, "the first piece of a call carries its name"
            name, arguments = calls.get(piece.index, (piece.name, ""))
            calls[piece.index] = (name, arguments + piece.arguments)
    return text, [calls[index] for index in sorted(calls)]


def cut(text, sizes):
    chunks, at = [], 0
    for size in sizes:
        chunks.append(text[at : at + size])
        at += size
    return [*chunks, text[at:]]


def test_plain_text_passes_as_it_comes():
    assert list(PlainText().feed("Hello")) == [TextDelta("Hello")]
    assert list(PlainText().feed("")) == []


def test_arguments_of_a_demanded_call_stream_while_they_are_written():
    reader = JsonCall()
    assert list(reader.feed('{"name":"get_weather",')) == []
    assert list(reader.feed('"arguments":{"ci')) == [ToolCallDelta(0, "get_weather", ""), ToolCallDelta(0, "", '{"ci')]
    assert list(reader.feed('ty":"Paris"}}')) == [ToolCallDelta(0, "", 'ty":"Paris"}')]


@given(st.dictionaries(st.text(), st.recursive(st.text() | st.integers() | st.none(), st.lists), max_size=4), st.lists(st.integers(1, 9)))
def test_a_demanded_call_is_read_wherever_it_is_cut(arguments, sizes):
    written = json.dumps({"name": 'a "quoted" name', "arguments": arguments})
    text, [(name, read_arguments)] = read(JsonCall(), cut(written, sizes))
    assert (text, name, json.loads(read_arguments)) == ("", 'a "quoted" name', arguments)


def test_a_call_cut_off_before_its_name_is_no_call():
    assert read(JsonCall(), ['{"name": "get_w']) == ("", [])


def demand(choice, *tools):
    return call_schema(Prompt((ChatMessage("user", "Hi"),), tools, choice))


def test_only_a_demanded_call_has_a_schema():
    assert demand("auto", WEATHER) is demand("none", WEATHER) is demand("required") is None


def test_a_named_tool_is_the_only_one_that_may_be_called():
    schema = demand("set_timer", WEATHER, TIMER)
    assert schema["properties"]["name"] == {"const": "set_timer"}
    minutes = {"type": "integer", "minimum": -(10**9), "maximum": 10**9}
    assert schema["properties"]["arguments"] == {"type": "object", "properties": {"minutes": minutes}}


def test_required_allows_any_of_the_tools():
    assert [shape["properties"]["name"]["const"] for shape in demand("required", WEATHER, TIMER)["anyOf"]] == ["get_weather", "set_timer"]


def test_a_schema_and_tools_that_may_be_called_exclude_each_other():
    prompt = Prompt((), tools=(WEATHER,), constraints=Constraints(schema={"type": "object"}))
    with pytest.raises(PromptRefused, match="tool_choice"):
        reply_schema(prompt)
    assert reply_schema(replace(prompt, tool_choice="none")) == {"type": "object"}
    assert "name" in reply_schema(replace(prompt, tool_choice="required"))["properties"]


def test_a_tool_that_does_not_exist_cannot_be_demanded():
    with pytest.raises(EngineFailed, match="'unknown'"):
        demand("unknown", WEATHER)
