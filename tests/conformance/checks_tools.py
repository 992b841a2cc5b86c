"""Function calling."""

import json
from typing import Any

from tests.conformance.asking import TEXT, answer, ask, begin, calls_of, completed, completed_or_cut, ended, message, put
from tests.conformance.checks_turns import ITEM
from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect, in_order
from tests.conformance.suite import Need, Skipped, Suite, check

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"type": "function", "name": "get_weather", "description": "Look up the weather of a city.", "parameters": CITY}
TIME = {"type": "function", "name": "get_time", "description": "Look up the time in a city.", "parameters": CITY}
SESSION: dict[str, Any] = {**TEXT, "max_output_tokens": 80, "tools": [WEATHER, TIME], "instructions": "Use the tools for weather and time."}
ARGUMENTS = "response.function_call_arguments"
QUESTION = "What is the weather in Paris?"


async def round_trip(suite: Suite) -> tuple[Line, Event, Event]:
    """A call that has to be made, its output, and the answer after it."""
    async with suite.line(**SESSION) as line:
        called = completed(await ask(line, QUESTION, tool_choice="required"))
        calls = calls_of(called)
        expect(calls, f"no tool was called: {called['output']}")
        for call in calls:
            await put(line, {"type": "function_call_output", "call_id": call["call_id"], "output": "21 degrees and sunny."})
        told = await answer(line, tool_choice="none")
        await line.fence()
    return line, called, told


@check(Need.TOOLS)
async def call_comes_in_order(suite: Suite) -> None:
    """output_item.added (function_call, in_progress, arguments ""), item.added, arguments.delta, .done, item.done, output_item.done,
    response.done."""
    line, called, _ = await suite.scene(round_trip)
    item_id = calls_of(called)[0]["id"]
    about = [one for one in line.events if item_id in (one.get("item_id"), one.get("item", {}).get("id"))]
    in_order(
        about, "response.output_item.added", f"{ITEM}.added", f"{ARGUMENTS}.delta", f"{ARGUMENTS}.done", f"{ITEM}.done",
        "response.output_item.done",
    )  # fmt: skip
    added = about[0]["item"]
    expect((added["type"], added["status"], added["arguments"]) == ("function_call", "in_progress", ""), f"added is {added}")
    expect(line.at(about[-1]) < line.at(line.of("response.done")[0]), "output_item.done comes after response.done")


@check(Need.TOOLS)
async def required_calls_a_tool(suite: Suite) -> None:
    """tool_choice required: a call of one of the tools, completed, with arguments that its schema allows."""
    _, called, _ = await suite.scene(round_trip)
    completed(called)
    for call in calls_of(called):
        _fits(call)


def _fits(call: Event) -> None:
    expect(call["name"] in ("get_weather", "get_time") and call["call_id"], f"the call is {call}")
    expect(call["status"] == "completed", f"the call is {call['status']}")
    arguments = json.loads(call["arguments"])
    expect(set(arguments) == {"city"} and isinstance(arguments["city"], str), f"the arguments are {arguments}")


@check(Need.TOOLS)
async def arguments_are_streamed(suite: Suite) -> None:
    """arguments.delta joined are arguments.done and the item's; call_id is that of the item, and done names the function."""
    line, called, _ = await suite.scene(round_trip)
    for call in calls_of(called):
        deltas = line.of(f"{ARGUMENTS}.delta", item_id=call["id"])
        done = line.of(f"{ARGUMENTS}.done", item_id=call["id"])[0]
        expect("".join(one["delta"] for one in deltas) == done["arguments"] == call["arguments"], f"done says {done['arguments']!r}")
        expect({one["call_id"] for one in [*deltas, done]} == {call["call_id"]}, "the call_ids differ")
        expect(done["name"] == call["name"], f"done names {done.get('name')!r}")


@check(Need.TOOLS)
async def done_call_is_completed(suite: Suite) -> None:
    """output_item.done of a function_call has status completed: openai-agents-python acts on nothing else."""
    line, called, _ = await suite.scene(round_trip)
    done = [one["item"]["status"] for one in line.of("response.output_item.done") if one["item"]["type"] == "function_call"]
    expect(done and set(done) == {"completed"}, f"the status is {done}")


@check(Need.TOOLS)
async def output_is_taken_and_answered(suite: Suite) -> None:
    """function_call_output is added like any item, and response.create gives an answer in words."""
    line, called, told = await suite.scene(round_trip)
    outputs = [one["item"] for one in line.of(f"{ITEM}.done") if one["item"]["type"] == "function_call_output"]
    expect([one["call_id"] for one in outputs] == [call["call_id"] for call in calls_of(called)], f"the outputs are {outputs}")
    completed_or_cut(told)
    expect([item["type"] for item in told["output"]] == ["message"], f"the answer is {told['output']}")


@check(Need.TOOLS)
async def none_calls_nothing(suite: Suite) -> None:
    """tool_choice none: no call, although there are tools."""
    async with suite.line(**{**SESSION, "tool_choice": "none", "max_output_tokens": 30}) as line:
        response = completed_or_cut(await ask(line, QUESTION))
        expect(not calls_of(response), f"it calls {calls_of(response)}")


@check(Need.TOOLS)
async def named_tool_is_called(suite: Suite) -> None:
    """tool_choice {type: function, name}: that function and no other; it is echoed by the session."""
    choice = {"type": "function", "name": "get_time"}
    async with suite.line(**SESSION) as line:
        session = await line.update(tool_choice=choice)
        expect(session["tool_choice"] == choice, f"tool_choice is {session['tool_choice']}")
        names = [call["name"] for call in calls_of(completed(await ask(line, QUESTION)))]
        expect(names and set(names) == {"get_time"}, f"it calls {names}")


@check(Need.TOOLS)
async def auto_answers_or_calls(suite: Suite) -> None:
    """tool_choice auto: a response that is a message, calls, or both; each call fits its schema."""
    async with suite.line(**SESSION, tool_choice="auto") as line:
        response = completed_or_cut(await ask(line, QUESTION))
        expect(response["output"], "the response has no output")
        if response["status"] == "completed":
            for call in calls_of(response):
                _fits(call)


@check(Need.TOOLS)
async def tools_of_one_response(suite: Suite) -> None:
    """Tools given with response.create are those that it has; the session keeps none."""
    async with suite.line(**TEXT) as line:
        response = completed(await ask(line, QUESTION, tools=[WEATHER], tool_choice="required", max_output_tokens=80))
        expect({call["name"] for call in calls_of(response)} == {"get_weather"}, f"it calls {response['output']}")
        expect((await line.update())["tools"] == [], "the session has the tools")


@check(Need.TOOLS)
async def output_before_the_response_is_done(suite: Suite) -> None:
    """A function_call_output that comes right after arguments.done, before response.done, is taken."""
    async with suite.line(**SESSION) as line:
        await put(line, message(QUESTION))
        response_id = await begin(line, tool_choice="required")
        done = await line.gets(f"{ARGUMENTS}.done")
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "21 degrees."}
        await line.send(f"{ITEM}.create", item=output)
        await ended(line, response_id)
        await line.gets(f"{ITEM}.done", where=lambda event: event["item"]["type"] == "function_call_output")
        completed_or_cut(await answer(line, tool_choice="none"))


@check(Need.TOOLS)
async def several_calls_in_one_response(suite: Suite) -> None:
    """Several calls in one response have output indices, items and call_ids of their own."""
    async with suite.line(**{**SESSION, "max_output_tokens": 160}) as line:
        asked = "What is the weather in Paris, and what time is it in Rome? Look up both at once."
        calls = calls_of(completed_or_cut(await ask(line, asked, tool_choice="required")))
        if len(calls) < 2:
            raise Skipped(f"the model made {len(calls)} call when asked for two")
        expect(len({call["call_id"] for call in calls}) == len(calls), "the call_ids are not different")
        indices = [one["output_index"] for one in line.of("response.output_item.added")]
        expect(indices == list(range(len(indices))), f"the output indices are {indices}")


@check(Need.TOOLS)
async def calls_are_spoken_about(suite: Suite) -> None:
    """A call in a voice session: function_call_arguments events, no audio for it."""
    async with suite.line(**{**SESSION, "output_modalities": ["audio"]}) as line:
        response = completed(await ask(line, QUESTION, tool_choice="required"))
        for call in calls_of(response):
            expect(not line.of("response.output_audio*", item_id=call["id"]), "there is audio for a call")
        expect(calls_of(response), f"no tool was called: {response['output']}")
