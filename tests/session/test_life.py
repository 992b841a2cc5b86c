"""Sessions that outlive their connection or their server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from serve_app.core.language import ToolCall
from serve_app.errors import EngineGone
from serve_app.kept import Copy, KeptSessions
from serve_app.life import Leaving, Life
from serve_app.session import SessionOptions, drive
from tests.session.line import PATIENCE_S, SERVED, Event, House, Line, eventually

TRANSCRIBED = {"transcription": {"model": "whisper-1"}}


class Shelf:
    """A keeper in this process; out of reach when a test says so."""

    def __init__(self) -> None:
        self.sessions = KeptSessions(60.0)
        self.away = False
        self.asked = 0
        """How often it was, whether it could be reached or not."""

    async def keep(self, copy: Copy) -> bool:
        return self._reached().keep(copy, 0.0)

    async def take(self, session_id: str, owner: str) -> Copy | None:
        return self._reached().take(session_id, owner, 0.0)

    async def forget(self, copy: Copy) -> None:
        self._reached().forget(copy)

    def _reached(self) -> KeptSessions:
        self.asked += 1
        if self.away:
            raise EngineGone("the keeper is away")
        return self.sessions


@asynccontextmanager
async def connection(house: House, life: Life, **options: Any) -> AsyncIterator[tuple[Line, Event]]:
    """With the session object that it was greeted with."""
    line = Line()
    patient = SessionOptions(SERVED, life=life, eager=lambda: False, **options)  # a draft that is discarded would use up a reply
    driving = asyncio.create_task(drive(line, house.engines, patient))
    try:
        yield line, (await line.gets("session.created"))["session"]
    finally:
        line.hangs_up()
        await asyncio.wait_for(driving, PATIENCE_S)
    assert (house.model.live, house.voice.live, house.listening.sessions) == (0, 0, 0)


def items(line: Line) -> list[tuple[str, str]]:
    """As the client was told of them: role or kind, and words."""
    done = [one["item"] for one in line.seen if one["type"] == "conversation.item.done"]
    texts = [next(iter(one.get("content", [])), {}) for one in done]
    return [(one.get("role", one["type"]), text.get("transcript") or text.get("text", "")) for one, text in zip(done, texts, strict=True)]


async def test_a_client_that_comes_back_goes_on_with_its_history_and_its_settings() -> None:
    house, shelf = House(["My name is Anna.", "What is my name?"], ["Hello Anna.", "Anna."]), Shelf()
    async with connection(house, Life(shelf)) as (line, before):
        line.sets(instructions="Be kind.", audio={"input": TRANSCRIBED, "output": {"voice": "af_bella"}})
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.done")
    async with connection(house, Life(shelf, returns_to=before["id"])) as (line, after):
        assert after["id"] == before["id"] and after["expires_at"] == before["expires_at"]
        assert (after["instructions"], after["audio"]["output"]["voice"]) == ("Be kind.", "af_bella")
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.done")
        assert items(line)[:2] == [("user", "My name is Anna."), ("assistant", "Hello Anna.")]
        assert "error" not in line.types()
    question = [("user", "My name is Anna."), ("assistant", "Hello Anna."), ("user", "What is my name?")]
    assert house.prompt() == [("system", "Be kind."), *question]


async def test_calls_and_their_results_and_what_was_heard_of_an_answer_come_back() -> None:
    house = House(["Weather?", "Stop."], [ToolCall("", "get_weather", "{}"), "It is foggy and cold and wet."])
    shelf = Shelf()
    async with connection(house, Life(shelf)) as (line, before):
        line.sets(tools=[{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}])
        line.speaks(1.0, silence_s=0.8)
        call = (await line.gets("response.done"))["response"]["output"][0]
        line.says("conversation.item.create", item={"type": "function_call_output", "call_id": call["call_id"], "output": "fog"})
        line.says("response.create")
        answer = (await line.gets("response.done"))["response"]["output"][0]
        line.says("conversation.item.truncate", item_id=answer["id"], content_index=0, audio_end_ms=110)
        await line.gets("conversation.item.truncated")
    async with connection(house, Life(shelf, returns_to=before["id"])) as (line, after):
        line.says("response.create")
        await line.gets("response.done")
        assert after["tools"] == [{"type": "function", "name": "get_weather", "parameters": {"type": "object"}}]
    assert house.prompt()[1:] == [("user", "Weather?"), ("assistant", ""), ("tool", "fog"), ("assistant", "It is foggy")]


async def test_an_answer_that_was_cut_off_by_the_connection_comes_back_as_far_as_it_was_heard() -> None:
    house, shelf = House(["Count.", "And?"], ["one two three four five six seven eight nine ten " * 20, "Eleven."]), Shelf()
    async with connection(house, Life(shelf), lead_s=0.3) as (line, before):
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
    async with connection(house, Life(shelf, returns_to=before["id"])) as (line, _):
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.done")
    said = [text for role, text in house.prompt() if role == "assistant"]
    assert sum(len(text) for text in said) < 300 and all(text.startswith("one two") for text in said)


@pytest.mark.parametrize("stranger", [Life(owner="bob", returns_to="theirs"), Life(returns_to="sess_unknown")])
async def test_who_may_not_or_cannot_come_back_is_told_so_and_gets_a_session_of_its_own(stranger: Life) -> None:
    house, shelf = House(), Shelf()
    async with connection(house, Life(shelf, owner="anna")) as (line, before):
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})
        await line.gets("conversation.item.done")
    asked = before["id"] if stranger.returns_to == "theirs" else stranger.returns_to
    async with connection(house, Life(shelf, stranger.owner, asked)) as (line, after):
        assert (await line.gets("error"))["error"]["code"] == "session_not_found"
        assert after["id"] != before["id"] and not items(line)


def rewritten(shelf: Shelf, session_id: str, change: Callable[[dict[str, Any]], None]) -> None:
    """As another version of the server would have kept it."""
    copy = shelf.sessions.take(session_id, "", 0.0)
    assert copy is not None
    body = orjson.loads(copy.data)
    change(body)
    assert shelf.sessions.keep(replace(copy, number=copy.number + 1, data=orjson.dumps(body)), 0.0)


async def one_item(house: House, shelf: Shelf) -> str:
    """A session that holds an item and has settings of its own."""
    async with connection(house, Life(shelf)) as (line, before):
        line.sets(instructions="Be kind.", audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 900}}})
        line.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]})
        await line.gets("conversation.item.done")
    return str(before["id"])


OLDER: dict[str, Callable[[dict[str, Any]], object]] = {
    "before versions were named": lambda body: body.pop("version"),
    "before include": lambda body: body["session"]["body"].pop("include"),
    "before speed": lambda body: body["session"]["body"]["audio"]["output"].pop("speed"),
    "before noise reduction": lambda body: body["session"]["body"]["audio"]["input"].pop("noise_reduction"),
    "before idle timeouts": lambda body: body["session"]["body"]["audio"]["input"]["turn_detection"].pop("idle_timeout_ms"),
    "with a setting to come": lambda body: body["session"]["body"].update(mood="sunny"),
    "with an audio setting to come": lambda body: body["session"]["body"]["audio"].update(room="large"),
}


@pytest.mark.parametrize("change", OLDER.values(), ids=OLDER)
async def test_a_session_that_another_version_kept_goes_on(change: Callable[[dict[str, Any]], object]) -> None:
    house, shelf = House(), Shelf()
    session_id = await one_item(house, shelf)
    rewritten(shelf, session_id, lambda body: change(body) and None)
    async with connection(house, Life(shelf, returns_to=session_id)) as (line, after):
        await line.gets("conversation.item.done")
        assert (after["id"], after["instructions"], items(line)) == (session_id, "Be kind.", [("user", "Hi")])
        assert after["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 900
        assert "mood" not in after and set(after["audio"]) == {"input", "output"}
        assert "error" not in line.types()


STRANGE: dict[str, Callable[[dict[str, Any]], object]] = {
    "of a version to come": lambda body: body.update(version=99),
    "of no version": lambda body: body.update(version="new"),
    "without settings": lambda body: body.pop("session"),
    "without items": lambda body: body.pop("items"),
    "with an unknown turn detection": lambda body: body["session"]["body"]["audio"]["input"].update(turn_detection={"type": "magic"}),
    "with other modalities": lambda body: body["session"]["body"].update(output_modalities=["smell"]),
    "with settings of another shape": lambda body: body["session"].update(body=[1, 2]),
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
async def test_a_session_that_this_version_cannot_read_begins_anew_and_its_client_is_told(
    change: Callable[[dict[str, Any]], object], caplog: pytest.LogCaptureFixture
) -> None:
    house, shelf = House(["Hi."]), Shelf()
    session_id = await one_item(house, shelf)
    rewritten(shelf, session_id, lambda body: change(body) and None)
    async with connection(house, Life(shelf, returns_to=session_id)) as (line, after):
        assert (await line.gets("error"))["error"]["code"] == "session_not_found"
        assert after["id"] != session_id and not items(line)
        line.speaks(1.0, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
    assert f"session {session_id} cannot be taken up" in caplog.text


async def test_the_connection_that_is_still_open_ends_when_another_takes_its_session_up() -> None:
    house, shelf = House(["Hi."]), Shelf()
    async with connection(house, Life(shelf)) as (old, before):
        await eventually(lambda: len(shelf.sessions), 1)
        async with connection(house, Life(shelf, returns_to=before["id"])) as (_, after):
            assert after["id"] == before["id"]
            old.says("conversation.item.create", item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "?"}]})
            await eventually(lambda: old.closed and old.closed[0], 1000)
            assert shelf.sessions.take(before["id"], "", 0.0).connection == 3


async def test_a_session_at_its_longest_cannot_be_taken_up() -> None:
    house, shelf = House(), Shelf()
    async with connection(house, Life(shelf), longest_s=1.0) as (line, _):
        await line.gets("error")
        await eventually(lambda: line.closed and line.closed[0], 1001)
    assert len(shelf.sessions) == 0


async def test_a_keeper_that_is_away_disturbs_nobody() -> None:
    house, shelf = House(["Hi."]), Shelf()
    shelf.away = True
    async with connection(house, Life(shelf, returns_to="sess_mine")) as (line, _):
        line.speaks(1.0, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"


async def test_a_server_that_is_taken_away_lets_the_answer_end_then_closes_with_1012_and_no_turn_is_lost() -> None:
    house, shelf, leaving = House(["Count."], ["One two three. Four five six."]), Shelf(), Leaving()
    async with connection(house, Life(shelf, leaving=leaving)) as (line, before):
        line.speaks(1.0, silence_s=0.8)
        await line.gets("response.output_audio.delta")
        leaving.ask()
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
        await eventually(lambda: line.closed and line.closed[0], 1012)
        line.invariants.finish()
        async with connection(house, Life(shelf, returns_to=before["id"])) as (elsewhere, _):
            elsewhere.says("input_audio_buffer.clear")
            await elsewhere.gets("input_audio_buffer.cleared")
            assert items(elsewhere) == [("user", "Count."), ("assistant", "One two three. Four five six.")]


async def test_a_session_that_is_sent_on_waits_for_a_keeper_that_is_being_replaced() -> None:
    house, shelf, leaving = House(["Hi."]), Shelf(), Leaving()
    shelf.away = True
    async with connection(house, Life(shelf, leaving=leaving)) as (line, before):
        leaving.ask()
        await eventually(lambda: shelf.asked > 2, True)
        assert line.closed is None
        shelf.away = False
        await eventually(lambda: line.closed and line.closed[0], 1012)
        assert shelf.sessions.take(before["id"], "", 0.0) is not None


async def test_who_speaks_when_the_server_is_taken_away_is_heard_and_answered_first() -> None:
    house, leaving = House(["Count."], ["One."]), Leaving()
    async with connection(house, Life(leaving=leaving)) as (line, _):
        line.speaks(0.5)
        await line.gets("input_audio_buffer.speech_started")
        leaving.ask()
        line.speaks(0.5, silence_s=0.8)
        assert (await line.gets("response.done"))["response"]["status"] == "completed"
        await eventually(lambda: line.closed and line.closed[0], 1012)


async def test_who_never_pauses_is_let_go_at_the_latest_moment() -> None:
    house, leaving = House(), Leaving(within_s=0.2)
    async with connection(house, Life(leaving=leaving)) as (line, _):
        line.speaks(1.0)
        await line.gets("input_audio_buffer.speech_started")
        leaving.ask()
        await eventually(lambda: line.closed and line.closed[0], 1012)


async def test_who_comes_to_a_server_that_is_being_taken_away_is_sent_on() -> None:
    house, leaving, line = House(), Leaving(), Line()
    leaving.ask()
    await drive(line, house.engines, SessionOptions(SERVED, life=Life(leaving=leaving)))
    assert line.closed is not None and line.closed[0] == 1012 and not line.seen
