"""The session object: whole, merged, cleared, mapped."""

import json
import time
from typing import Any

from tests.conformance.asking import BRIEF, TEXT, ask
from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect
from tests.conformance.suite import Skipped, Suite, add, check

FIELDS = (
    "id", "object", "type", "model", "expires_at", "output_modalities", "instructions", "tools", "tool_choice", "max_output_tokens",
    "tracing", "truncation", "prompt", "include", "audio",
)  # fmt: skip
TOOL = {"type": "function", "name": "weather", "description": "The weather of a city.", "parameters": {"type": "object", "properties": {}}}
OTHERS_MODELS = ("gpt-realtime", "gpt-realtime-2.1", "gpt-realtime-mini")
OTHERS_VOICES = ("alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse")
LONGEST_S = 3600


def is_whole(session: Event) -> None:
    missing = [name for name in FIELDS if name not in session]
    expect(not missing, f"the session lacks {', '.join(missing)}")
    expect(session["object"] == "realtime.session", f"the object is {session['object']!r}")
    expect(session["type"] == "realtime", f"the type is {session['type']!r}")
    expect(session["output_modalities"] in (["audio"], ["text"]), f"output_modalities are {session['output_modalities']}")
    heard, said = session["audio"]["input"], session["audio"]["output"]
    for name in ("format", "transcription", "noise_reduction", "turn_detection"):
        expect(name in heard, f"audio.input lacks {name}")
    for name in ("format", "voice", "speed"):
        expect(name in said, f"audio.output lacks {name}")


def at(session: Event, path: str) -> Any:
    for name in path.split("."):
        session = session[name]
    return session


@check()
async def created_comes_first_and_whole(suite: Suite) -> None:
    """The first message is session.created, with every field of the session."""
    async with suite.line(greeted=False) as line:
        await line.gets("session.created")
        expect(line.events[0]["type"] == "session.created", f"the first message is {line.events[0]['type']}")
        is_whole(line.events[0]["session"])


@check()
async def expires_within_the_hour(suite: Suite) -> None:
    """expires_at is a time to come, 60 minutes away at most."""
    async with suite.line() as line:
        left = line.events[0]["session"]["expires_at"] - time.time()
        expect(0 < left <= LONGEST_S + 60, f"the session expires in {left:.0f} s")


@check()
async def updated_is_whole(suite: Suite) -> None:
    """session.updated carries the whole session, and its id stays."""
    async with suite.line() as line:
        updated = await line.update(instructions="Be brief.")
        is_whole(updated)
        expect(updated["id"] == line.events[0]["session"]["id"], "the session's id has changed")
        expect(updated["instructions"] == "Be brief.", f"the instructions are {updated['instructions']!r}")


@check()
async def update_changes_only_what_is_present(suite: Suite) -> None:
    """An update merges only the fields that are present, at every depth."""
    async with suite.line(instructions="Be brief.", max_output_tokens=77) as line:
        first = await line.update(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}, "output": {"speed": 1.25}})
        second = await line.update(audio={"input": {"turn_detection": None}})
        for path in ("instructions", "max_output_tokens", "audio.input.transcription", "audio.output", "audio.input.format"):
            expect(at(first, path) == at(second, path), f"{path} was {at(first, path)!r} and is {at(second, path)!r}")
        expect(at(second, "instructions") == "Be brief.", "an update of audio has changed the instructions")
        expect(at(second, "audio.output.speed") == 1.25, "an update of audio.input has changed audio.output")
        expect(at(second, "audio.input.turn_detection") is None, "null has not cleared turn_detection")


@check()
async def empty_string_clears_instructions(suite: Suite) -> None:
    """Instructions of "" clear: none are left, or the server's own."""
    async with suite.line(instructions="Speak like a pirate.") as line:
        cleared = (await line.update(instructions=""))["instructions"]
        own = line.events[0]["session"]["instructions"]
        expect(cleared in ("", own), f"the instructions are {cleared!r}")


@check()
async def empty_list_clears_tools(suite: Suite) -> None:
    """tools: [] clears."""
    async with suite.line() as line:
        kept = (await line.update(tools=[TOOL]))["tools"]
        expect([tool["name"] for tool in kept] == ["weather"], f"the tools are {kept}")
        expect((await line.update(tools=[]))["tools"] == [], "the tools are still there")


@check()
async def null_clears(suite: Suite) -> None:
    """null clears transcription, noise_reduction and turn_detection."""
    full = {
        "transcription": {"model": "gpt-4o-mini-transcribe"},
        "noise_reduction": {"type": "near_field"},
        "turn_detection": {"type": "semantic_vad"},
    }
    async with suite.line() as line:
        had = (await line.update(audio={"input": full}))["audio"]["input"]
        expect(all(had[name] for name in full), f"not all was set: {had}")
        has = (await line.update(audio={"input": dict.fromkeys(full)}))["audio"]["input"]
        expect(all(has[name] is None for name in full), f"not all was cleared: {has}")


@check()
async def models_of_others_in_the_address(suite: Suite) -> None:
    """Any model that a client names in the address is taken, and mapped to what is served."""
    for model in OTHERS_MODELS:
        async with suite.line({"model": model}) as line:
            expect(line.events[0]["session"]["model"], "the session has no model")


@check()
async def voices_of_others(suite: Suite) -> None:
    """The voices of other vendors are taken; the echoed session says which one it is."""
    async with suite.line() as line:
        for voice in OTHERS_VOICES:
            echoed = (await line.update(audio={"output": {"voice": voice}}))["audio"]["output"]["voice"]
            expect(isinstance(echoed, str) and echoed, f"{voice!r} became {echoed!r}")


@check()
async def models_of_others_for_transcription(suite: Suite) -> None:
    """The transcription models of other vendors are taken."""
    async with suite.line() as line:
        for model in ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-realtime-whisper"):
            await line.update(audio={"input": {"transcription": {"model": model, "language": "en"}}})
            echoed = line.of("session.updated")[-1]["session"]["audio"]["input"]["transcription"]
            expect(echoed and echoed.get("model"), f"{model!r} became {echoed!r}")


@check()
async def voice_is_fixed_after_the_first_audio(suite: Suite) -> None:
    """The voice cannot be changed once the session has spoken; the refusal leaves it as it is."""
    async with suite.line(**BRIEF, output_modalities=["audio"]) as line:
        voices = {(await line.update(audio={"output": {"voice": name}}))["audio"]["output"]["voice"]: name for name in OTHERS_VOICES}
        if len(voices) < 2:
            raise Skipped(f"there is one voice: {list(voices)}")
        other, *_ = [name for voice, name in voices.items() if voice != voices_now(line)]
        spoken = await ask(line, "Say hello.", max_output_tokens=12)
        expect(line.of("response.output_audio.delta", response_id=spoken["id"]), "nothing was spoken")
        before = voices_now(line)
        error = await line.refused("session.update", session={"type": line.kind, "audio": {"output": {"voice": other}}})
        expect(error.get("code"), "the error has no code")
        await line.update()
        expect(voices_now(line) == before, "the voice has changed all the same")


def voices_now(line: Line) -> str:
    return line.of("session.updated")[-1]["session"]["audio"]["output"]["voice"]


@check()
async def detection_is_told_whole(suite: Suite) -> None:
    """server_vad is echoed with all its fields, semantic_vad with eagerness, both with create_response and interrupt_response true."""
    server = ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms", "create_response", "interrupt_response")
    async with suite.line() as line:
        for kind, fields in (("server_vad", server), ("semantic_vad", ("eagerness", "create_response", "interrupt_response"))):
            told = (await line.update(audio={"input": {"turn_detection": {"type": kind}}}))["audio"]["input"]["turn_detection"]
            missing = [name for name in fields if name not in told]
            expect(not missing, f"{kind} lacks {', '.join(missing)}")
            expect(told["create_response"] is True and told["interrupt_response"] is True, f"{kind} is {told}")


@check()
async def formats(suite: Suite) -> None:
    """audio/pcm at 24000, audio/pcmu and audio/pcma are taken in and out."""
    async with suite.line() as line:
        for form in ({"type": "audio/pcmu"}, {"type": "audio/pcma"}, {"type": "audio/pcm", "rate": 24000}):
            audio = (await line.update(audio={"input": {"format": form}, "output": {"format": form}}))["audio"]
            for side in ("input", "output"):
                expect(audio[side]["format"]["type"] == form["type"], f"audio.{side}.format is {audio[side]['format']}")


@check()
async def noise_reduction(suite: Suite) -> None:
    """noise_reduction near_field and far_field are taken."""
    async with suite.line() as line:
        for kind in ("near_field", "far_field"):
            echoed = (await line.update(audio={"input": {"noise_reduction": {"type": kind}}}))["audio"]["input"]["noise_reduction"]
            expect(echoed and echoed["type"] == kind, f"noise_reduction is {echoed}")


@check()
async def text_only(suite: Suite) -> None:
    """output_modalities ["text"] for a session: its answers are text, without audio events."""
    async with suite.line(**TEXT) as line:
        response = await ask(line, "Say hello.")
        expect(response["output_modalities"] == ["text"], f"output_modalities are {response['output_modalities']}")
        expect(line.of("response.output_text.done", response_id=response["id"]), "there is no response.output_text.done")
        expect(not line.of("response.output_audio*"), "there are audio events")


def _refusal(path: str, value: Any) -> None:
    async def run(suite: Suite) -> None:
        async with suite.line(instructions="Stay.") as line:
            body: Any = value
            for name in reversed(path.split(".")):
                body = {name: body}
            error = await line.refused("session.update", session={"type": line.kind, "instructions": "Go.", **body})
            expect(str(error.get("param") or "").startswith(f"session.{path}"), f"param is {error.get('param')!r}")
            expect((await line.update())["instructions"] == "Stay.", "part of the refused update was taken")

    rule = f"session.{path} = {value!r} is refused with its param, and nothing of that update is taken"
    add(f"session.refuses {path} {json.dumps(value)}", rule, run)


_refusal("audio.output.speed", 0.2)
_refusal("audio.output.speed", 1.6)
_refusal("max_output_tokens", 0)
_refusal("max_output_tokens", 4097)
_refusal("output_modalities", ["audio", "text"])
_refusal("output_modalities", [])
_refusal("audio.input.format", {"type": "audio/pcm", "rate": 16_000})
_refusal("audio.input.format", {"type": "audio/pcm", "rate": 8_000})
_refusal("audio.output.format", {"type": "audio/pcm", "rate": 8_000})
_refusal("audio.input.turn_detection", {"type": "none"})
_refusal("tool_choice", "perhaps")


@check()
async def bounds_are_taken(suite: Suite) -> None:
    """speed .25 and 1.5, max_output_tokens 1, 4096 and "inf" are taken."""
    async with suite.line() as line:
        for speed in (0.25, 1.5, 1.0):
            said = (await line.update(audio={"output": {"speed": speed}}))["audio"]["output"]
            expect(said["speed"] == speed, f"speed {speed} was not set")
        for most in (1, 4096, "inf"):
            expect((await line.update(max_output_tokens=most))["max_output_tokens"] == most, f"{most!r} was not set")


@check()
async def hints_for_transcription(suite: Suite) -> None:
    """audio.input.transcription takes language, prompt and keywords."""
    hints = {"model": "gpt-4o-transcribe", "language": "en", "prompt": "A talk about geography.", "keywords": ["France"]}
    async with suite.line() as line:
        told = (await line.update(audio={"input": {"transcription": hints}}))["audio"]["input"]["transcription"]
        expect((told["language"], told["prompt"]) == ("en", hints["prompt"]), f"transcription is {told}")


@check()
async def a_voice_by_its_id(suite: Suite) -> None:
    """audio.output.voice may be {id}."""
    async with suite.line() as line:
        expect((await line.update(audio={"output": {"voice": {"id": "marin"}}}))["audio"]["output"]["voice"], "the session has no voice")


@check()
async def tracing_truncation_and_include(suite: Suite) -> None:
    """tracing, truncation and include are taken and echoed."""
    asked = {"tracing": "auto", "truncation": "disabled", "include": ["item.input_audio_transcription.logprobs"]}
    async with suite.line() as line:
        told = await line.update(**asked)
        expect({name: told[name] for name in asked} == asked, f"they are {[told[name] for name in asked]}")
