"""Replies in chunks as the servers write them that call themselves OpenAI-compatible: calls of tools, thoughts. Over a real socket."""

import json

import pytest

from serve_app.engines import Prompt, ReplyEnd, ToolCallDelta
from tests.engines.asking import HELLO, WEATHER, answer, model_at, text_of
from tests.engines.endpoint_script import DONE, Script, chunk, reply, stream, usage


def calls_of(pieces):
    calls = [piece for piece in pieces if isinstance(piece, ToolCallDelta)]
    indices = sorted({piece.index for piece in calls})
    assert all(next(piece for piece in calls if piece.index == index).name for index in indices)
    return [
        ("".join(piece.name for piece in calls if piece.index == index), "".join(p.arguments for p in calls if p.index == index))
        for index in indices
    ]


async def test_thoughts_are_not_said():
    words = ["<thi", "nk>Hmm, ", "a < b", "</th", "ink>\n\n", "It is ", "a < b."]
    async with model_at(Script(reply(*words))) as model:
        assert text_of(await answer(model)) == "It is a < b."


async def test_thoughts_that_the_template_has_begun_are_not_said():
    async with model_at(Script(reply("Hmm", "</think>", " Yes.")), begins_thinking=True) as model:
        assert text_of(await answer(model)) == "Yes."


# --- calls of tools -----------------------------------------------------------------------------------------------------------------------


def called(**fields):
    return {"type": "function", **fields}


def piece(index, name=None, arguments="", call_id=None):
    return {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


PARIS, OSLO = '{"city": "Paris"}', '{"city": "Oslo"}'
CALLS = {
    "OpenAI: the name first, then the arguments piece by piece": [
        chunk(role="assistant", content=None, tool_calls=[piece(0, "get_weather", "", "call_1")]),
        *(chunk(tool_calls=[{"index": 0, "function": {"arguments": part}}]) for part in ('{"city"', ': "Par', 'is"}')),
        chunk(tool_calls=[piece(1, "get_weather", "", "call_2")]),
        chunk(tool_calls=[{"index": 1, "function": {"arguments": OSLO}}]),
    ],
    "vLLM: the role alone, then the name with the id, then the rest": [
        chunk(role="assistant", content=""),
        chunk(tool_calls=[{"index": 0, "id": "chatcmpl-tool-1", "type": "function", "function": {"name": "get_weather"}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": '{"city": "'}}]),
        chunk(tool_calls=[{"index": 0, "function": {"arguments": 'Paris"}'}}]),
        chunk(tool_calls=[piece(1, "get_weather", OSLO, "chatcmpl-tool-2")]),
    ],
    "Ollama: each call whole in a chunk, all with index 0": [
        chunk(role="assistant", content="", tool_calls=[piece(0, "get_weather", PARIS, "call_a")]),
        chunk(role="assistant", content="", tool_calls=[piece(0, "get_weather", OSLO, "call_b")]),
    ],
    "both whole in one chunk, without an index": [
        chunk(
            tool_calls=[
                called(id="a", function={"name": "get_weather", "arguments": PARIS}),
                called(id="b", function={"name": "get_weather", "arguments": OSLO}),
            ]
        ),
    ],
    "the id and the name repeated in each piece": [
        chunk(tool_calls=[piece(0, "get_weather", '{"city": ', "call_1")]),
        chunk(tool_calls=[piece(0, "get_weather", '"Paris"}', "call_1")]),
        chunk(tool_calls=[piece(1, "get_weather", OSLO, "call_2")]),
    ],
    "no parser on the server: the model's own tags": [
        *(chunk(content=part) for part in ("<tool", '_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>')),
        chunk(content=f'<tool_call>{{"name": "get_weather", "arguments": {OSLO}}}</tool_call>'),
    ],
}


@pytest.mark.parametrize("chunks", CALLS.values(), ids=CALLS)
async def test_calls_are_read_however_they_are_cut(chunks):
    script = Script(stream(*chunks, chunk("tool_calls"), usage(9, 9), DONE))
    async with model_at(script) as model:
        pieces = await answer(model, Prompt(HELLO.messages, (WEATHER,), "required", 50))
    calls = [(name, json.loads(arguments)) for name, arguments in calls_of(pieces)]
    assert calls == [("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"})]
    assert text_of(pieces) == ""
    assert pieces[-1] == ReplyEnd("stop", 9, 9)
