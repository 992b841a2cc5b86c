"""openai-python, unchanged: its own connection and types; only the address is ours."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.clients import script
from tests.clients.application import Events, Microphone, Speaker
from tests.clients.script import Seen, Stage

SESSION: Any = {
    "type": "realtime",
    "instructions": script.INSTRUCTIONS,
    "tools": [{"type": "function", "name": script.TOOL, "description": script.DESCRIPTION, "parameters": script.PARAMETERS}],
    "tool_choice": "none",
    "audio": {
        "input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "gpt-4o-mini-transcribe"}},
        "output": {"voice": "marin"},
    },
}


class Client:
    """What an application makes of the events: it plays, runs the tool, and tells the server what was heard of a cut answer."""

    def __init__(self, connection: Any, stage: Stage) -> None:
        self.events = Events(stage.patience_s, lambda event: event.type)
        self.microphone = Microphone(self._hear, stage.speed)
        self.speaker = Speaker()
        self.arguments: list[dict[str, Any]] = []
        self._connection = connection

    async def chooses_tool(self, choice: str) -> None:
        await self._connection.session.update(session={"type": "realtime", "tool_choice": choice})

    async def uses_the_tool(self) -> None:
        """The call is there: the result goes to the server, which is to answer with it and without another call."""
        call = self.all_of("response.function_call_arguments.done")[-1]
        self.arguments.append(json.loads(call.arguments))
        output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": script.RESULT}
        await self.chooses_tool("none")
        await self._connection.conversation.item.create(item=output)
        await self._connection.response.create()

    async def was_cut_short(self) -> None:
        item_id = self.all_of("response.output_audio.delta")[-1].item_id
        await self._connection.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=1000)
        await self._connection.conversation.item.retrieve(item_id=item_id)

    async def watch(self) -> None:
        async for event in self._connection:
            self.events.see(event)
            if event.type == "response.output_audio.delta":
                self.speaker.plays(len(base64.b64decode(event.delta)))

    def all_of(self, kind: str) -> list[Any]:
        return [event for event in self.events.all if event.type == kind]

    @property
    def endings(self) -> list[str]:
        return [event.response.status for event in self.all_of("response.done")]

    @property
    def history(self) -> list[tuple[str, str]]:
        """In the order of the items; what was cut, as the server has it."""
        words = {event.item_id: event.transcript for event in self.all_of("conversation.item.input_audio_transcription.completed")}
        words |= {event.item_id: event.transcript for event in self.all_of("response.output_audio_transcript.done")}
        words |= {event.item.id: event.item.content[0].transcript for event in self.all_of("conversation.item.retrieved")}
        messages = [event.item for event in self.all_of("conversation.item.added") if event.item.type == "message"]
        return [(item.role, words.get(item.id) or "") for item in messages]

    async def _hear(self, pcm: bytes) -> None:
        await self._connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())


@asynccontextmanager
async def calling(stage: Stage) -> AsyncIterator[Client]:
    openai = AsyncOpenAI(api_key="none", base_url=f"{stage.url}/v1")
    async with openai.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session=SESSION)
        client = Client(connection, stage)
        tasks = [asyncio.create_task(client.watch()), asyncio.create_task(client.microphone.run())]
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in failures if not isinstance(one, asyncio.CancelledError)] == []


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(stage: Stage) -> None:
    async with calling(stage) as client:
        says, until, speaker = client.microphone.says, client.events.until, client.speaker
        says(script.QUESTION)
        await until("the end of the first answer", lambda: len(client.endings) == 1)
        first_answer_bytes = speaker.bytes
        await speaker.is_quiet()

        await client.chooses_tool("required")
        says(script.ASKS_FOR_TOOL)
        await until("the call", lambda: len(client.endings) == 2)
        await client.uses_the_tool()
        await until("the answer that uses the tool", lambda: len(client.endings) == 3)
        await speaker.is_quiet()

        heard = speaker.bytes
        says(script.ASKS_FOR_STORY)
        await until("the story", lambda: speaker.bytes > heard + stage.well_into_bytes)
        before = len(client.all_of("input_audio_buffer.speech_started"))
        says(script.INTERRUPTION)
        await until("the interruption", lambda: len(client.all_of("input_audio_buffer.speech_started")) > before)
        await client.was_cut_short()
        await until("the last answer", lambda: len(client.endings) == 5 and client.all_of("conversation.item.retrieved"))
    stage.agrees(
        Seen(
            endings=client.endings,
            history=client.history,
            arguments=client.arguments,
            results=[event.item.output for event in client.all_of("conversation.item.done") if event.item.type == "function_call_output"],
            first_answer_bytes=first_answer_bytes,
            interrupted=len(client.all_of("input_audio_buffer.speech_started")) > before,
            truncated="conversation.item.truncated" in client.events.names,
            errors=client.all_of("error"),
        )
    )
