"""Barge-in, by the server and by the client, and what was never heard."""

import math
from typing import Any

from tests.conformance.asking import BRIEF, STORY, TEXT, ask, begin, completed_or_cut, ended, message, prompt_tokens, put
from tests.conformance.checks_turns import BUFFER, ITEM, QUESTION
from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect, in_order
from tests.conformance.speech import say, sentence, spoken
from tests.conformance.suite import Need, Suite, check

LONG = {"output_modalities": ["audio"], "instructions": "You tell long stories.", "max_output_tokens": 160}
PLAYED_MS = 1000
"""What a client has played when it is interrupted, or less where it has not got as much yet."""


async def _story(line: Line, **response: Any) -> str:
    """Asks for a long answer; gives its id when some of its audio is there."""
    await put(line, message(STORY))
    response_id = await begin(line, **response)
    await line.gets("response.output_audio.delta")
    return response_id


async def by_the_server(suite: Suite) -> tuple[Line, Event, int]:
    async with suite.line(**LONG, audio={"input": {"turn_detection": {"type": "server_vad", "interrupt_response": True}}}) as line:
        response_id = await _story(line)
        await line.update(**TEXT)
        await say(line, sentence(QUESTION))
        over = await ended(line, response_id)
        item_id = over["output"][0]["id"]
        played_ms = min(PLAYED_MS, len(spoken(line, response_id)) // 48)
        await line.send(f"{ITEM}.truncate", item_id=item_id, content_index=0, audio_end_ms=played_ms)
        await line.gets(f"{ITEM}.truncated")
        next_one = await line.gets("response.created")
        completed_or_cut(await ended(line, next_one["response"]["id"]))
    return line, over, played_ms


@check(Need.SPEECH)
async def speech_ends_the_answer(suite: Suite) -> None:
    """Speech during an answer: speech_started, and response.done cancelled with reason turn_detected."""
    line, over, _ = await suite.scene(by_the_server)
    expect(line.of(f"{BUFFER}.speech_started"), "there is no speech_started")
    expect(over["status"] == "cancelled", f"the response is {over['status']}")
    expect(over["status_details"]["reason"] == "turn_detected", f"its details are {over['status_details']}")


@check(Need.SPEECH)
async def an_interrupted_answer_is_closed(suite: Suite) -> None:
    """output_audio.done, transcript.done, content_part.done, item.done and output_item.done (incomplete) come before response.done."""
    line, over, _ = await suite.scene(by_the_server)
    _closed(line, over)


def _closed(line: Line, over: Event) -> None:
    item = over["output"][0]
    expect(item["status"] == "incomplete", f"the item is {item['status']}")
    names = [f"response.{name}.done" for name in ("output_audio", "output_audio_transcript", "content_part", "output_item")]
    until = next(at for at, one in enumerate(line.events) if one["type"] == "response.done" and one["response"]["id"] == over["id"])
    for name in names:
        there = line.of(name, response_id=over["id"])
        expect(there and line.at(there[0]) < until, f"there is no {name} before response.done")
    done = [one for one in line.of(f"{ITEM}.done") if one["item"]["id"] == item["id"]]
    expect(done and done[0]["item"]["status"] == "incomplete", f"{ITEM}.done is {done}")


@check(Need.SPEECH)
async def the_interruption_is_answered(suite: Suite) -> None:
    """After the interruption: speech_stopped, committed, and a response of its own."""
    line, over, _ = await suite.scene(by_the_server)
    in_order(line.events, f"{BUFFER}.speech_started", f"{BUFFER}.speech_stopped", f"{BUFFER}.committed")
    others = [one["response"]["id"] for one in line.of("response.done") if one["response"]["id"] != over["id"]]
    expect(others, "the interruption is not answered")


@check(Need.SPEECH)
async def an_interrupted_answer_can_be_truncated(suite: Suite) -> None:
    """The client sends truncate with what it played: truncated echoes item, index and time."""
    line, over, played_ms = await suite.scene(by_the_server)
    told = line.of(f"{ITEM}.truncated")[0]
    found = (told["item_id"], told["content_index"], told["audio_end_ms"])
    expect(found == (over["output"][0]["id"], 0, played_ms), f"truncated says {found}")


async def by_the_client(suite: Suite) -> tuple[Line, Event, dict[str, Any]]:
    """Cancelled, truncated and asked for; the prompt is measured before and after."""
    async with suite.line(**LONG, audio={"input": {"turn_detection": None}}) as line:
        response_id = await _story(line)
        await line.gets("response.output_audio.delta")
        await line.send("response.cancel")
        over = await ended(line, response_id)
        item_id = over["output"][0]["id"]
        told: dict[str, Any] = {"before": await prompt_tokens(line)}
        await line.send(f"{ITEM}.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
        await line.gets(f"{ITEM}.truncated")
        told["after"] = await prompt_tokens(line)
        await line.send(f"{ITEM}.retrieve", item_id=item_id)
        told["item"] = (await line.gets(f"{ITEM}.retrieved"))["item"]
    return line, over, told


@check()
async def cancel_ends_the_answer(suite: Suite) -> None:
    """response.cancel: response.done cancelled with reason client_cancelled, everything closed and incomplete."""
    line, over, _ = await suite.scene(by_the_client)
    expect(over["status"] == "cancelled", f"the response is {over['status']}")
    expect(over["status_details"]["reason"] == "client_cancelled", f"its details are {over['status_details']}")
    _closed(line, over)


@check()
async def truncated_words_leave_the_prompt(suite: Suite) -> None:
    """What was truncated is not part of the next prompt: it has fewer tokens."""
    _, over, told = await suite.scene(by_the_client)
    expect(told["after"] < told["before"], f"{told['before']} tokens before, {told['after']} after all of the answer was truncated")


@check()
async def truncated_words_leave_the_item(suite: Suite) -> None:
    """The transcript of a truncated item is gone, or cut to what was heard."""
    _, over, told = await suite.scene(by_the_client)
    whole = over["output"][0]["content"][0]["transcript"]
    left = "".join(part.get("transcript") or "" for part in told["item"]["content"])
    expect(len(left) < len(whole) and whole.startswith(left), f"of {whole!r} there is {left!r}")


async def finished(suite: Suite) -> tuple[Line, Event, str]:
    """A short answer, spoken to its end, and the user's item before it."""
    async with suite.line(**BRIEF, output_modalities=["audio"], audio={"input": {"turn_detection": None}}) as line:
        user_id = await put(line, message("Say hello."))
        response = completed_or_cut(await ended(line, await begin(line, max_output_tokens=12)))
        item_id = response["output"][0]["id"]
        whole_ms = math.ceil(len(spoken(line, response["id"])) / 48)
        for played_ms in (whole_ms, 300):
            await line.send(f"{ITEM}.truncate", item_id=item_id, content_index=0, audio_end_ms=played_ms)
            await line.gets(f"{ITEM}.truncated")
        errors = {
            "user": await line.refused(f"{ITEM}.truncate", item_id=user_id, content_index=0, audio_end_ms=300),
            "index": await line.refused(f"{ITEM}.truncate", item_id=item_id, content_index=7, audio_end_ms=300),
            "unknown": await line.refused(f"{ITEM}.truncate", item_id="item_nobody", content_index=0, audio_end_ms=300),
            "negative": await line.refused(f"{ITEM}.truncate", item_id=item_id, content_index=0, audio_end_ms=-1),
        }
        await line.send(f"{ITEM}.truncate", item_id=item_id, content_index=0, audio_end_ms=600_000)
        beyond = await line.gets("error", f"{ITEM}.truncated")
        await line.fence()
    return line, {**errors, "beyond": beyond}, item_id


@check()
async def truncate_takes_the_whole_answer(suite: Suite) -> None:
    """truncate at the end of the audio, in milliseconds rounded up, is taken (openai-agents-python)."""
    line, _, item_id = await suite.scene(finished)
    expect(len(line.of(f"{ITEM}.truncated", item_id=item_id)) >= 2, "it is not answered with truncated")


@check()
async def only_audio_that_is_there_is_truncated(suite: Suite) -> None:
    """truncate of a user's item, an unknown item, an unknown part or a negative time is refused; the session goes on."""
    _, errors, _ = await suite.scene(finished)
    for name in ("user", "index", "unknown", "negative"):
        expect(errors[name].get("message"), f"the error for {name} is {errors[name]}")


@check()
async def truncate_beyond_the_audio_is_refused(suite: Suite) -> None:
    """truncate far beyond the end of the audio is an error (openai.types.realtime, ConversationItemTruncateEvent)."""
    _, errors, _ = await suite.scene(finished)
    expect(errors["beyond"]["type"] == "error", f"it is answered with {errors['beyond']['type']}")


@check(Need.SPEECH)
async def speech_after_the_answer_interrupts_nothing(suite: Suite) -> None:
    """A turn after a finished answer leaves that answer completed."""
    async with suite.line(**TEXT) as line:
        first = completed_or_cut(await ask(line, "Say hello."))
        await say(line, sentence(QUESTION))
        second = await ended(line, (await line.gets("response.created"))["response"]["id"])
        expect(second["id"] != first["id"] and second["status"] != "cancelled", f"the second is {second['status']}")

