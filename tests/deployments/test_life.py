"""Sessions that outlive the gateway that had them: the whole application on Serve, with fakes for engines."""

import asyncio
import json
import os
import signal
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.deployments.conftest import FAKE, PATIENCE_S, eventually
from tests.deployments.test_gateway import left, received, replica, session


async def says(socket: ClientConnection, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await socket.send(json.dumps({"type": "response.create"}))


async def taken_up(server: str, session_id: str) -> list[str]:
    """What was said before, as a connection is told that takes the session up; it says one thing more."""
    async with session(f"{server}", path=f"?session_id={session_id}") as socket:
        assert (await received(socket, "session.created"))["session"]["id"] == session_id
        await says(socket, "And?")
        texts: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while (event := json.loads(await socket.recv()))["type"] != "response.created":
                if event["type"] == "conversation.item.done":
                    part = event["item"]["content"][0]
                    texts.append(part.get("transcript") or part["text"])
    return texts[:-1]


async def test_a_session_goes_on_with_its_history_after_its_gateway_was_killed(server: str) -> None:
    async with session(server) as socket:
        session_id = (await received(socket, "session.created"))["session"]["id"]
        await says(socket, "Hello.")
        await received(socket, "response.done")
        await eventually(lambda: _items_kept(session_id), 2)
        os.kill(replica("Gateway"), signal.SIGKILL)
        with pytest.raises(ConnectionClosed):
            await received(socket, "never")

    async def again() -> list[str] | None:
        try:
            return await taken_up(server, session_id)
        except (OSError, InvalidHandshake, ConnectionClosed, AssertionError):
            return None

    await eventually(again, ["Hello.", "You said: Hello."])
    await left(server)


async def _items_kept(session_id: str) -> int:
    """Looks into the deployment without taking the session up."""
    from ray import serve

    from serve_app.realtime.snapshot import unpacked

    data = await serve.get_deployment_handle("Sessions", "sparkvox").peek.remote(session_id)
    return len(unpacked(data).items) if data else 0


async def test_a_gateway_that_is_replaced_lets_the_answer_end_and_sends_the_client_on_with_1012(server: str) -> None:
    async with session(server) as socket:
        session_id = (await received(socket, "session.created"))["session"]["id"]
        await says(socket, "one two three four five six seven eight nine ten " * 2)
        await received(socket, "response.output_audio.delta")
        replacing = asyncio.create_task(asyncio.to_thread(replace_gateway))
        assert (await received(socket, "response.done"))["response"]["status"] == "completed"
        with pytest.raises(ConnectionClosed) as closed:
            await received(socket, "never")
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        before = await taken_up(server, session_id)
        assert len(before) == 2 and before[1].startswith("You said: one two three")
        await replacing
    await left(server)


def replace_gateway() -> Any:
    """Another version of the application, in which only the gateway differs."""
    from ray import serve

    from serve_app import graph

    changed = FAKE.model_copy(update={"http": FAKE.http.model_copy(update={"max_requests": FAKE.http.max_requests + 1})})
    return serve.run(graph(changed), name="sparkvox", route_prefix="/")
