"""What the two ways to one language model cost: chat completions over HTTP, as pipecat asks, and a response in a session.

Both are timed by the same client, from sending the request to the first piece of text and to the end of the answer. The difference is what
HTTP costs the agent that beside_pipecat.py puts beside the server.
"""

import asyncio
import json
import statistics
import time
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

QUESTION = "What is the capital of France?"
PATIENCE_S = 60.0
"""Only against hanging."""
Pair = tuple[float, float]
"""Seconds to the first text and to the end."""


async def compared(http_url: str, ws_url: str, model: str, instructions: str, rounds: int, max_tokens: int) -> dict[str, Any]:
    """Medians in ms; the first round is not counted."""
    client = AsyncOpenAI(api_key="none", base_url=http_url)
    async with client, connect(ws_url, max_size=None, proxy=None, compression=None) as socket:
        session = {"type": "realtime", "output_modalities": ["text"], "instructions": instructions, "max_output_tokens": max_tokens}
        await socket.send(json.dumps({"type": "session.update", "session": session}))
        ways: dict[str, Callable[[], Awaitable[Pair]]] = {
            "http": lambda: _over_http(client, model, instructions, max_tokens),
            "session": lambda: _in_session(socket),
        }
        times: dict[str, list[Pair]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, ask in ways.items():
                took = await asyncio.wait_for(ask(), PATIENCE_S)
                times[name] += [took] if number else []
    return {name: _medians(of) for name, of in times.items()}


def _medians(times: list[Pair]) -> dict[str, float]:
    return {name: round(1000 * statistics.median(one[at] for one in times), 1) for at, name in enumerate(("first_text", "end"))}


async def _over_http(client: AsyncOpenAI, model: str, instructions: str, max_tokens: int) -> Pair:
    messages: Any = [{"role": "system", "content": instructions}, {"role": "user", "content": QUESTION}]
    began, first = time.perf_counter(), None
    async for chunk in await client.chat.completions.create(
        model=model, messages=messages, stream=True, temperature=0.0, max_completion_tokens=max_tokens
    ):
        if first is None and chunk.choices and chunk.choices[0].delta.content:
            first = time.perf_counter() - began
    assert first is not None
    return first, time.perf_counter() - began


async def _in_session(socket: ClientConnection) -> Pair:
    """Outside of the conversation, so that the prompt is the same each time."""
    said = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    began, first = time.perf_counter(), None
    await socket.send(json.dumps({"type": "response.create", "response": {"conversation": "none", "input": said}}))
    async for message in socket:
        event = json.loads(message)
        if event["type"] == "response.output_text.delta" and first is None:
            first = time.perf_counter() - began
        elif event["type"] in ("response.done", "error"):
            assert first is not None, event
            break
    assert first is not None
    return first, time.perf_counter() - began
