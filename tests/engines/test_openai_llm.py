"""Language models behind endpoints that fail, dawdle, or write their chunks in ways of their own. Real requests to a real socket."""

import asyncio
import json
import logging
from contextlib import aclosing

import pytest

from deployments.engines.openai_llm import OpenAiLanguageModel
from serve_app.engines import ChatMessage, Constraints, Prompt, ReplyEnd, TextDelta, Tool, ToolCall, ToolCallDelta
from serve_app.errors import EngineFailed, EngineGone, PromptRefused, SettingsError
from tests.engines.asking import HELLO, WEATHER, answer, model_at, text_of
from tests.engines.endpoint_script import DONE, DROP, HANG, Script, chunk, on_a_port, refusal, reply, stream, usage

NOW = "0"  # a Retry-After for which nobody waits


async def test_a_reply_is_heard_to_its_end_with_its_counts():
    said = [chunk(role="assistant", content=""), chunk(content="Good "), chunk("length", content="day")]
    script = Script(stream(*said, usage(7, 2, 4), DONE))
    async with model_at(script) as model:
        pieces = await answer(model)
    assert pieces == [TextDelta("Good "), TextDelta("day"), ReplyEnd("length", 7, 2, 4)]


# --- what goes out ------------------------------------------------------------------------------------------------------------------------


async def test_a_prompt_is_written_as_the_endpoint_wants_it():
    called = ChatMessage("assistant", "", (ToolCall("call_1", "get_weather", '{"city": "Paris"}'),))
    messages = (ChatMessage("system", "Be brief."), ChatMessage("user", "Rain?"), called, ChatMessage("tool", "No", call_id="call_1"))
    script = Script(reply("No."))
    async with model_at(script, extra={"chat_template_kwargs": {"enable_thinking": False}}) as model:
        await answer(model, Prompt(messages, (WEATHER,), "get_weather", 8, 0.5))
    (body,) = script.bodies
    function = {"name": "get_weather", "arguments": '{"city": "Paris"}'}
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]},
        {"role": "tool", "content": "No", "tool_call_id": "call_1"},
    ]
    assert body["tools"][0]["function"]["parameters"] == WEATHER.parameters
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}
    assert (body["model"], body["stream"], body["max_tokens"], body["temperature"]) == ("small", True, 8, 0.5)
    assert body["stream_options"] == {"include_usage": True}
    assert body["chat_template_kwargs"] == {"enable_thinking": False}


async def test_constraints_are_handed_on_by_openais_names():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    script = Script(reply("{}"))
    async with model_at(script) as model:
        await answer(model, Prompt(HELLO.messages, constraints=Constraints(("END",), schema, 0.9, 7, 0.5, -0.5)))
    (body,) = script.bodies
    assert (body["stop"], body["top_p"], body["seed"], body["presence_penalty"], body["frequency_penalty"]) == (["END"], 0.9, 7, 0.5, -0.5)
    assert body["response_format"] == {"type": "json_schema", "json_schema": {"name": "reply", "schema": schema}}


async def test_a_prompt_that_cannot_be_answered_as_it_is_is_refused():
    async with model_at(Script(refusal(400, "Invalid schema for response_format"))) as model:
        with pytest.raises(PromptRefused, match="400: Invalid schema"):
            await answer(model)


async def test_what_was_not_asked_for_is_not_sent():
    script = Script(reply("Yes."))
    async with model_at(script, usage=False, limit_name="max_completion_tokens") as model:
        await answer(model, Prompt(HELLO.messages, (WEATHER,), "none", 8))
    assert set(script.bodies[0]) == {"model", "messages", "stream", "max_completion_tokens"}


async def test_the_key_comes_from_the_variable_that_was_named_and_from_no_other(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "of-somebody-else")
    monkeypatch.setenv("OPENAI_ORG_ID", "org")
    monkeypatch.setenv("HOUSE_KEY", "for-this-endpoint")
    script = Script(reply("A"), reply("B"))
    async with on_a_port(script.application()) as address:
        for options in ({}, {"api_key_env": "HOUSE_KEY"}):
            model = OpenAiLanguageModel(address, "small", **options)
            await answer(model)
            await model.close()
    assert [headers["authorization"] for headers in script.headers] == ["Bearer none", "Bearer for-this-endpoint"]
    assert "openai-organization" not in script.headers[0]


async def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("HOUSE_KEY", raising=False)
    with pytest.raises(EngineFailed, match="HOUSE_KEY is not set"):
        await answer(OpenAiLanguageModel("http://127.0.0.1:9/v1", "small", api_key_env="HOUSE_KEY"))


def test_a_key_given_in_place_of_a_variables_name_is_refused_and_not_repeated():
    with pytest.raises(SettingsError) as refused:
        OpenAiLanguageModel("http://127.0.0.1:9/v1", api_key_env="sk-secret-1")
    assert "secret" not in str(refused.value)


async def test_the_only_model_of_an_endpoint_need_not_be_named():
    script = Script(reply("Yes."), models=("the-one",))
    async with on_a_port(script.application()) as address:
        model = OpenAiLanguageModel(address)
        await model.warm()
        await model.close()
    assert script.bodies[0]["model"] == "the-one"


async def test_of_several_models_one_must_be_named():
    async with on_a_port(Script(models=("a", "b")).application()) as address:
        model = OpenAiLanguageModel(address)
        with pytest.raises(EngineFailed, match="say which model .* it lists a, b"):
            await model.warm()
        await model.close()


# --- before the first token ---------------------------------------------------------------------------------------------------------------


async def test_a_refused_key_is_told_with_the_name_of_its_variable(monkeypatch):
    monkeypatch.setenv("HOUSE_KEY", "wrong")
    script = Script(refusal(401, "Incorrect API key provided"))
    async with model_at(script, api_key_env="HOUSE_KEY") as model:
        with pytest.raises(EngineFailed, match=r"/v1/chat/completions answered 401: Incorrect API key provided \(the key .* HOUSE_KEY"):
            await answer(model)
    assert script.asked == 1


async def test_a_missing_key_is_asked_for():
    async with model_at(Script(refusal(401, "You must log in"))) as model:
        with pytest.raises(EngineFailed, match="options.api_key_env"):
            await answer(model)


async def test_a_model_that_is_not_there_is_told_with_the_address():
    script = Script(refusal(404, "The model `small` does not exist."))
    async with model_at(script) as model:
        with pytest.raises(EngineFailed, match="answered 404: The model `small` does not exist.*base_url"):
            await answer(model)
    assert script.asked == 1


async def test_what_is_refused_for_now_is_asked_again():
    script = Script(refusal(429, "Slow down", retry_after=NOW), refusal(503, "Loading", retry_after=NOW), reply("Here ", "I am."))
    async with model_at(script, retries=2) as model:
        assert text_of(await answer(model)) == "Here I am."
    assert script.asked == 3


async def test_tries_come_to_an_end():
    script = Script(*[refusal(503, "Loading model", retry_after=NOW)] * 3)
    async with model_at(script, retries=2) as model:
        with pytest.raises(EngineFailed, match="503: Loading model"):
            await answer(model)
    assert script.asked == 3


async def test_a_wait_that_is_longer_than_anybody_waits_is_not_begun():
    script = Script(refusal(429, "Slow down", retry_after="60"))
    async with model_at(script) as model:
        with pytest.raises(EngineFailed, match="429: Slow down"):
            await answer(model)


async def test_a_spent_quota_is_not_asked_again():
    script = Script(refusal(429, "You exceeded your quota", "insufficient_quota"))
    async with model_at(script) as model:
        with pytest.raises(EngineFailed, match="quota"):
            await answer(model)
    assert script.asked == 1


async def test_a_connection_that_breaks_before_the_first_token_is_tried_again():
    script = Script(stream(chunk(role="assistant", content=""), DROP), reply("Here."))
    async with model_at(script) as model:
        assert text_of(await answer(model)) == "Here."
    assert script.asked == 2


async def test_an_endpoint_that_is_silent_is_gone_and_sees_that_nobody_waits():
    script = Script(stream(HANG))
    async with model_at(script, timeouts={"first_s": 0.2}) as model:
        with pytest.raises(EngineGone, match="no answer within 0.2 s"):
            await answer(model)
        await script.left.wait()


async def test_no_server_is_gone_with_its_address():
    model = OpenAiLanguageModel("http://127.0.0.1:9/v1", "small", retries=0)
    with pytest.raises(EngineGone, match="http://127.0.0.1:9/v1 failed .*see that a server answers there"):
        await answer(model)
    await model.close()


async def test_an_endpoint_without_an_address_is_refused_when_it_is_used():
    with pytest.raises(EngineFailed, match="options.base_url must be"):
        await OpenAiLanguageModel().warm()


async def test_a_page_in_place_of_a_reply_cannot_be_read():
    async with model_at(Script(stream("data: <html>not an event</html>\n\n"))) as model:
        with pytest.raises(EngineFailed, match="cannot be read .*OpenAI-compatible"):
            await answer(model)


@pytest.mark.parametrize("timeouts", [{"frist_s": 1}, {"first_s": "soon"}])
def test_times_that_are_none_are_refused(timeouts):
    with pytest.raises(SettingsError, match="timeouts"):
        OpenAiLanguageModel("http://127.0.0.1:9/v1", timeouts=timeouts)


# --- after it -----------------------------------------------------------------------------------------------------------------------------


async def heard_until(model, error, match):
    """What came before the error."""
    heard = []
    with pytest.raises(error, match=match):
        async for piece in model.reply(HELLO):
            heard.append(piece)
    return text_of(heard)


@pytest.mark.parametrize(
    ("after", "error", "match"),
    [
        (
            {"error": {"message": "CUDA out of memory", "type": "InternalServerError", "code": 500}},
            EngineFailed,
            "broke .* CUDA out of memory",
        ),
        (DROP, EngineGone, "connection to .* failed"),
        ("", EngineGone, "without a finish_reason"),
        ("data: {not json\n\n", EngineFailed, "cannot be read"),
        ('data: {"choices": [{"index": 0, "delta": 3}]}\n\n', EngineFailed, "cannot be read"),
    ],
    ids=["an error event", "a dropped connection", "an early end", "garbage", "another shape"],
)
async def test_a_reply_that_breaks_in_the_middle_is_not_begun_again(after, error, match):
    script = Script(stream(chunk(content="Once "), after), reply("never"))
    async with model_at(script) as model:
        assert await heard_until(model, error, match) == "Once "
    assert script.asked == 1


async def test_a_pause_longer_than_was_set_ends_the_reply():
    script = Script(stream(chunk(content="Once "), HANG))
    async with model_at(script, timeouts={"between_s": 0.2}) as model:
        assert await heard_until(model, EngineGone, "nothing for 0.2 s") == "Once "
        await script.left.wait()


async def test_closing_a_reply_closes_the_request():
    script = Script(stream(chunk(content="Once "), HANG))
    async with model_at(script) as model:
        async with aclosing(model.reply(HELLO)) as pieces:
            assert await anext(pieces) == TextDelta("Once ")
        await script.left.wait()


async def test_cancelling_before_the_first_token_closes_the_request():
    script = Script(stream(chunk(role="assistant", content=""), HANG))
    async with model_at(script) as model:
        asking = asyncio.create_task(answer(model))
        await script.came.wait()
        asking.cancel()
        await script.left.wait()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_tokens_that_nobody_counts_are_none_and_that_is_said_once(caplog):
    script = Script(*[stream(chunk(content="Yes."), chunk("stop"), DONE)] * 2)
    async with model_at(script) as model:
        with caplog.at_level(logging.WARNING):
            ends = [(await answer(model))[-1] for _ in range(2)]
    assert ends == [ReplyEnd("stop", 0, 0)] * 2
    assert [record.getMessage() for record in caplog.records if "counts no tokens" in record.getMessage()] == [
        f"{model.base_url} counts no tokens: those of small are reported as 0"
    ]


async def test_control_tokens_in_what_is_sent_are_parted_by_a_blank():
    """The endpoint's tokenizer would read them as the model's own."""
    call = ToolCall("call_1", "get_weather", '{"city": "\\u003c|im_end|>"}')
    messages = (ChatMessage("user", "Hi<|im_end|>"), ChatMessage("assistant", "", (call,)), ChatMessage("tool", "</s>", call_id="call_1"))
    tool = Tool("get_weather", "Says <|eot_id|>", {"type": "object"})
    script = Script(reply("Hi."))
    async with model_at(script) as model:
        await answer(model, Prompt(messages, (tool,)))
    (body,) = script.bodies
    user, assistant, result = body["messages"]
    assert (user["content"], result["content"]) == ("Hi< |im_end|>", "< /s>")
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"city": "< |im_end|>"}
    assert body["tools"][0]["function"]["description"] == "Says < |eot_id|>"


# --- what is written but not said ---------------------------------------------------------------------------------------------------------

CALLED = ChatMessage("assistant", "", (ToolCall("call_1", "get_weather", '{"city": "Paris"}'),))
WITH_RESULT = (ChatMessage("user", "Rain?"), CALLED, ChatMessage("tool", "It is dry.", call_id="call_1"))
MARKUP = '<tool_call>{"name": "get_weather", "arguments": {"city": "Paris"}}</tool_call>'


async def test_an_answer_of_nothing_but_markup_is_asked_for_again_with_the_tools_told_in_words():
    script = Script(reply(MARKUP), reply("It is ", "dry."))
    async with model_at(script) as model:
        pieces = await answer(model, Prompt(WITH_RESULT, (WEATHER,), "none"))
    assert text_of(pieces) == "It is dry." and not any(isinstance(piece, ToolCallDelta) for piece in pieces)
    assert "tools" not in script.bodies[1]
    assert script.bodies[1]["messages"] == [{"role": "user", "content": "Rain?\nThe result of get_weather is: It is dry."}]


async def test_calls_that_were_not_allowed_are_not_made():
    function = {"index": 0, "id": "call_2", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    script = Script(stream(chunk(tool_calls=[function]), chunk("tool_calls"), usage(5, 9), DONE), reply("It is dry."))
    async with model_at(script) as model:
        pieces = await answer(model, Prompt(WITH_RESULT, (WEATHER,), "none"))
    assert text_of(pieces) == "It is dry." and len(pieces) == 2


async def test_an_answer_is_asked_for_again_only_once():
    script = Script(reply(MARKUP), reply(MARKUP))
    async with model_at(script) as model:
        assert await answer(model, Prompt(WITH_RESULT, (WEATHER,), "none")) == [ReplyEnd("stop", 5, 1)]


async def test_a_loop_is_ended_and_the_endpoint_stops_writing():
    lines = ["The sailor sat by the sea and thought of his love. "] * 40
    script = Script(stream(*(chunk(content=line) for line in lines), HANG))
    async with model_at(script) as model:
        pieces = await answer(model)
        await asyncio.wait_for(script.left.wait(), 30)
    assert text_of(pieces).count("The sailor") == 2
    assert (pieces[-1].finish, pieces[-1].looped) == ("stop", True) and pieces[-1].reply_tokens > 0


async def test_it_is_learned_that_a_model_begins_with_a_thought(caplog):
    script = Script(reply("Hmm", "</think>", "One."), reply("Hmm, hmm", "</think>\n\n", "Two."), reply("Three", " it is."), reply("Four."))
    async with model_at(script) as model:
        assert [text_of(await answer(model)) for _ in range(4)] == ["HmmOne.", "Two.", "Three it is.", "Four."]
    assert "llm.options.begins_thinking=true" in caplog.text
