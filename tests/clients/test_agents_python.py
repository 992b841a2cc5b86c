"""openai-agents-python with its voice, unchanged: its own runner, session, settings and tools; only the address is ours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.model_inputs import RealtimeModelSendSessionUpdate

from tests.clients import script
from tests.clients.application import Events, Microphone, Speaker
from tests.clients.script import Seen, Stage


class Client:
    """What an application sees of a session."""

    def __init__(self, session: RealtimeSession, stage: Stage, tools: list[Any]) -> None:
        self.events = Events(stage.patience_s, _name)
        self.microphone = Microphone(session.send_audio, stage.speed)
        self.speaker = Speaker()
        self._session = session
        self._tools = tools

    async def chooses_tool(self, choice: Any) -> None:
        """The client sends all of the session with it, and what it is not given as it is by default."""
        settings: Any = {"tool_choice": choice, "tools": self._tools}
        await self._session.model.send_event(RealtimeModelSendSessionUpdate(session_settings=settings))

    async def watch(self) -> None:
        async for event in self._session:
            self.events.see(event)
            if event.type == "audio":
                self.speaker.plays(len(event.audio.data))

    def all_of(self, kind: str) -> list[Any]:
        return [event for event in self.events.all if event.type == kind]

    @property
    def endings(self) -> list[str]:
        raw = [event.data.data for event in self.events.all if _is_raw(event)]
        return [event["response"]["status"] for event in raw if event["type"] == "response.done"]

    @property
    def errors(self) -> list[Any]:
        """An error of any kind, and an event that the client cannot parse, is an `error` of its session."""
        raw = [event.data for event in self.all_of("raw_model_event") if event.data.type in ("error", "exception")]
        return [event.error for event in self.all_of("error")] + raw

    @property
    def history(self) -> list[tuple[str, str]]:
        return [_said(item) for item in self.all_of("history_updated")[-1].history if item.type == "message"]


def _is_raw(event: Any) -> bool:
    return event.type == "raw_model_event" and event.data.type == "raw_server_event"


def _name(event: Any) -> str:
    """Of what the service sent too."""
    return event.data.data["type"] if _is_raw(event) else event.type


def _said(item: Any) -> tuple[str, str]:
    part = item.content[0] if item.content else None
    return item.role, (getattr(part, "transcript", None) or getattr(part, "text", None) or "") if part else ""


@asynccontextmanager
async def calling(stage: Stage, tools: list[Any]) -> AsyncIterator[Client]:
    runner = RealtimeRunner(RealtimeAgent(name="Guide", instructions=script.INSTRUCTIONS, tools=tools))
    address = stage.url.replace("http", "ws", 1) + "/v1/realtime?model=gpt-realtime"
    settings: Any = {"tool_choice": "none"}
    model_config: Any = {"url": address, "api_key": "none", "initial_model_settings": settings}
    async with await runner.run(model_config=model_config) as session:
        client = Client(session, stage, tools)
        tasks = [asyncio.create_task(client.watch()), asyncio.create_task(client.microphone.run())]
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(stage: Stage) -> None:
    asked: list[str] = []

    @function_tool
    async def temperature(city: str) -> str:
        """How warm it is in a city."""
        asked.append(city)
        await client.chooses_tool("none")
        return script.RESULT

    async with calling(stage, [temperature]) as client:
        says, until, speaker = client.microphone.says, client.events.until, client.speaker
        says(script.QUESTION)
        await until("the end of the first answer", lambda: len(client.endings) == 1)
        first_answer_bytes = speaker.bytes
        await speaker.is_quiet()

        await client.chooses_tool("required")
        says(script.ASKS_FOR_TOOL)
        await until("the answer that uses the tool", lambda: len(client.endings) == 3)

        await speaker.is_quiet()

        heard = speaker.bytes
        says(script.ASKS_FOR_STORY)
        await until("the story", lambda: speaker.bytes > heard + stage.well_into_bytes)
        before = len(client.all_of("audio_interrupted"))
        says(script.INTERRUPTION)
        await until("the last answer", lambda: len(client.endings) == 5)
    stage.agrees(
        Seen(
            endings=client.endings,
            history=client.history,
            arguments=[{"city": city} for city in asked],
            results=[event.output for event in client.all_of("tool_end")],
            first_answer_bytes=first_answer_bytes,
            interrupted=len(client.all_of("audio_interrupted")) > before,
            truncated="conversation.item.truncated" in client.events.names,
            errors=client.errors,
        )
    )
