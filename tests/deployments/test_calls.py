"""Both ends of the sockets over which a gateway calls engines, in one process: `CallServer`s before fake engines, and a list of them in the
place of Serve."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import SUBPROTOCOL, Codec, Offer
from deployments.call_line import Line, line_to
from deployments.call_lines import Lines
from deployments.call_server import CallServer
from deployments.engines.fake import FakeLanguageModel, FakeTextToSpeech
from serve_app.engines import ChatMessage, Prompt, ReplyEnd, Speech, TextDelta
from serve_app.errors import EngineFailed, EngineGone, PromptTooLong, UnknownVoice
from tests.deployments.conftest import PATIENCE_S, eventually

HELLO = Prompt((ChatMessage("user", "hello there"),))
ECHO = [TextDelta("You"), TextDelta(" said:"), TextDelta(" hello"), TextDelta(" there"), ReplyEnd("stop", 2, 4)]
HERE, THERE = "this node", "another node"


@asynccontextmanager
async def serving(engine: Any = None, room: int = 8, node: str = HERE, codec: Codec[Any, Any] = REPLIES) -> AsyncIterator[CallServer[Any, Any]]:
    engine = FakeLanguageModel() if engine is None else engine
    server = CallServer[Any, Any](engine.speak if codec is SPEECHES else engine.reply, codec, room)
    await server.start("127.0.0.1", node)
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def lines_to(*servers: CallServer[Any, Any], codec: Codec[Any, Any] = REPLIES) -> AsyncIterator[Lines[Any, Any]]:
    lines = Lines[Any, Any](offered(*servers), codec, HERE)
    try:
        yield lines
    finally:
        await lines.close()


def offered(*servers: CallServer[Any, Any]) -> Any:
    async def offers(known: tuple[str, ...]) -> list[Offer]:
        return [offer for server in servers if (offer := server.offer(known)) is not None]

    return offers


@asynccontextmanager
async def one_line(server: CallServer[Any, Any]) -> AsyncIterator[Line[Any, Any]]:
    offer = server.offer(())
    assert offer is not None
    line = await line_to(offer, REPLIES)
    try:
        yield line
    finally:
        await line.close()


def held() -> FakeLanguageModel:
    """Every word of it waits for the gate."""
    engine = FakeLanguageModel()
    engine.gate.clear()
    return engine


def value(read: Callable[[], Any]) -> Any:
    async def now() -> Any:
        return read()

    return now


async def all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


# --- what is asked and answered ---------------------------------------------------------------------------------------------------------


async def test_a_reply_comes_whole_and_in_order() -> None:
    async with serving() as server, lines_to(server) as lines:
        assert await all_of(lines.call(HELLO)) == ECHO


async def test_a_speech_comes_with_its_samples_and_the_times_of_its_words() -> None:
    speech, engine = Speech("hello there", "af_heart"), FakeTextToSpeech()
    made = await all_of(FakeTextToSpeech().speak(speech))
    async with serving(engine, codec=SPEECHES) as server, lines_to(server, codec=SPEECHES) as lines:
        came = await all_of(lines.call(speech))
    assert [sound.words for sound in came] == [sound.words for sound in made]
    assert all(np.array_equal(one.pcm, other.pcm) and one.pcm.flags.writeable for one, other in zip(came, made, strict=True))


async def test_calls_on_one_socket_are_answered_beside_each_other() -> None:
    engine = FakeLanguageModel(["one two", "three", "four five six"])
    async with serving(engine) as server, one_line(server) as line:
        replies = await asyncio.gather(*(all_of(line.call(HELLO)) for _ in range(3)))
    assert [[piece.text for piece in pieces[:-1]] for pieces in replies] == [["one", " two"], ["three"], ["four", " five", " six"]]


async def test_what_is_ready_at_once_comes_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[bytes] = []

    async def send(self: Any, message: bytes) -> None:
        messages.append(message)
        await original(self, message)

    from websockets.asyncio.server import ServerConnection

    original = ServerConnection.send
    monkeypatch.setattr(ServerConnection, "send", send)
    async with serving() as server, one_line(server) as line:
        assert await all_of(line.call(HELLO)) == ECHO
    assert len(messages) == 1


async def test_the_engines_own_errors_come_through() -> None:
    async with serving() as server, lines_to(server) as lines:
        with pytest.raises(PromptTooLong, match="5000 tokens"):
            await all_of(lines.call(Prompt((ChatMessage("user", "word " * 5000),))))
    async with serving(FakeTextToSpeech(), codec=SPEECHES) as server, lines_to(server, codec=SPEECHES) as lines:
        with pytest.raises(UnknownVoice, match="nobody"):
            await all_of(lines.call(Speech("hello", "nobody")))


async def test_an_error_that_is_not_ours_is_told_as_a_failed_engine_and_spoils_no_other_call() -> None:
    engine = FakeLanguageModel([["half ", ZeroDivisionError("by zero")], "fine"])  # type: ignore[list-item]
    async with serving(engine) as server, one_line(server) as line:
        with pytest.raises(EngineFailed, match="ZeroDivisionError: by zero"):
            await all_of(line.call(HELLO))
        assert (await all_of(line.call(HELLO)))[0] == TextDelta("fine")


async def test_a_request_too_long_for_the_socket_fails_alone() -> None:
    async with serving() as server, one_line(server) as line:
        with pytest.raises(EngineFailed, match="too many for one piece"):
            await all_of(line.call(Prompt((ChatMessage("user", "x" * (17 * 1024 * 1024)),))))
        assert await all_of(line.call(HELLO)) == ECHO


# --- what is not wanted any more --------------------------------------------------------------------------------------------------------


async def test_closing_a_reply_stops_the_engine() -> None:
    engine = held()
    async with serving(engine) as server, lines_to(server) as lines:
        reply = lines.call(HELLO)
        asking = asyncio.create_task(anext(reply))
        await eventually(value(lambda: engine.live), 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await eventually(value(lambda: (engine.live, server.calls.live)), (0, 0))


async def test_leaving_a_reply_in_the_middle_stops_the_engine_and_the_next_call_is_answered() -> None:
    engine = FakeLanguageModel([["one ", "two"]])
    async with serving(engine) as server, lines_to(server) as lines:
        async with aclosing(lines.call(HELLO)) as reply:
            await anext(reply)
            engine.gate.clear()
        engine.gate.set()
        await eventually(value(lambda: engine.live), 0)
        assert await all_of(lines.call(HELLO)) == ECHO


async def test_a_call_that_was_never_begun_asks_nobody() -> None:
    engine = FakeLanguageModel()
    async with serving(engine) as server, lines_to(server) as lines:
        await lines.open()
        await lines.call(HELLO).aclose()
        assert await all_of(lines.call(HELLO)) == ECHO
    assert len(engine.prompts) == 1


async def test_a_gateway_that_goes_stops_all_its_calls_and_no_other() -> None:
    engine = held()
    async with serving(engine) as server, lines_to(server) as stays:
        staying = asyncio.create_task(all_of(stays.call(HELLO)))
        async with lines_to(server) as goes:
            going = [asyncio.create_task(all_of(goes.call(HELLO))) for _ in range(3)]
            await eventually(value(lambda: engine.live), 4)
        await eventually(value(lambda: engine.live), 1)
        for lost in await asyncio.gather(*going, return_exceptions=True):
            assert isinstance(lost, EngineGone)
        engine.gate.set()
        assert await staying == ECHO


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
    servers: list[CallServer[Any, Any]] = []

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


async def test_a_line_that_was_lost_is_made_again() -> None:
    async with serving() as server, lines_to(server) as lines:
        assert await all_of(lines.call(HELLO)) == ECHO
        (lost,), (gateway,) = [*lines._lines], [*server._gateways]
        gateway.connection.transport.abort()
        await lost.ended
        assert await all_of(lines.call(HELLO)) == ECHO
        assert lost not in lines._lines


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


# --- who may come -----------------------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_no_socket() -> None:
    async with serving() as server:
        offer = server.offer(())
        assert offer is not None
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{offer.place.host}:{offer.place.port}/", additional_headers={"Authorization": "Bearer guessed"}, proxy=None)
        assert refused.value.response.status_code == 401


async def test_a_token_opens_one_socket_only() -> None:
    async with serving() as server:
        offer = server.offer(())
        assert offer is not None
        address, headers = f"ws://{offer.place.host}:{offer.place.port}/", {"Authorization": f"Bearer {offer.place.token}"}
        async with connect(address, additional_headers=headers, subprotocols=[SUBPROTOCOL], proxy=None):  # type: ignore[list-item]
            with pytest.raises(InvalidStatus):
                await connect(address, additional_headers=headers, proxy=None)


async def test_an_offer_that_is_not_taken_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.call_server.TOKEN_S", -1.0)
    async with serving() as server:
        first, second = server.offer(()), server.offer(())
        assert first is not None and second is not None
        with pytest.raises(EngineGone, match="cannot be reached"):
            await line_to(first, REPLIES)
        await (await line_to(second, REPLIES)).close()
