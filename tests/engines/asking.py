"""Asking a language model behind a scripted endpoint."""

from contextlib import asynccontextmanager

from deployments.engines.openai_llm import OpenAiLanguageModel
from serve_app.engines import ChatMessage, Prompt, TextDelta, Tool
from tests.engines.endpoint_script import on_a_port

HELLO = Prompt((ChatMessage("user", "Hello"),), max_tokens=8)
WEATHER = Tool("get_weather", "The weather in a city", {"type": "object", "properties": {"city": {"type": "string"}}})


@asynccontextmanager
async def model_at(script, **options):
    async with on_a_port(script.application()) as address:
        model = OpenAiLanguageModel(address, "small", **options)
        try:
            yield model
        finally:
            await model.close()


async def answer(model, prompt=HELLO):
    return [piece async for piece in model.reply(prompt)]


def text_of(pieces):
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
