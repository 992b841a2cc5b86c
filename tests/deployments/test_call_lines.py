"""A gateway's lines to several replicas: how they come and go, and which of them takes a call."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from deployments.call_codecs import REPLIES
from deployments.call_frames import Offer
from deployments.call_line import line_to
from deployments.call_lines import Lines
from deployments.engines.fake import FakeLanguageModel
from serve_app.errors import EngineGone
from tests.deployments.calling import ECHO, HELLO, HERE, THERE, Server, all_of, held, lines_to, one_line, serving, value
from tests.deployments.conftest import PATIENCE_S, eventually

# --- replicas come and go ---------------------------------------------------------------------------------------------------------------


async def test_a_replica_that_dies_in_mid_reply_is_noticed() -> None:
    engine = held()
    async with serving(engine) as server, lines_to(server) as lines:
        reply = asyncio.create_task(all_of(lines.call(HELLO)))
        await eventually(value(lambda: engine.live), 1)
        await server.stop()
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(EngineGone, match="the language model was lost"):
                await reply


async def test_a_call_waits_for_the_first_replica_to_come() -> None:
    servers: list[Server] = []

    async def offers(known: tuple[str, ...]) -> list[Offer]:
        if not servers:
            looked.set()
            raise EngineGone("nobody is there")
        return [offer for server in servers if (offer := server.offer(known)) is not None]

    looked, lines = asyncio.Event(), Lines[Any, Any](offers, REPLIES, HERE)
    reply = asyncio.create_task(all_of(lines.call(HELLO)))
    await looked.wait()
    async with serving() as server:
        servers.append(server)
        assert await reply == ECHO
        await lines.close()


async def test_without_any_replica_a_call_fails_in_time_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.call_lines.FIRST_S", 0.05)

    async def offers(known: tuple[str, ...]) -> list[Offer]:
        raise EngineGone("nobody is there")

    lines = Lines[Any, Any](offers, REPLIES, HERE)
    with pytest.raises(EngineGone, match="no replica of the language model can be reached: nobody is there"):
        await all_of(lines.call(HELLO))
    await lines.close()


async def test_trouble_that_comes_again_is_told_again(caplog: pytest.LogCaptureFixture) -> None:
    found: list[Offer] = []

    async def offers(known: tuple[str, ...]) -> list[Offer]:
        if not found:
            raise EngineGone("nobody is there")
        return [found.pop()]

    def told() -> list[str]:
        return [record.message for record in caplog.records if record.name == "deployments.call_lines"]

    lines = Lines[Any, Any](offers, REPLIES, HERE)
    async with serving() as server:
        opening = asyncio.create_task(lines.open())
        await eventually(value(told), ["nobody is there"])
        offer = server.offer(())
        assert offer is not None
        found.append(offer)
        await opening
    await eventually(value(told), ["nobody is there"] * 2)
    await lines.close()


async def test_a_silent_replica_is_given_up_and_told_so() -> None:
    engine = held()
    async with serving(engine) as server, one_line(server) as line:
        with pytest.raises(EngineGone, match="does not answer"):
            await all_of(line.call(HELLO, first_s=0.05))
        await eventually(value(lambda: engine.live), 0)


async def test_a_silence_in_the_middle_is_given_up_too() -> None:
    engine = FakeLanguageModel()
    async with serving(engine) as server, one_line(server) as line:
        async with aclosing(line.call(HELLO, next_s=0.05)) as reply:
            engine.gate = once()
            assert await anext(reply) == ECHO[0]
            with pytest.raises(EngineGone, match="does not answer"):
                await anext(reply)
        await eventually(value(lambda: engine.live), 0)


def once() -> Any:
    """A gate for one piece."""

    class Gate:
        passed = False

        async def wait(self) -> None:
            if self.passed:
                await asyncio.Event().wait()
            self.passed = True

    return Gate()


async def test_a_replica_that_is_taken_away_ends_its_calls_and_gets_no_new_ones() -> None:
    old, new = held(), FakeLanguageModel(["from the new one"])
    async with AsyncExitStack() as stack:
        leaves, stays = await stack.enter_async_context(serving(old)), await stack.enter_async_context(serving(new, node=THERE))
        lines = await stack.enter_async_context(lines_to(leaves, stays))
        await lines.open()
        reply = asyncio.create_task(all_of(lines.call(HELLO)))
        await eventually(value(lambda: old.live), 1)
        leaving = asyncio.create_task(leaves.leave())

        async def elsewhere() -> str:
            async with aclosing(lines.call(HELLO)) as other:
                return str((await anext(other)).text) if leaves._leaving else ""

        await eventually(elsewhere, "from")
        assert not leaving.done()
        old.gate.set()
        assert await reply == ECHO
        async with asyncio.timeout(PATIENCE_S):
            await leaving


async def test_a_replica_that_is_taken_away_lets_nobody_in_with_what_it_offered_before() -> None:
    engine = held()
    async with serving(engine) as server, lines_to(server) as lines:
        late = server.offer(())
        assert late is not None
        reply = asyncio.create_task(all_of(lines.call(HELLO)))
        await eventually(value(lambda: engine.live), 1)
        leaving = asyncio.create_task(server.leave())
        line = await line_to(late, REPLIES)
        await line.ended
        with pytest.raises(EngineGone):
            await all_of(line.call(HELLO))
        assert server.offer(()) is None
        engine.gate.set()
        assert await reply == ECHO
        await leaving


async def test_a_line_that_was_lost_is_made_again_before_anybody_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.call_lines.AGAIN_S", 10 * PATIENCE_S)
    async with serving() as server, lines_to(server) as lines:
        assert await all_of(lines.call(HELLO)) == ECHO
        (lost,), (gateway,) = [*lines._lines], [*server._gateways]
        gateway.connection.transport.abort()
        await lost.ended
        await eventually(value(lambda: len(lines._lines)), 1)
        assert lost not in lines._lines
        assert await all_of(lines.call(HELLO)) == ECHO


# --- which one takes it -----------------------------------------------------------------------------------------------------------------


async def test_calls_stay_on_their_node_until_it_is_full_and_then_go_to_the_other() -> None:
    near, far = held(), held()
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(serving(far, room=2, node=THERE)),
            await stack.enter_async_context(serving(near, room=2, node=HERE)),
        ]
        lines = await stack.enter_async_context(lines_to(*servers))
        await lines.open()
        await eventually(value(lambda: len(lines._lines)), 2)
        calls = []
        for expected in ([1, 0], [2, 0], [2, 1], [2, 2]):
            calls.append(asyncio.create_task(all_of(lines.call(HELLO))))
            await eventually(value(lambda: [near.live, far.live]), expected)
        near.gate.set()
        far.gate.set()
        assert await asyncio.gather(*calls) == [ECHO] * 4


async def test_the_one_with_the_fewest_calls_of_all_gateways_takes_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.call_server.LOAD_S", 0.01)
    one, two = held(), held()
    async with AsyncExitStack() as stack:
        first, second = await stack.enter_async_context(serving(one)), await stack.enter_async_context(serving(two))
        other = await stack.enter_async_context(lines_to(first))
        mine = await stack.enter_async_context(lines_to(first, second))
        calls = [asyncio.create_task(all_of(other.call(HELLO))) for _ in range(2)]
        await mine.open()
        await eventually(value(lambda: sorted(line.load for line in mine._lines)), [0, 2])
        calls += [asyncio.create_task(all_of(mine.call(HELLO))) for _ in range(2)]
        await eventually(value(lambda: (one.live, two.live)), (2, 2))
        one.gate.set()
        two.gate.set()
        await asyncio.gather(*calls)


async def test_calls_beyond_the_engines_room_wait_for_their_turn_and_count() -> None:
    engine = held()
    async with serving(engine, room=2) as server, lines_to(server) as lines:
        calls = [asyncio.create_task(all_of(lines.call(HELLO))) for _ in range(3)]
        await eventually(value(lambda: server.calls.live), 3)
        assert engine.live == 2
        engine.gate.set()
        assert await asyncio.gather(*calls) == [ECHO] * 3
