"""Where the socket of a replica is, on networks of both kinds."""

import socket

import pytest
from websockets.asyncio.server import ServerConnection

from deployments.sockets import Listener, connected


def has(host: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
            one.bind((host, 0))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_replica_is_reached_where_it_says(host: str) -> None:
    if not has(host):
        pytest.skip(f"this machine has no {host}")

    async def greet(token: str, connection: ServerConnection) -> None:
        await connection.send(f"hello {token}")

    listener = Listener(host, "test", lambda token: token == "ours", greet)
    await listener.start()
    try:
        connection = await connected(listener.place("ours"), "test", "the replica")
        assert await connection.recv() == "hello ours"
        await connection.close()
    finally:
        await listener.stop()
