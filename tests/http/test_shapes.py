"""Answers validated with the official package's types; its client builds them without looking."""

import json

import httpx
import pytest
from openai import AsyncOpenAI
from openai.types import Model
from openai.types.audio import Transcription, TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent, TranscriptionVerbose
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from tests.http.test_exchange import CHAT, RECORDING


async def post(client: AsyncOpenAI, path: str, **content: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=str(client.base_url)) as plain:
        return await plain.post(path, **content)


def events(answer: httpx.Response) -> list[dict[str, object]]:
    """All but the [DONE] at their end."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    *lines, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    return [json.loads(line) for line in lines]


async def test_a_chat_completion(client: AsyncOpenAI) -> None:
    ChatCompletion.model_validate((await post(client, "chat/completions", json=CHAT)).json())


async def test_the_chunks_of_one(client: AsyncOpenAI) -> None:
    asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    for chunk in events(await post(client, "chat/completions", json=asked)):
        ChatCompletionChunk.model_validate(chunk)


@pytest.mark.parametrize(("form", "shape"), [("json", Transcription), ("verbose_json", TranscriptionVerbose)])
async def test_a_transcription(form: str, shape: type[BaseModel], client: AsyncOpenAI) -> None:
    answer = await post(client, "audio/transcriptions", data={"response_format": form}, files={"file": RECORDING})
    shape.model_validate(answer.json())


async def test_the_events_of_one(client: AsyncOpenAI) -> None:
    *deltas, done = events(await post(client, "audio/transcriptions", data={"stream": "true"}, files={"file": RECORDING}))
    assert deltas
    for delta in deltas:
        TranscriptionTextDeltaEvent.model_validate(delta)
    TranscriptionTextDoneEvent.model_validate(done)


async def test_a_model(client: AsyncOpenAI) -> None:
    async with httpx.AsyncClient(base_url=str(client.base_url)) as plain:
        for model in (await plain.get("models")).json()["data"]:
            Model.model_validate(model)
