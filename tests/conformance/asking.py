"""What most checks do with a line: say something in writing, have it answered."""

from typing import Any

from tests.conformance.invariants import Event
from tests.conformance.line import Line, expect

BRIEF = {"instructions": "Answer in one short sentence.", "max_output_tokens": 24}
"""A session whose answers are short."""
TEXT = {"output_modalities": ["text"], **BRIEF}
PUSH_TO_TALK = {"audio": {"input": {"turn_detection": None}}}
STORY = "Tell me a long story about the sea, with many sentences."


def message(text: str, role: str = "user", **fields: Any) -> Event:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **fields}


async def put(line: Line, item: Event, **fields: Any) -> str:
    """Adds an item; gives its id. That it is done too is a rule of its own."""
    await line.send("conversation.item.create", item=item, **fields)
    return (await line.gets("conversation.item.added"))["item"]["id"]


async def begin(line: Line, **response: Any) -> str:
    """Asks for a response; gives its id."""
    await line.send("response.create", **({"response": response} if response else {}))
    return (await line.gets("response.created"))["response"]["id"]


async def ended(line: Line, response_id: str) -> Event:
    return (await line.gets("response.done", where=lambda event: event["response"]["id"] == response_id))["response"]


async def answer(line: Line, **response: Any) -> Event:
    """Asks for a response; gives it when it is done."""
    return await ended(line, await begin(line, **response))


async def ask(line: Line, text: str, **response: Any) -> Event:
    await put(line, message(text))
    return await answer(line, **response)


def text_of(response: Event) -> str:
    parts = [part for item in response["output"] for part in item.get("content", [])]
    return "".join(part.get("text") or part.get("transcript") or "" for part in parts)


def calls_of(response: Event) -> list[Event]:
    return [item for item in response["output"] if item["type"] == "function_call"]


def completed(response: Event) -> Event:
    expect(response["status"] == "completed", f"the response is {response['status']}: {response.get('status_details')}")
    return response


def completed_or_cut(response: Event) -> Event:
    """A short max_output_tokens may cut it."""
    expect(response["status"] in ("completed", "incomplete"), f"the response is {response['status']}: {response.get('status_details')}")
    return response


async def prompt_tokens(line: Line, **response: Any) -> int:
    """How many tokens the model reads when it is asked now, found with a response that leaves no trace."""
    body = {"conversation": "none", "output_modalities": ["text"], "max_output_tokens": 1, **response}
    usage = (await answer(line, **body)).get("usage")
    expect(usage, "the response has no usage")
    return usage["input_tokens"]
