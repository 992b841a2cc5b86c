"""Bad input of every kind: an error with code and param that names the event, the session usable afterwards, no other session touched."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.asking import TEXT, ask, completed_or_cut, ended, message, put
from tests.conformance.checks_turns import BUFFER, ITEM
from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect
from tests.conformance.suite import Suite, add, check

TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object", "properties": {}}}
LARGEST_APPEND = 15 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bad:
    name: str
    message: Event | str
    """An event gets an event_id, which the error must echo."""
    code: str | None = None
    """None: any."""
    param: str | None = None


def _session(**fields: Any) -> Event:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def _item(**fields: Any) -> Event:
    return {"type": f"{ITEM}.create", "item": fields}


def _response(**fields: Any) -> Event:
    return {"type": "response.create", "response": fields}


def _append(audio: Any) -> Event:
    return {"type": f"{BUFFER}.append", "audio": audio}


BAD = (
    Bad("not JSON", "{"),
    Bad("an empty message", ""),
    Bad("JSON that is an array", "[]"),
    Bad("JSON that is a string", '"session.update"'),
    Bad("JSON nested without end", "[" * 100_000),
    Bad("no type", {"audio": ""}),
    Bad("a type that is a number", {"type": 7}),
    Bad("an unknown type", {"type": "response.delete"}, "invalid_event"),
    Bad("a server event", {"type": "session.created", "session": {}}, "invalid_event"),
    Bad("an event of WebRTC", {"type": "output_audio_buffer.clear"}),
    Bad("an unknown parameter of an event", {"type": "response.cancel", "now": True}, "unknown_parameter", "now"),
    Bad("an unknown parameter of the session", _session(temperature=0.8), "unknown_parameter", "session.temperature"),
    Bad(
        "an unknown parameter of a tool", _session(tools=[TOOL, TOOL, {**TOOL, "meta": 1}]),
        "unknown_parameter", "session.tools[2].meta",
    ),
    Bad("an unknown parameter of audio", _session(audio={"input": {"volume": 3}}), "unknown_parameter", "session.audio.input.volume"),
    Bad("an unknown parameter of a response", _response(modalities=["text"]), "unknown_parameter", "response.modalities"),
    Bad("an unknown parameter of an item", _item(type="message", role="user", content=[], mood="sad"), "unknown_parameter", "item.mood"),
    Bad("a session that is a list", {"type": "session.update", "session": []}, None, "session"),
    Bad("no session", {"type": "session.update"}, "missing_required_parameter", "session"),
    Bad("instructions that are a number", _session(instructions=7), None, "session.instructions"),
    Bad("a tool without a name", _session(tools=[{"type": "function"}]), "missing_required_parameter", "session.tools[0].name"),
    Bad("audio that is not base64", _append("$$$"), None, "audio"),
    Bad("audio that is a number", _append(7), None, "audio"),
    Bad("no audio", {"type": f"{BUFFER}.append"}, "missing_required_parameter", "audio"),
    Bad("audio of an odd number of bytes", _append(base64.b64encode(b"abc").decode()), None, "audio"),
    Bad("nothing to commit", {"type": f"{BUFFER}.commit"}, "input_audio_buffer_commit_empty"),
    Bad("no item", {"type": f"{ITEM}.create"}, "missing_required_parameter", "item"),
    Bad("an item that is a string", {"type": f"{ITEM}.create", "item": "Hello."}, None, "item"),
    Bad("an item of an unknown type", _item(type="poem"), None, "item"),
    Bad("a message of an unknown role", _item(type="message", role="ghost", content=[]), None, "item.role"),
    Bad("an output without call_id", _item(type="function_call_output", output="x"), "missing_required_parameter", "item.call_id"),
    Bad(
        "an output of a call that is not there", _item(type="function_call_output", call_id="call_nobody", output="x"),
        "invalid_tool_call_id",
    ),
    Bad(
        "a retention ratio that is text", _session(truncation={"type": "retention_ratio", "retention_ratio": "0.5"}), None,
        "session.truncation.retention_ratio",
    ),
    Bad("an effort that there is not", _session(reasoning={"effort": "utmost"}), None, "session.reasoning.effort"),
    Bad("a prompt without id", _session(prompt={"version": "1"}), "missing_required_parameter", "session.prompt.id"),
    Bad("tracing that is a number", _session(tracing=7), None, "session.tracing"),
    Bad(
        "a threshold that is text", _session(audio={"input": {"turn_detection": {"type": "server_vad", "threshold": "0.5"}}}), None,
        "session.audio.input.turn_detection.threshold",
    ),
    Bad(
        "content that its role cannot have", _item(type="message", role="user", content=[{"type": "output_text", "text": "Hi"}]),
        "unsupported_content_type",
    ),
    Bad(
        "content of an unknown type", _item(type="message", role="user", content=[{"type": "smell", "text": "rose"}]),
        "unsupported_content_type",
    ),
    Bad("retrieving what is not there", {"type": f"{ITEM}.retrieve", "item_id": "item_nobody"}, "item_retrieve_invalid_item_id"),
    Bad("deleting what is not there", {"type": f"{ITEM}.delete", "item_id": "item_nobody"}),
    Bad("no item_id", {"type": f"{ITEM}.delete"}, "missing_required_parameter", "item_id"),
    Bad("metadata of 17 pairs", _response(metadata={f"k{n}": "v" for n in range(17)}), None, "response.metadata"),
    Bad("a key of 65 characters in metadata", _response(metadata={"k" * 65: "v"}), None, "response.metadata"),
    Bad("a value of 513 characters in metadata", _response(metadata={"k": "v" * 513}), None, "response.metadata"),
    Bad("metadata that is a number", _response(metadata={"k": 7}), None, "response.metadata"),
    Bad("two modalities", _response(output_modalities=["text", "audio"]), None, "response.output_modalities"),
    Bad("max_output_tokens of 0", _response(max_output_tokens=0), None, "response.max_output_tokens"),
    Bad("cancelling nothing", {"type": "response.cancel"}, "response_cancel_not_active"),
)  # fmt: skip


async def _complains(line: Line, bad: Bad) -> None:
    if isinstance(bad.message, str):
        await line.send_raw(bad.message)
        error = (await line.gets("error"))["error"]
    else:
        fields = {name: value for name, value in bad.message.items() if name != "type"}
        if isinstance(bad.message.get("type"), str):
            error = await line.refused(bad.message["type"], **fields)
        else:
            await line.send_raw({**bad.message, "event_id": "client_bad"})
            error = (await line.gets("error"))["error"]
            expect(error.get("event_id") == "client_bad", f"the error names event_id {error.get('event_id')!r}")
    expect(error.get("message") and error.get("type"), f"the error is {error}")
    expect(bad.code in (None, error.get("code")), f"the code is {error.get('code')!r}, not {bad.code!r}")
    param = str(error.get("param"))
    expect(bad.param is None or param == bad.param or param.startswith((f"{bad.param}.", f"{bad.param}[")), f"the param is {param!r}")


def _refuses(bad: Bad) -> None:
    async def run(suite: Suite) -> None:
        async with suite.line() as line:
            await _complains(line, bad)
            await line.fence()

    expected = f"code {bad.code}" if bad.code else "an error"
    where = f", param {bad.param}" if bad.param else ""
    add(f"errors.{bad.name}", f"{bad.name}: {expected}{where}, its event_id echoed; the session goes on", run)


for _bad in BAD:
    _refuses(_bad)


@check()
async def nothing_of_it_touches_another_session(suite: Suite) -> None:
    """While one client sends all of it, another one gets its answer, without an error."""
    async with suite.line(**TEXT) as calm, suite.line() as rude:
        await put(calm, message("Say hello."))
        await calm.send("response.create")
        for bad in BAD:
            await _complains(rude, bad)
        completed_or_cut(await ended(calm, (await calm.gets("response.created"))["response"]["id"]))
        await calm.fence()
        expect(not calm.of("error"), "the other session has errors")
        expect((await rude.update(instructions="Still here."))["instructions"] == "Still here.", "the session does not go on")


@check()
async def answers_after_all_of_it(suite: Suite) -> None:
    """After all of it the same session answers."""
    async with suite.line(**TEXT) as line:
        for bad in BAD:
            await _complains(line, bad)
        completed_or_cut(await ask(line, "Say hello."))


@check()
async def an_append_of_15_mib(suite: Suite) -> None:
    """15 MiB of audio in one append are taken."""
    async with suite.line() as line:
        await line.send(f"{BUFFER}.append", audio=base64.b64encode(bytes(LARGEST_APPEND)).decode())
        await line.send(f"{BUFFER}.clear")
        await line.gets(f"{BUFFER}.cleared")


@check()
async def a_larger_append(suite: Suite) -> None:
    """More than 15 MiB in one append is refused: an error, or the end of that connection with 1009; other sessions go on."""
    async with suite.line() as other, suite.line() as line:
        await line.send_raw(json.dumps(_append(base64.b64encode(bytes(LARGEST_APPEND + 2**20)).decode())))
        if await _ends_or_complains(line):
            expect(line.closed is not None and line.closed[0] == 1009, f"the connection ended with {line.closed}")
        else:
            await line.fence()
        await other.fence()


async def _ends_or_complains(line: Line) -> bool:
    """Whether the connection ended."""
    try:
        await line.gets("error")
    except AssertionError:
        if line.closed is None:
            raise
        return True
    return False


@check()
async def error_without_event_id(suite: Suite) -> None:
    """An error that an event without event_id caused has event_id null."""
    async with suite.line() as line:
        await line.send_raw({"type": "response.cancel"})
        error = (await line.gets("error"))["error"]
        expect(error.get("event_id") is None, f"the error names event_id {error.get('event_id')!r}")
