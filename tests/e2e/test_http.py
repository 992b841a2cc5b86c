"""The official client's other half: files and texts instead of a conversation, on a real server with real engines."""

import json
from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from tests.recordings import BEST_OF_TIMES, EVERYTHING, Recording, word_error_rate

pytestmark = pytest.mark.e2e

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
PATIENCE_S = 300
MISHEARD = 0.1
"""Of a reader's words, at most: Moonshine tiny has 0 to 0.06 on these."""
ADDED = 0.2
"""Of spoken text: it may hear a "Thank you." at the end."""


@pytest.fixture
async def client(real_server: str) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{real_server}/v1", api_key="none", timeout=PATIENCE_S, max_retries=0) as client:
        yield client


def asking(question: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": "Answer in one short sentence."}, {"role": "user", "content": question}]


@pytest.mark.parametrize("recording", [BEST_OF_TIMES, EVERYTHING], ids=lambda recording: recording.file)
async def test_a_reader_is_understood(recording: Recording, client: AsyncOpenAI) -> None:
    heard = await client.audio.transcriptions.create(model="whisper-1", file=recording.path, response_format="verbose_json")
    assert word_error_rate(recording.words, heard.text) <= MISHEARD
    first, last = heard.segments[0], heard.segments[-1]
    assert 0.0 <= first.start < first.end <= last.end <= heard.duration


async def test_what_is_heard_streams(client: AsyncOpenAI) -> None:
    events = [event async for event in await client.audio.transcriptions.create(model="ear", file=BEST_OF_TIMES.path, stream=True)]
    assert word_error_rate(BEST_OF_TIMES.words, events[-1].text) <= MISHEARD
    assert "".join(event.delta for event in events[:-1]) == events[-1].text


@pytest.mark.parametrize(("voice", "form"), [("af_heart", "wav"), ("af_heart+af_bella", "mp3"), ("alloy", "aac")])
async def test_what_is_spoken_is_understood(voice: str, form: str, client: AsyncOpenAI) -> None:
    text = "The quick brown fox jumps over the lazy dog. Then it sleeps until the morning."
    async with client.audio.speech.with_streaming_response.create(model="tts-1", voice=voice, input=text, response_format=form) as speech:
        chunks = [chunk async for chunk in speech.iter_bytes()]
    assert len(chunks) > 1
    heard = await client.audio.transcriptions.create(model="whisper-1", file=(f"speech.{form}", b"".join(chunks)))
    assert word_error_rate(text, heard.text) <= ADDED


async def test_an_answer_is_written_piece_by_piece(client: AsyncOpenAI) -> None:
    asked = {"model": "gpt-4o-mini", "messages": asking("What is the capital of France?"), "temperature": 0}
    answer = await client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    *chunks, last = [chunk async for chunk in answer]
    written = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert len(written) > 3
    assert "Paris" in "".join(written)
    assert (chunks[-1].choices[0].finish_reason, last.choices) == ("stop", [])
    assert last.usage.completion_tokens >= len(written)


async def test_a_tool_is_called_where_one_is_required(client: AsyncOpenAI) -> None:
    messages = asking("What is the weather in Paris?")
    completion = await client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=[WEATHER], tool_choice="required")
    choice = completion.choices[0]
    (call,) = choice.message.tool_calls
    assert (choice.finish_reason, call.function.name) == ("tool_calls", "weather")
    assert json.loads(call.function.arguments).keys() == {"city"}


async def test_an_answer_fits_the_type_that_the_client_wants(client: AsyncOpenAI) -> None:
    class Capital(BaseModel):
        city: str
        country: str

    asked = {"model": "gpt-4o-mini", "messages": asking("What is the capital of France?"), "temperature": 0}
    answer = await client.chat.completions.parse(**asked, response_format=Capital)
    assert isinstance(answer.choices[0].message.parsed, Capital)
