"""openai-agents-python with its voice, unchanged: its own runner, session, settings and tools; only the address is ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from serve_app.engines import ChatMessage, Pcm
from tests.clients import script
from tests.fake_server import serving

PATIENCE_S = 30
CHUNK = 2400


class Client:
    """What an application sees of a session."""

    def __init__(self, session: RealtimeSession) -> None:
        self.events: list[Any] = []
        self._session = session
        self._news = asyncio.Condition()

    async def says(self, pcm: Pcm) -> None:
        for start in range(0, len(pcm), CHUNK):
            await self._session.send_audio(pcm[start : start + CHUNK].tobytes())

    async def watch(self) -> None:
        async for event in self._session:
            async with self._news:
                self.events.append(event)
                self._news.notify_all()

    async def sees(self, what: str, is_there: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S), self._news:
                await self._news.wait_for(is_there)
        except TimeoutError:
            pytest.fail(f"the client never saw {what}; it saw {self.kinds}")

    def all_of(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    @property
    def kinds(self) -> list[str]:
        """Of what the service sent too."""
        return [event.data.data["type"] if _is_raw(event) else event.type for event in self.events]

    def turns_done(self) -> int:
        return sum(_is_raw(event) and event.data.data["type"] == "response.done" for event in self.events)

    @property
    def audio(self) -> bytes:
        return b"".join(event.audio.data for event in self.all_of("audio"))

    @property
    def history(self) -> list[tuple[str, str]]:
        """Who said what, as the client has it now."""
        return [_said(item) for item in self.all_of("history_updated")[-1].history if item.type == "message"]

    def fails_nowhere(self) -> None:
        """An error of any kind, and an event that the client cannot parse, is an `error` of its session."""
        assert [event.error for event in self.all_of("error")] == []
        assert not [event for event in self.all_of("raw_model_event") if event.data.type in ("error", "exception")]


def _is_raw(event: Any) -> bool:
    return event.type == "raw_model_event" and event.data.type == "raw_server_event"


def _said(item: Any) -> tuple[str, str]:
    part = item.content[0] if item.content else None
    return item.role, (getattr(part, "transcript", None) or getattr(part, "text", None) or "") if part else ""


@asynccontextmanager
async def calling(url: str, **agent: Any) -> AsyncIterator[Client]:
    runner = RealtimeRunner(RealtimeAgent(name="Guide", instructions="You are a guide.", **agent))
    address = url.replace("http", "ws", 1) + "v1/realtime?model=gpt-realtime"
    async with await runner.run(model_config={"url": address, "api_key": "none"}) as session:
        client = Client(session)
        watching = asyncio.create_task(client.watch())
        try:
            yield client
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    client.fails_nowhere()


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption() -> None:
    asked: list[str] = []

    @function_tool
    def temperature(city: str) -> str:
        """How warm it is in a city."""
        asked.append(city)
        return script.RESULT

    engines = script.scripted()
    with serving(engines=engines) as url:
        async with calling(url, tools=[temperature]) as client:
            await client.says(script.spoken())
            await client.sees("the end of the first answer", lambda: client.turns_done() == 1)
            assert client.history == [("user", script.QUESTION), ("assistant", script.ANSWER)]
            assert len(client.audio) == script.ANSWER_BYTES

            await client.says(script.spoken())
            await client.sees("the answer that uses the tool", lambda: len(client.audio) > script.ANSWER_BYTES)
            assert asked == [script.CITY]
            assert [event.output for event in client.all_of("tool_end")] == [script.RESULT]
            assert engines.language_model.prompts[2].messages[-1] == ChatMessage("tool", script.RESULT, call_id=_call_id(client))  # type: ignore[attr-defined]

            await client.says(script.spoken())
            await client.sees("the interruption", lambda: client.all_of("audio_interrupted"))
            await client.sees("the last answer", lambda: client.turns_done() == 4)
            await client.sees("its words", lambda: ("assistant", script.LAST_ANSWER) in client.history)
            assert ("user", script.INTERRUPTION) in client.history


def _call_id(client: Client) -> str:
    calls = [event.data.data for event in client.events if _is_raw(event)]
    return next(call["call_id"] for call in calls if call["type"] == "response.function_call_arguments.done")
