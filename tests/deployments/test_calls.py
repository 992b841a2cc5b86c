"""Calls over one socket: what is asked and answered, what is not wanted any more, and who may come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import SUBPROTOCOL
from deployments.call_line import line_to
from deployments.engines.fake import FakeLanguageModel, FakeTextToSpeech
from serve_app.engines import ChatMessage, Prompt, Speech, TextDelta
from serve_app.errors import EngineFailed, EngineGone, PromptTooLong, UnknownVoice
from tests.deployments.calling import ECHO, HELLO, all_of, held, lines_to, one_line, serving, value
from tests.deployments.conftest import PATIENCE_S, eventually

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


async def test_an_engine_that_ends_a_call_of_its_own_accord_loses_it_at_once() -> None:
    """As when a task within it was cancelled: nobody asked for that, so somebody must be told."""

    class Ends:
        async def reply(self, prompt: Prompt) -> AsyncIterator[TextDelta]:
            yield TextDelta("half")
            raise asyncio.CancelledError

    async with serving(Ends()) as server, one_line(server) as line, asyncio.timeout(PATIENCE_S):
        with pytest.raises(EngineGone, match="ended the call"):
            await all_of(line.call(HELLO, next_s=2 * PATIENCE_S))


async def test_an_error_whose_words_no_json_can_hold_is_told_too() -> None:
    engine = FakeLanguageModel([EngineFailed("half a pair: \ud83d")])
    async with serving(engine) as server, one_line(server) as line:
        with pytest.raises(EngineFailed, match="half a pair"):
            await all_of(line.call(HELLO))


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


# --- who may come -----------------------------------------------------------------------------------------------------------------------


async def test_a_stranger_gets_no_socket() -> None:
    async with serving() as server:
        offer = server.offer(())
        assert offer is not None
        address, headers = f"ws://{offer.place.host}:{offer.place.port}/", {"Authorization": "Bearer guessed"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(address, additional_headers=headers, proxy=None)
        assert refused.value.response.status_code == 401


async def test_a_token_opens_one_socket_only() -> None:
    async with serving() as server:
        offer = server.offer(())
        assert offer is not None
        address, headers = f"ws://{offer.place.host}:{offer.place.port}/", {"Authorization": f"Bearer {offer.place.token}"}
        async with connect(address, additional_headers=headers, subprotocols=[SUBPROTOCOL], proxy=None):  # type: ignore[list-item]
            with pytest.raises(InvalidStatus) as refused:
                await connect(address, additional_headers=headers, subprotocols=[SUBPROTOCOL], proxy=None)  # type: ignore[list-item]
            assert refused.value.response.status_code == 401


async def test_an_offer_that_is_not_taken_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.call_server.TOKEN_S", -1.0)
    async with serving() as server:
        first, second = server.offer(()), server.offer(())
        assert first is not None and second is not None
        with pytest.raises(EngineGone, match="cannot be reached"):
            await line_to(first, REPLIES)
        await (await line_to(second, REPLIES)).close()
