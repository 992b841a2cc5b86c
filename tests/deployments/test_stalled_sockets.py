"""One end of a socket does not read: a process that was stopped, or a link that was cut while much was under way. Pings wait behind what is
not taken, so that they do not tell."""

import asyncio
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from websockets.asyncio.connection import Connection

from deployments.call_frames import HEAD, Kind, frame
from deployments.ear_server import EarServer
from deployments.lease import open_ear
from deployments.sockets import MAX_MESSAGE_BYTES, Place
from serve_app.engines import Audio, Begin, ChatMessage, Prompt, TextDelta
from serve_app.errors import EngineGone
from tests.deployments.calling import ECHO, HELLO, Server, all_of, held, lines_to, one_line, serving, value
from tests.deployments.conftest import PATIENCE_S, eventually
from tests.deployments.test_lease import LocalLease, ears

LONG = Prompt((ChatMessage("user", "x" * (MAX_MESSAGE_BYTES - 1024)),))
"""More than the kernel takes of what is not read."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """To be called once the sockets are there: their pings are as patient as ever, so that a busy machine loses none of them."""
    monkeypatch.setattr("deployments.sockets.CLOSE_S", 0.1)
    return lambda: monkeypatch.setattr("deployments.sockets.SILENCE_S", 0.2)


class Flood:
    """An engine that writes for as long as somebody listens, and then an echo."""

    def __init__(self) -> None:
        self.live = 0

    async def reply(self, prompt: Prompt) -> AsyncIterator[TextDelta]:
        self.live += 1
        try:
            while prompt != HELLO:
                yield TextDelta("x" * 100_000)
            yield TextDelta("hello")
        finally:
            self.live -= 1


class Unheard(LocalLease):
    """Its end does not come to the other side."""

    async def __anext__(self) -> Place | None:
        self._next = asyncio.ensure_future(anext(self._items))
        return await asyncio.shield(self._next)

    def cancel(self) -> None: ...


def freezes(connection: Connection) -> None:
    """As the process behind it would: it neither reads nor pings."""
    does_not_ping(connection)
    connection.transport.pause_reading()


def does_not_ping(connection: Connection) -> None:
    assert connection.keepalive_task is not None
    connection.keepalive_task.cancel()


def freeze(server: Server | EarServer) -> None:
    listener = server._listener
    assert listener is not None and listener._server is not None
    for connection in listener._server.connections:
        freezes(connection)


async def test_a_gateway_that_does_not_read_gives_its_place_in_the_engine_to_others(impatient: Callable[[], None]) -> None:
    engine = Flood()
    async with serving(engine, room=1) as server, one_line(server) as line, lines_to(server) as lines:
        await lines.open()
        flooded = asyncio.create_task(all_of(line.call(Prompt(()))))
        await eventually(value(lambda: engine.live), 1)
        freezes(line._connection)
        impatient()
        async with asyncio.timeout(PATIENCE_S):
            assert await all_of(lines.call(HELLO)) == [TextDelta("hello")]
        await eventually(value(lambda: (engine.live, len(server._gateways))), (0, 1))
        line._connection.transport.resume_reading()
        with pytest.raises(EngineGone):
            await flooded


async def test_a_replica_that_leaves_tells_the_gateways_behind_one_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = held()
    async with serving(engine) as server, one_line(server) as one, one_line(server) as other:
        await eventually(value(lambda: len(server._gateways)), 2)
        reply = asyncio.create_task(all_of(one.call(HELLO)))
        await eventually(value(lambda: engine.live), 1)
        monkeypatch.setattr("deployments.sockets.MAX_UNSENT_BYTES", 1024)
        first_told = next(iter(server._gateways))
        leaving = asyncio.create_task(server.leave())  # runs before anything is sent
        first_told.out.put(frame(Kind.ITEM, 0, bytes(1024 - HEAD.size)))
        await eventually(value(lambda: {one.open, other.open}), {True, False})
        assert not leaving.done()
        engine.gate.set()
        assert await reply == ECHO
        await leaving


async def test_a_replica_that_does_not_read_is_lost_and_found_again(impatient: Callable[[], None]) -> None:
    async with serving(held()) as server, lines_to(server) as lines:
        await lines.open()
        impatient()
        (stalled,) = lines._lines
        freeze(server)
        reply = asyncio.create_task(all_of(lines.call(LONG)))
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(EngineGone):
                await reply
        await eventually(value(lambda: [line is stalled for line in lines._lines]), [False])


async def test_a_session_ends_though_its_replica_of_speech_to_text_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ears() as server:
        lease = Unheard(server.lease("one"))
        ear = await open_ear(lease, lambda error: EngineGone(str(error)))
        connection, (held_by,) = ear._connection, server._held.values()
        await eventually(value(lambda: held_by.talk is not None), True)
        freeze(server)
        does_not_ping(connection)
        monkeypatch.setattr("deployments.sockets.SILENCE_S", 2 * PATIENCE_S)  # only closing is to end it
        ear.send(Begin("a"))
        ear.send(Audio("a", np.zeros(MAX_MESSAGE_BYTES // 2 - 1024, np.int16)))
        await eventually(value(lambda: connection.paused), True)
        async with asyncio.timeout(PATIENCE_S):
            await ear.close()
        LocalLease.cancel(lease)


async def test_a_gateway_ends_though_a_replica_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(held()) as server, lines_to(server) as lines:
        await lines.open()
        (line,) = lines._lines
        freeze(server)
        does_not_ping(line._connection)
        monkeypatch.setattr("deployments.sockets.SILENCE_S", 2 * PATIENCE_S)  # only closing is to end it
        reply = asyncio.create_task(all_of(lines.call(LONG)))
        await eventually(value(lambda: line._connection.paused), True)
        async with asyncio.timeout(PATIENCE_S):
            await lines.close()
            with pytest.raises(EngineGone):
                await reply
