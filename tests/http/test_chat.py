"""The official client has a chat."""

import pytest
from openai import APIError, AsyncOpenAI, BadRequestError, InternalServerError
from pydantic import BaseModel

from deployments.engines.fake import FakeLanguageModel
from serve_app.engines import ChatMessage, Constraints, Engines, ToolCall
from serve_app.errors import EngineFailed
from tests.fake_server import ANSWERS, fakes

WEATHER = {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": {"type": "object"}}}
CALL = ToolCall("", "weather", '{"city": "Paris"}')
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASKED = [{"role": "user", "content": "What is the capital of France?"}]


def chat(client: AsyncOpenAI, messages: object = ASKED, **more: object):
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **more)


def scripted(*replies: object) -> Engines:
    return fakes(language_model=FakeLanguageModel(replies))


async def test_an_answer_comes_whole(client: AsyncOpenAI) -> None:
    completion = await chat(client)
    assert completion.choices[0].message.content == ANSWERS[0]
    assert completion.choices[0].finish_reason == "stop"
    assert completion.model == "small"
    assert completion.usage.total_tokens == 6 + len(ANSWERS[0].split())


async def test_an_answer_comes_in_chunks(client: AsyncOpenAI) -> None:
    chunks = [chunk async for chunk in await chat(client, stream=True, stream_options={"include_usage": True})]
    deltas = [chunk.choices[0].delta for chunk in chunks[:-1]]
    assert len(deltas) > 10
    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == ANSWERS[0]
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 2) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == len(ANSWERS[0].split())


async def test_no_usage_in_a_stream_that_did_not_ask_for_it(client: AsyncOpenAI) -> None:
    assert not [chunk async for chunk in await chat(client, stream=True) if chunk.usage]


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_an_answer_ends_where_the_client_wants(limit: str, client: AsyncOpenAI) -> None:
    choice = (await chat(client, **{limit: 3})).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("The capital of", "length")


class TestTools:
    @pytest.fixture
    def engines(self) -> Engines:
        return scripted((CALL, CALL), "It rains.")

    async def test_calls_come_whole_and_their_results_go_back(self, client: AsyncOpenAI, engines: Engines) -> None:
        choice = (await chat(client, tools=[WEATHER])).choices[0]
        calls = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content is None
        assert [(call.function.name, call.function.arguments) for call in calls] == [("weather", CALL.arguments)] * 2
        assert calls[0].id != calls[1].id
        results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in calls]
        answer = await chat(client, [*ASKED, choice.message.model_dump(exclude_none=True), *results], tools=[WEATHER])
        assert answer.choices[0].message.content == "It rains."
        prompt = engines.language_model.prompts[-1]
        assert prompt.messages[1].tool_calls[1] == ToolCall(calls[1].id, "weather", CALL.arguments)
        assert prompt.messages[3] == ChatMessage("tool", "rain", (), calls[1].id)

    @pytest.mark.parametrize("stream", [True, False])
    async def test_one_call_alone_where_more_are_not_wanted(self, stream: bool, client: AsyncOpenAI) -> None:
        answer = await chat(client, tools=[WEATHER], parallel_tool_calls=False, stream=stream)
        if stream:
            calls = [piece.index for chunk in [chunk async for chunk in answer] for piece in chunk.choices[0].delta.tool_calls or ()]
            assert set(calls) == {0}
        else:
            assert [call.function.arguments for call in answer.choices[0].message.tool_calls] == [CALL.arguments]

    async def test_arguments_come_in_pieces(self, client: AsyncOpenAI) -> None:
        chunks = [chunk async for chunk in await chat(client, tools=[WEATHER], stream=True)]
        pieces = [piece for chunk in chunks for piece in chunk.choices[0].delta.tool_calls or ()]
        assert [piece.index for piece in pieces] == [0, 0, 1, 1]
        assert [bool(piece.id) for piece in pieces] == [True, False, True, False]
        assert "".join(piece.function.arguments for piece in pieces[:2]) == CALL.arguments
        assert chunks[-1].choices[0].finish_reason == "tool_calls"


async def test_the_model_is_asked_what_the_client_asked(client: AsyncOpenAI, engines: Engines) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]},
    ]
    choice = {"type": "function", "function": {"name": "weather"}}
    await chat(client, messages, tools=[WEATHER], tool_choice=choice, temperature=0.3, seed=7, top_p=0.5, user="me")
    prompt = engines.language_model.prompts[-1]
    assert prompt.messages == (ChatMessage("system", "Be brief."), ChatMessage("user", "One\nTwo"))
    assert (prompt.tool_choice, prompt.temperature, prompt.tools[0].name) == ("weather", 0.3, "weather")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content"),
        ({"temperature": 9}, "temperature"),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "nothing"}}}, "tool_choice"),
    ],
)
async def test_what_cannot_be_done_is_said(wrong: dict[str, object], param: str, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await chat(client, **wrong)
    assert refused.value.param.startswith(param)
    assert refused.value.type == "invalid_request_error"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}, "Images"),
        ({"type": "image_url", "image_url": "https://example.org/a.png"}, "Images"),
        ({"type": "input_image", "file_id": "file_1"}, "Images"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "/v1/audio/transcriptions"),
        ({"type": "file", "file": {"file_id": "file_1"}}, "Files"),
        ({"type": "video_url", "video_url": {"url": "x"}}, "Videos"),
        ({"type": "poem"}, "'poem'"),
    ],
)
async def test_content_that_is_no_text_is_refused_by_what_it_is(part: dict[str, object], why: str, client: AsyncOpenAI) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "What is it?"}, part]}]
    with pytest.raises(BadRequestError, match=why) as refused:
        await chat(client, messages)
    assert (refused.value.code, refused.value.param) == ("unsupported_content_type", "messages[1].content[1].type")


@pytest.mark.parametrize("harmless", [{"n": 1}, {"logprobs": False}, {"logit_bias": {}}, {"modalities": ["text"]}, {"stop": None}])
async def test_what_asks_for_nothing_is_taken(harmless: dict[str, object], client: AsyncOpenAI) -> None:
    assert (await chat(client, **harmless)).choices[0].message.content == ANSWERS[0]


@pytest.mark.parametrize("stop", ["Seine", ["nowhere", "Seine", "country"]])
async def test_an_answer_ends_before_a_stop(stop: object, client: AsyncOpenAI) -> None:
    choice = (await chat(client, stop=stop)).choices[0]
    assert (choice.message.content, choice.finish_reason) == ("The capital of France is Paris. It lies on the ", "stop")


async def test_how_tokens_are_drawn_reaches_the_model(client: AsyncOpenAI, engines: Engines) -> None:
    await chat(client, seed=7, top_p=0.5, presence_penalty=1.0, frequency_penalty=-1.0)
    assert engines.language_model.prompts[-1].constraints == Constraints((), None, 0.5, 7, 1.0, -1.0)


class TestJson:
    @pytest.fixture
    def engines(self) -> Engines:
        return scripted('{"city": "Paris"}')

    @pytest.mark.parametrize(
        ("form", "schema"),
        [
            ({"type": "json_object"}, {"type": "object"}),
            ({"type": "json_schema", "json_schema": {"name": "place", "schema": PLACE, "strict": True}}, PLACE),
            ({"type": "text"}, None),
        ],
    )
    async def test_the_model_is_asked_for_the_schema(self, form: object, schema: object, client: AsyncOpenAI, engines: Engines) -> None:
        assert (await chat(client, response_format=form)).choices[0].message.content == '{"city": "Paris"}'
        assert engines.language_model.prompts[-1].constraints.schema == schema

    async def test_the_client_parses_it(self, client: AsyncOpenAI) -> None:
        class Place(BaseModel):
            city: str

        answer = await client.chat.completions.parse(model="small", messages=ASKED, response_format=Place)
        assert answer.choices[0].message.parsed == Place(city="Paris")

    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_model_that_cannot_says_so(self, stream: bool, client: AsyncOpenAI) -> None:
        await chat(client)
        with pytest.raises(BadRequestError) as refused:
            await chat(client, response_format={"type": "json_object"}, stream=stream)
        assert refused.value.code == "unsupported_value"


async def test_a_prompt_that_is_too_long_is_the_clients_to_shorten(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as refused:
        await chat(client, [{"role": "user", "content": "word " * 5000}], stream=True)
    assert refused.value.code == "context_length_exceeded"


class TestAModelThatFails:
    @pytest.fixture
    def engines(self) -> Engines:
        return scripted(("Half an", EngineFailed("out of memory")))

    async def test_ends_a_stream_with_an_error(self, client: AsyncOpenAI) -> None:
        heard = []
        with pytest.raises(APIError, match="out of memory"):
            async for chunk in await chat(client, stream=True):
                heard.append(chunk.choices[0].delta.content)
        assert "".join(heard) == "Half an"

    async def test_is_a_server_error_otherwise(self, client: AsyncOpenAI) -> None:
        with pytest.raises(InternalServerError) as failed:
            await chat(client)
        assert (failed.value.code, failed.value.type) == ("engine_failed", "server_error")


@pytest.mark.parametrize("answered", [{}, {"tool_call_id": "call_nobody"}, {"tool_call_id": "call_later"}])
async def test_a_result_without_its_call_is_refused_by_name(answered: dict, client: AsyncOpenAI) -> None:
    call = {"id": "call_later", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    called = {"role": "assistant", "tool_calls": [call]}
    with pytest.raises(BadRequestError) as refused:
        await chat(client, [*ASKED, {"role": "tool", "content": "rain", **answered}, called])
    assert refused.value.param == "messages[1].tool_call_id"
