"""Conversations that an endpoint finds too long, in the words of each server."""

import pytest

from serve_app.engines import ChatMessage, Prompt
from serve_app.errors import PromptTooLong
from tests.engines.asking import answer, model_at, text_of
from tests.engines.endpoint_script import Script, refusal, reply

TOO_LONG = [
    refusal(
        400,
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length.",
        "context_length_exceeded",
    ),
    refusal(
        400,
        "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 input tokens, which exceeds this "
        "limit even without any output tokens. Please reduce the length of the input prompt.",
    ),
    refusal(400, "The decoder prompt (length 3000) is longer than the maximum model length of 2048. Make sure that ..."),
    refusal(400, "the request exceeds the available context size. try increasing the context size or enable context shift"),
]
names = pytest.mark.parametrize("refused", TOO_LONG, ids=["OpenAI", "vLLM", "vLLM's engine", "llama.cpp"])


@names
async def test_one_turn_that_is_too_long_is_refused(refused):
    async with model_at(Script(refused)) as model:
        with pytest.raises(PromptTooLong, match="answered 400"):
            await answer(model)


@names
async def test_a_conversation_that_is_too_long_is_answered_from_its_end(refused):
    turns = [message for number in range(4) for message in (ChatMessage("user", f"{number}?"), ChatMessage("assistant", "Yes."))]
    script = Script(refused, refused, reply("Sure."))
    async with model_at(script) as model:
        pieces = await answer(model, Prompt((ChatMessage("system", "Be brief."), *turns)))
    assert text_of(pieces) == "Sure."
    asked = [[message["content"] for message in body["messages"] if message["role"] != "assistant"] for body in script.bodies]
    assert asked == [["Be brief.", "0?", "1?", "2?", "3?"], ["Be brief.", "2?", "3?"], ["Be brief.", "3?"]]
