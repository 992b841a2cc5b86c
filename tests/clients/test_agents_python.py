"""openai-agents-python with its voice, unchanged: its own runner, session, settings and tools; only the address is ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from serve_app.engines import Pcm
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

    @property
    def endings(self) -> list[str]:
        """The status of each response that is done."""
        raw = [event.data.data for event in self.events if _is_raw(event)]
        return [event["response"]["status"] for event in raw if event["type"] == "response.done"]

    def turns_done(self) -> int:
        return len(self.endings)

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

    talk = script.Talk()
    with serving(engines=talk.engines) as url:
        async with calling(url, tools=[temperature]) as client:
            await client.says(script.spoken())
            await client.sees("the end of the first answer", lambda: client.turns_done() == 1)
            assert client.history == [("user", script.QUESTION), ("assistant", script.ANSWER)]
            assert len(client.audio) == script.ANSWER_BYTES

            await client.says(script.spoken())
            await client.sees("the answer that uses the tool", lambda: len(client.audio) > script.ANSWER_BYTES + script.WELL_INTO_IT_BYTES)
            assert asked == [script.CITY]
            assert [event.output for event in client.all_of("tool_end")] == [script.RESULT]
            talk.knows_the_result()

            before = len(client.all_of("audio_interrupted"))
            await client.says(script.spoken())
            await client.sees("the interruption", lambda: len(client.all_of("audio_interrupted")) > before)
            await client.sees("the last answer", lambda: client.turns_done() == 4)
            assert client.endings == ["completed", "completed", "cancelled", "completed"]
            assert client.history[-2:] == [("user", script.INTERRUPTION), ("assistant", script.LAST_ANSWER)]
            assert "conversation.item.truncated" in client.kinds
