"""Responses: overrides, limits, out of band, and one at a time."""

from typing import Any

from tests.conformance import speech
from tests.conformance.asking import (
    BRIEF,
    PUSH_TO_TALK,
    STORY,
    TEXT,
    answer,
    ask,
    begin,
    completed_or_cut,
    ended,
    message,
    prompt_tokens,
    put,
    text_of,
)  # fmt: skip
from tests.conformance.checks_turns import ITEM
from tests.conformance.line import Line, expect, in_order
from tests.conformance.suite import Need, Suite, add, check

METADATA = {"client_event_id": "abc", "topic": "sea"}
LONG = {"output_modalities": ["audio"], "instructions": "You tell long stories.", "max_output_tokens": 160}


@check()
async def text_answer_comes_in_order(suite: Suite) -> None:
    """response.created, output_item.added, item.added, content_part.added, output_text.delta, .done, content_part.done, item.done,
    output_item.done, response.done."""
    async with suite.line(**TEXT) as line:
        await put(line, message("Say hello."))
        await line.fence()
        before = len(line.events)
        completed_or_cut(await answer(line))
        in_order(
            line.events[before:], "response.created", "response.output_item.added", f"{ITEM}.added", "response.content_part.added",
            "response.output_text.delta", "response.output_text.done", "response.content_part.done", f"{ITEM}.done",
            "response.output_item.done", "response.done",
        )  # fmt: skip


@check()
async def nothing_was_said_yet(suite: Suite) -> None:
    """A response in an empty conversation without instructions, after a system message alone, or after one of the assistant alone: the
    assistant speaks, or the server says why not."""
    before = ([], [message("Greet me.", role="system")], [message("Hi there.", role="assistant")])
    for items in before:
        async with suite.line(**{**TEXT, "instructions": ""}) as line:
            for item in items:
                await put(line, item)
            done = await answer(line)
            details = (done.get("status_details") or {}).get("error") or {}
            expect(done["status"] != "failed" or details.get("message"), f"after {items} it failed without a word")
            expect(done["status"] == "failed" or text_of(done), f"after {items} nothing was said")


@check()
async def created_is_told_whole(suite: Suite) -> None:
    """response.created: in_progress, no output, no usage, its conversation_id, output_modalities and metadata; done: the same and more."""
    async with suite.line(**TEXT) as line:
        done = completed_or_cut(await ask(line, "Say hello.", metadata=METADATA))
        created = line.of("response.created")[0]["response"]
        expect((created["status"], created["output"], created["usage"]) == ("in_progress", [], None), f"created is {created}")
        expect(created["object"] == "realtime.response", f"the object is {created['object']!r}")
        for name in ("id", "conversation_id", "output_modalities"):
            expect(created[name] and created[name] == done[name], f"{name} was {created[name]!r} and is {done[name]!r}")


@check()
async def metadata_is_echoed(suite: Suite) -> None:
    """metadata comes back in response.created and response.done (livekit finds its answer by client_event_id)."""
    async with suite.line(**TEXT) as line:
        done = await ask(line, "Say hello.", metadata=METADATA)
        created = line.of("response.created")[0]["response"]
        expect(created["metadata"] == METADATA, f"created has {created['metadata']}")
        expect({name: (done["metadata"] or {}).get(name) for name in METADATA} == METADATA, f"done has {done['metadata']}")


@check()
async def overrides_hold_for_one_response(suite: Suite) -> None:
    """output_modalities, instructions and max_output_tokens of response.create hold for it alone: the session stays as it is."""
    async with suite.line(**BRIEF, output_modalities=["audio"]) as line:
        before = await line.update()
        override = {"output_modalities": ["text"], "instructions": "Say one word.", "max_output_tokens": 30}
        response = completed_or_cut(await ask(line, "Say hello.", **override))
        expect(response["output_modalities"] == ["text"], f"output_modalities are {response['output_modalities']}")
        expect(response["max_output_tokens"] == 30, f"max_output_tokens is {response['max_output_tokens']}")
        expect(not line.of("response.output_audio*"), "there are audio events")
        after = await line.update()
        expect(before == after, "the session has changed")


@check()
async def instructions_are_read(suite: Suite) -> None:
    """The instructions of one response take the place of the session's in its prompt."""
    async with suite.line(**TEXT) as line:
        await put(line, message("Hello."))
        brief = await prompt_tokens(line)
        full = await prompt_tokens(line, instructions=" ".join(["Speak of the sea and of its tides."] * 10))
        expect(full >= brief + 40, f"the prompt has {brief} tokens with short instructions and {full} with long ones")


@check()
async def max_output_tokens_cuts(suite: Suite) -> None:
    """An answer that reaches max_output_tokens is incomplete, reason max_output_tokens, and has no more tokens than that."""
    async with suite.line(**{**TEXT, "max_output_tokens": "inf"}) as line:
        response = await ask(line, STORY, max_output_tokens=8)
        expect(response["status"] == "incomplete", f"the response is {response['status']}")
        expect(response["status_details"]["reason"] == "max_output_tokens", f"its details are {response['status_details']}")
        expect(response["usage"]["output_tokens"] <= 8, f"it has {response['usage']['output_tokens']} tokens")
        item = response["output"][0]
        expect(item["status"] == "incomplete", f"its item is {item['status']}")


@check()
async def inf_lifts_the_limit_of_the_session(suite: Suite) -> None:
    """max_output_tokens "inf" of one response holds for it, whatever the session has."""
    async with suite.line(**{**TEXT, "max_output_tokens": 8}) as line:
        await put(line, message(STORY))
        await begin(line, max_output_tokens="inf")
        told = line.of("response.created")[0]["response"]["max_output_tokens"]
        expect(told == "inf", f"max_output_tokens is {told!r}")


@check()
async def metadata_of_16_pairs(suite: Suite) -> None:
    """16 pairs of metadata are taken, with keys of 64 and values of 512 characters."""
    pairs = {f"{n:064}": "v" * 512 for n in range(16)}
    async with suite.line(**TEXT) as line:
        await begin(line, metadata=pairs)
        expect(line.of("response.created")[0]["response"]["metadata"] == pairs, "the metadata is not echoed")


@check()
async def usage_adds_up(suite: Suite) -> None:
    """total_tokens is input plus output, both counted, in every response."""
    async with suite.line(**TEXT) as line:
        usage = completed_or_cut(await ask(line, "Say hello."))["usage"]
        expect(usage["input_tokens"] > 0 and usage["output_tokens"] > 0, f"usage is {usage}")
        expect(usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"], f"usage is {usage}")


@check()
async def rate_limits_follow(suite: Suite) -> None:
    """rate_limits.updated comes after response.done, of a written answer too."""
    async with suite.line(**TEXT) as line:
        await ask(line, "Say hello.")
        await line.gets("rate_limits.updated")
        in_order(line.events, "response.done", "rate_limits.updated")


# --- out of band ------------------------------------------------------------------------------------------------------------------------


@check()
async def out_of_band_leaves_no_items(suite: Suite) -> None:
    """conversation "none": the response's events with its metadata, conversation_id null, no conversation.item.*; the prompt is `input`."""
    async with suite.line(**TEXT) as line:
        await put(line, message(" ".join(["The tide comes in."] * 30)))
        await line.fence()
        before = len(line.of(f"{ITEM}*"))
        own = [message("Say hello.")]
        response = completed_or_cut(await answer(line, conversation="none", input=own, metadata=METADATA))
        expect(response["conversation_id"] is None, f"conversation_id is {response['conversation_id']!r}")
        expect((response["metadata"] or {}).get("topic") == "sea", f"metadata is {response['metadata']}")
        await line.fence()
        expect(len(line.of(f"{ITEM}*")) == before, "there are conversation.item events")
        expect(response["output"] and text_of(response), f"it says {response['output']}")
        expect(response["usage"]["input_tokens"] < await prompt_tokens(line), "the conversation was read although `input` was given")


@check()
async def out_of_band_may_refer_to_items(suite: Suite) -> None:
    """An item_reference in `input` stands for the item of the conversation."""
    async with suite.line(**TEXT) as line:
        item_id = await put(line, message(" ".join(["The tide comes in."] * 30)))
        bare = await prompt_tokens(line, input=[message("Hello.")])
        full = await prompt_tokens(line, input=[{"type": "item_reference", "id": item_id}, message("Hello.")])
        expect(full >= bare + 60, f"the prompt has {bare} tokens without and {full} with a reference")
        unknown = [{"type": "item_reference", "id": "item_nobody"}]
        error = await line.refused("response.create", response={"conversation": "none", "input": unknown})
        expect(error.get("message"), f"the error is {error}")


async def busy(suite: Suite) -> tuple[Line, dict[str, Any]]:
    """A long answer; while it is given, all that may and may not be asked beside it."""
    async with suite.line(**LONG, **PUSH_TO_TALK) as line:
        await put(line, message(STORY))
        told: dict[str, Any] = {"default": await begin(line)}
        await line.gets("response.output_audio.delta")
        told["refusal"] = await line.refused("response.create")
        aside = {"conversation": "none", "output_modalities": ["text"], "input": [message("Say hello.")], "max_output_tokens": 8}
        told["aside"] = await answer(line, **aside, metadata=METADATA)
        told["live"] = told["default"] in line.watch.live
        await line.send("response.cancel", response_id=told["default"])
        told["over"] = await ended(line, told["default"])
        told["twice"] = await line.refused("response.cancel")
        told["unknown"] = await line.refused("response.cancel", response_id="resp_nobody")
        told["next"] = await ask(line, "Say hello.", output_modalities=["text"], max_output_tokens=8)
    return line, told


@check()
async def second_response_is_refused(suite: Suite) -> None:
    """response.create while one is live: conversation_already_has_active_response."""
    _, told = await suite.scene(busy)
    expect(told["refusal"]["code"] == "conversation_already_has_active_response", f"the code is {told['refusal']['code']!r}")


@check()
async def out_of_band_runs_beside_the_default(suite: Suite) -> None:
    """An out-of-band response begins and ends while the default one is live."""
    _, told = await suite.scene(busy)
    completed_or_cut(told["aside"])
    expect(told["live"], "the default response was over before the other one")
    expect(told["aside"]["conversation_id"] is None, f"conversation_id is {told['aside']['conversation_id']!r}")


@check()
async def cancel_by_id(suite: Suite) -> None:
    """response.cancel with a response_id ends that one: cancelled, client_cancelled."""
    _, told = await suite.scene(busy)
    over = told["over"]
    expect((over["status"], over["status_details"]["reason"]) == ("cancelled", "client_cancelled"), f"it is {over['status_details']}")


@check()
async def cancel_needs_a_live_response(suite: Suite) -> None:
    """response.cancel with none live, or of one that is not there: response_cancel_not_active."""
    _, told = await suite.scene(busy)
    for name in ("twice", "unknown"):
        expect(told[name]["code"] == "response_cancel_not_active", f"the code is {told[name]['code']!r}")


@check()
async def an_answer_follows_a_cancelled_one(suite: Suite) -> None:
    """After cancel the next response is given."""
    _, told = await suite.scene(busy)
    completed_or_cut(told["next"])


@check(Need.FAILING)
async def failed_response_leaves_the_session(suite: Suite) -> None:
    """When the model fails: response.done failed, with an error in status_details; the socket stays open."""
    async with suite.line(**TEXT) as line:
        response = await ask(line, "Please fail.")
        expect(response["status"] == "failed", f"the response is {response['status']}")
        error = response["status_details"].get("error") or {}
        expect(error.get("type") or error.get("code"), f"its details are {response['status_details']}")
        await line.fence()


# --- spoken in other formats ------------------------------------------------------------------------------------------------------------


def _output_format(form: str, of_one_response: bool) -> None:
    asked = {"audio": {"output": {"format": {"type": form}}}}

    async def run(suite: Suite) -> None:
        settings, body = ({}, asked) if of_one_response else (asked, {})
        async with suite.line(**BRIEF, **settings, output_modalities=["audio"]) as line:
            response = completed_or_cut(await ask(line, "Say hello.", max_output_tokens=15, **body))
            told = response["audio"]["output"]["format"]
            expect(told["type"] == form, f"the response says {told}")
            pcm = speech.decoded(speech.spoken(line, response["id"]), form)
            seconds, said = len(pcm) / speech.RATES[form], len(text_of(response).split())
            expect(0.1 * said <= seconds <= 2 + 1.5 * said, f"{said} words take {seconds:.1f} s")
            loudness, peak = speech.loudness_dbfs(pcm), speech.loudness_dbfs(pcm[-len(pcm) // 20 :])
            expect(-50 < loudness < -8, f"the audio has {loudness:.0f} dBFS ({peak:.0f} at its end)")

    name = f"responses.speaks {form.removeprefix('audio/')}{' once' if of_one_response else ''}"
    which = f"the answer to a response.create that asks for {form}" if of_one_response else f"an answer in {form}"
    add(name, f"{which} is plain speech at {speech.RATES[form]} Hz", run)


for _form in speech.RATES:
    _output_format(_form, of_one_response=False)
    _output_format(_form, of_one_response=True)
