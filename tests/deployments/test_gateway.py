"""The whole application on Serve, with fakes for engines, through its own door."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.cluster.callers import SECOND
from tests.deployments.conftest import FAKE, PATIENCE_S, eventually

NOBODY = {"sessions": 0, "leases": 0, "utterances": 0}


@asynccontextmanager
async def session(server: str, path: str = "", **how: Any) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{server}/v1/realtime{path}", max_size=None, proxy=None, open_timeout=PATIENCE_S, **how) as socket:
        yield socket


async def received(socket: ClientConnection, kind: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while (event := json.loads(await socket.recv()))["type"] != kind:
            pass
    return event


async def counts(server: str) -> dict[str, int]:
    async with httpx.AsyncClient(trust_env=False) as client:
        found: dict[str, int] = (await client.get(f"http://{server}/debug/sessions", timeout=PATIENCE_S)).json()
    return found


async def left(server: str) -> None:
    await eventually(lambda: counts(server), NOBODY)


async def test_a_spoken_turn_goes_through_all_replicas_and_leaves_nothing(server: str) -> None:
    async with session(server) as socket:
        await received(socket, "session.created")
        push_to_talk = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await socket.send(json.dumps({"type": "session.update", "session": push_to_talk}))
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": SECOND}))
        await socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        await socket.send(json.dumps({"type": "response.create"}))
        response = (await received(socket, "response.done"))["response"]
    assert response["status"] == "completed"
    assert response["output"][0]["content"][0]["transcript"].startswith("You said: heard")
    await left(server)


async def test_a_client_that_vanishes_leaves_nothing(server: str) -> None:
    async with session(server) as socket:
        await received(socket, "session.created")
        socket.transport.abort()
    await left(server)


async def test_one_session_too_many_is_told_so_and_the_others_go_on(server: str) -> None:
    async with session(server) as first, session(server) as second:
        await received(first, "session.created")
        await received(second, "session.created")
        async with session(server) as refused:
            assert (await received(refused, "error"))["error"]["code"] == "server_busy"
            with pytest.raises(ConnectionClosed) as closed:
                await refused.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
        await first.send(json.dumps({"type": "input_audio_buffer.clear"}))
        await received(first, "input_audio_buffer.cleared")
    await left(server)


async def test_the_longest_append_is_taken_and_a_longer_message_is_refused_in_words(server: str) -> None:
    async with session(server) as socket:
        await received(socket, "session.created")
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "A" * (20 * 1024 * 1024)}))
        await socket.send("x" * (FAKE.session.max_message_bytes + 1))
        assert (await received(socket, "error"))["error"]["code"] == "message_too_long"
        await socket.send(json.dumps({"type": "input_audio_buffer.clear"}))
        await received(socket, "input_audio_buffer.cleared")
    await left(server)


async def test_the_subprotocol_realtime_is_chosen(server: str) -> None:
    async with session(server, subprotocols=["realtime", "openai-insecure-api-key.k"]) as socket:
        assert socket.subprotocol == "realtime"


async def test_pages_of_other_origins_may_not_connect(server: str) -> None:
    with pytest.raises(InvalidStatus):
        async with session(server, origin="http://elsewhere.example"):
            pass
    async with session(server, origin=f"http://{server}") as socket:
        await received(socket, "session.created")


async def test_the_page_and_the_probes_are_served(server: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{server}", trust_env=False, timeout=PATIENCE_S) as client:
        page = await client.get("/")
        assert "Sparkvox" in page.text
        assert "default-src 'self'" in page.headers["content-security-policy"]
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz")).json() == {"ready": True, "problems": {}}
        assert (await client.get("/v1/models")).json()["object"] == "list"


def replica(deployment: str) -> int:
    """The process of one of the application's replicas; Ray names it so."""
    title = f"ServeReplica:sparkvox:{deployment}"
    (pid,) = (one.pid for one in psutil.Process().children(recursive=True) if title in " ".join(one.cmdline()))
    return pid


async def test_an_engine_that_dies_between_two_answers_is_missed_by_nobody(server: str) -> None:
    """What becomes of an answer that it was working on: test_losses.py."""
    async with session(server) as socket:
        await received(socket, "session.created")

        async def speaks() -> str:
            text = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
            await socket.send(json.dumps({"type": "response.create", "response": {"input": [text]}}))
            return str((await received(socket, "response.done"))["response"]["status"])

        assert await speaks() == "completed"
        os.kill(replica("TextToSpeech"), signal.SIGKILL)
        assert await speaks() == "completed"
    await left(server)
