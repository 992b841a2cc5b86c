"""Both ends of the lease in one process: an `EarServer` before a fake recogniser, and a generator in the place of the Serve handle."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from deployments.ear_frames import SUBPROTOCOL, BadFrame, decode, encode
from deployments.ear_server import EarServer
from deployments.engines.fake import FakeRecogniser
from deployments.lease import LeasedEar, open_ear, within
from deployments.sockets import Place
from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Hints, Partial, Word
from serve_app.errors import EngineBusy, EngineFailed, EngineGone
from serve_app.listening import Listening
from tests.deployments.conftest import PATIENCE_S, eventually

SECOND = np.zeros(16_000, np.int16)


def _as_it_is(error: BaseException) -> Exception:
    assert isinstance(error, Exception)
    return error


class LocalLease:
    """What a Serve handle gives for a streaming call, without Serve."""

    def __init__(self, items: AsyncGenerator[Place | None, None]) -> None:
        self._items = items
        self._ending: asyncio.Task[None] | None = None
        self._next: asyncio.Task[Place | None] | None = None

    async def __anext__(self) -> Place | None:
        self._next = asyncio.ensure_future(anext(self._items))
        return await self._next

    def cancel(self) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._end())

    async def _end(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)
        await self._items.aclose()


@asynccontextmanager
async def ears(recogniser: FakeRecogniser | None = None, max_sessions: int = 3) -> AsyncIterator[EarServer]:
    server = EarServer(Listening(recogniser or FakeRecogniser()), "127.0.0.1", max_sessions)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def opened(server: EarServer, session_id: str = "one") -> LeasedEar:
    return await open_ear(LocalLease(server.lease(session_id)), _as_it_is)


async def final(ear: LeasedEar) -> Final:
    async for result in ear.results():
        if isinstance(result, Final):
            return result
    raise AssertionError("the results ended without a final")


async def say(ear: LeasedEar, utterance: str, seconds: int) -> Final:
    ear.send(Begin(utterance))
    for _ in range(seconds):
        ear.send(Audio(utterance, SECOND))
    ear.send(End(utterance))
    return await final(ear)


async def left(server: EarServer) -> None:
    """Until nothing is left of any session."""

    async def counts() -> dict[str, int]:
        return server.counts()

    await eventually(counts, {"sessions": 0, "utterances": 0})


async def test_what_is_said_comes_back_as_text() -> None:
    async with ears() as server:
        ear = await opened(server)
        assert await say(ear, "a", 2) == Final("a", "heard 2.00 seconds", 2.0)
        await ear.close()


async def test_hints_reach_the_recogniser() -> None:
    recogniser = FakeRecogniser()
    hints = Hints("en", "a talk about ships", ("keel", "boom"))
    async with ears(recogniser) as server:
        ear = await opened(server)
        ear.send(Begin("a", hints))
        ear.send(End("a"))
        await final(ear)
        await ear.close()
    assert recogniser.hints == [hints]


async def test_two_sessions_hear_their_own() -> None:
    async with ears() as server:
        one, two = await opened(server, "one"), await opened(server, "two")
        finals = await asyncio.gather(say(one, "a", 1), say(two, "a", 3))
        assert [heard.text for heard in finals] == ["heard 1.00 seconds", "heard 3.00 seconds"]
        await one.close()
        await two.close()


async def test_a_closed_ear_ends_its_results_and_leaves_nothing() -> None:
    async with ears() as server:
        ear = await opened(server)
        ear.send(Begin("a"))
        ear.send(Audio("a", SECOND[:100]))
        await ear.close()
        assert [result async for result in ear.results()] == []
        await left(server)


async def test_one_session_too_many_is_busy_and_a_closed_one_makes_room() -> None:
    async with ears(max_sessions=1) as server:
        ear = await opened(server)
        with pytest.raises(EngineBusy):
            await opened(server, "two")
        await ear.close()
        await left(server)
        await (await opened(server, "three")).close()


async def test_a_stranger_gets_no_ear() -> None:
    async with ears() as server:
        lease = server.lease("one")
        place = await anext(lease)
        assert place is not None
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{place.host}:{place.port}/", additional_headers={"Authorization": "Bearer guessed"}, proxy=None)
        assert refused.value.response.status_code == 401
        await lease.aclose()


async def test_a_token_opens_one_socket_only() -> None:
    async with ears() as server:
        lease = server.lease("one")
        place = await anext(lease)
        assert place is not None
        address, headers = f"ws://{place.host}:{place.port}/", {"Authorization": f"Bearer {place.token}"}
        async with connect(address, additional_headers=headers, subprotocols=[SUBPROTOCOL], proxy=None):  # type: ignore[list-item]
            with pytest.raises(InvalidStatus) as refused:
                await connect(address, additional_headers=headers, subprotocols=[SUBPROTOCOL], proxy=None)  # type: ignore[list-item]
            assert refused.value.response.status_code == 401
        await lease.aclose()


async def test_an_ended_lease_closes_the_socket_and_the_ear_is_lost() -> None:
    async with ears() as server:
        lease = LocalLease(server.lease("one"))
        ear = await open_ear(lease, _as_it_is)
        ear.send(Begin("a"))
        ear.send(Audio("a", SECOND))
        await anext(ear.results())  # the fake's partial: the socket is in use
        lease.cancel()
        with pytest.raises(EngineGone):
            await final(ear)
        with pytest.raises(EngineGone):
            ear.send(End("a"))
        await ear.close()
        await left(server)


async def test_a_lease_that_fails_gives_its_own_error() -> None:
    async def broken() -> AsyncGenerator[Place | None, None]:
        raise EngineFailed("no model")
        yield

    with pytest.raises(EngineFailed, match="no model"):
        await open_ear(LocalLease(broken()), _as_it_is)


names = st.text(max_size=40)
words = st.builds(Word, st.text(), st.floats(0, 100), st.floats(0, 100))
messages = st.one_of(
    st.builds(Begin, names, st.builds(Hints, st.none() | st.text(), st.text(), st.lists(st.text()).map(tuple))),
    st.builds(End, names),
    st.builds(Drop, names),
    st.builds(Partial, names, st.text(), st.integers(0, 1000)),
    st.builds(Final, names, st.text(), st.floats(0, 1e6), st.lists(words).map(tuple), st.none() | st.text()),
    st.builds(Failed, names, st.text()),
)


@given(messages)
def test_every_message_survives_the_socket(message: Begin | End | Drop | Partial | Final | Failed) -> None:
    assert decode(encode(message)) == message


@given(names, st.lists(st.integers(-32768, 32767)))
def test_samples_survive_the_socket(utterance: str, samples: list[int]) -> None:
    received = decode(encode(Audio(utterance, np.array(samples, np.int16))))
    assert isinstance(received, Audio)
    assert (received.utterance, received.pcm.tolist()) == (utterance, samples)


@given(st.binary(max_size=40))
def test_other_bytes_are_refused_or_harmless(frame: bytes) -> None:
    try:
        decode(frame)
    except BadFrame:
        pass


async def test_a_replica_that_is_taken_away_ends_a_lease_once_its_utterance_has_its_text() -> None:
    recogniser = FakeRecogniser()
    async with ears(recogniser) as server:
        busy, silent = await opened(server, "busy"), await opened(server, "silent")
        busy.send(Begin("a"))
        busy.send(Audio("a", SECOND))
        await eventually(utterances(server), 1)
        server.leave()
        with pytest.raises(EngineGone):
            _ = [result async for result in silent.results()]
        assert server.counts() == {"sessions": 1, "utterances": 1}
        busy.send(End("a"))
        assert (await final(busy)).text == "heard 1.00 seconds"
        with pytest.raises(EngineGone):
            _ = [result async for result in busy.results()]
        await asyncio.gather(busy.close(), silent.close())
        assert server.counts() == {"sessions": 0, "utterances": 0}


async def test_an_end_that_meets_an_answer_is_not_swallowed() -> None:
    """An answer comes each second on each lease: swallowed, its session would never end."""
    answer = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(within(PATIENCE_S, answer))
    await asyncio.sleep(0)
    answer.set_result(None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_call_that_the_other_side_cancelled_is_lost_and_a_silent_one_takes_no_longer_than_it_may() -> None:
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    with pytest.raises(EngineGone):
        await within(PATIENCE_S, cancelled)
    with pytest.raises(TimeoutError):
        await within(0.01, asyncio.get_running_loop().create_future())


def utterances(server: EarServer):  # type: ignore[no-untyped-def]
    async def count() -> int:
        return server.counts()["utterances"]

    return count
