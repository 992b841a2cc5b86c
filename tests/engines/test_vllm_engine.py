"""What the adapter of vLLM decides, without a model: a generator stands for vLLM."""

from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from deployments.engines.chat_prompt import ChatPrompt
from deployments.engines.vllm_engine import VllmLanguageModel
from serve_app.engines import ChatMessage, Constraints, Prompt, ReplyEnd, TextDelta, Tool, ToolCall, ToolCallDelta
from tests.engines.families import tokenizer

pytestmark = [
    pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed"),
    # Of libraries that are imported: vLLM, torch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

WEATHER = Tool("get_weather", "The weather in a city", {"type": "object"})
MARKUP = '<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>'
WITH_RESULT = (
    ChatMessage("user", "How warm is it in Rome?"),
    ChatMessage("assistant", "", (ToolCall("call_1", "get_weather", '{"city": "Rome"}'),)),
    ChatMessage("tool", "30 degrees", call_id="call_1"),
)


def test_room_for_the_reply_is_a_share_of_the_context_that_the_engine_has():
    """A `max_model_len` among the engine's arguments wins over the option."""
    model = VllmLanguageModel(max_model_len=2048, max_tokens=512, engine_args={"max_model_len": 400})
    assert model._arguments("folder", on_cpu=False)["max_model_len"] == 400
    assert model._reply_room(Prompt((ChatMessage("user", "Hi"),)), 400) == 100
    assert model._reply_room(Prompt((ChatMessage("user", "Hi"),), max_tokens=20), 400) == 20


class Written(VllmLanguageModel):
    """vLLM whose replies are written already, in pieces of some characters; each piece is a token."""

    def __init__(self, family, *replies, size=3):
        super().__init__()
        self._engine, self._chat = object(), ChatPrompt(tokenizer(family), 10_000)
        self.replies, self.size = list(replies), size
        self.asked, self.stopped_after, self.closed = [], None, False

    async def _generate(self, prompt, chat, tokens, words_only):
        self.asked.append((text_of(chat, tokens), words_only))
        written = self.replies.pop(0)
        pieces = [written[at : at + self.size] for at in range(0, len(written), self.size)]
        try:
            for number, piece in enumerate(pieces, 1):
                self.stopped_after = number
                finish = "stop" if number == len(pieces) else None
                yield SimpleNamespace(outputs=[SimpleNamespace(text=piece, token_ids=[number], finish_reason=finish)], num_cached_tokens=0)
        finally:
            self.closed = True


def text_of(chat, tokens):
    return chat._tokenizer.decode(tokens)


async def answer(model, prompt):
    pieces = [piece async for piece in model.reply(prompt)]
    *said, end = pieces
    assert isinstance(end, ReplyEnd)
    return "".join(piece.text for piece in said if isinstance(piece, TextDelta)), [p for p in said if isinstance(p, ToolCallDelta)], end


async def test_a_model_that_thinks_in_spite_of_everything_is_not_heard_thinking():
    model = Written("chatml", "<think>The user wants the time.</think>\n\nIt is noon.")
    assert (await answer(model, Prompt((ChatMessage("user", "Hi"),))))[0] == "It is noon."


async def test_a_thought_that_the_template_opens_is_not_said():
    model = Written("chatml", "The user wants the time.</think>\n\nIt is noon.")
    model._chat.opens_thought = lambda tokens: True
    assert (await answer(model, Prompt((ChatMessage("user", "Hi"),))))[0] == "It is noon."


@pytest.mark.parametrize("prompt", [Prompt(WITH_RESULT, (WEATHER,), "none"), Prompt(WITH_RESULT)])
async def test_where_no_tool_may_be_called_the_model_reads_of_earlier_calls_in_words_and_may_write_no_markup(prompt):
    model = Written("chatml", "It is 30 degrees.")
    assert (await answer(model, prompt))[0] == "It is 30 degrees."
    ((text, words_only),) = model.asked
    assert words_only and "<tool_call>" not in text and "The result of get_weather is: 30 degrees" in text


async def test_a_template_that_knows_tools_shows_earlier_calls_in_its_own_way():
    model = Written("qwen", "It is 30 degrees.")
    await answer(model, Prompt(WITH_RESULT, (WEATHER,), "none"))
    ((text, words_only),) = model.asked
    assert words_only and "<tool_call>" in text and "<tool_response>" in text
    assert "<tool_call>" in model._chat.markup and not model._chat.special_markup


async def test_a_reply_of_nothing_but_broken_markup_is_written_again_in_words():
    model = Written("chatml", "<tool_call>get the weather</tool_call>", "It is warm.")
    text, calls, end = await answer(model, Prompt((ChatMessage("user", "Hi"),), (WEATHER,)))
    assert (text, calls, [words_only for _, words_only in model.asked]) == ("It is warm.", [], [False, True])
    assert end.reply_tokens == 13 + 4, "both were written"


async def test_calls_are_made_where_they_may_be():
    text, calls, _ = await answer(Written("chatml", MARKUP), Prompt((ChatMessage("user", "Hi"),), (WEATHER,)))
    assert text == "" and [(call.name, call.arguments) for call in calls] == [("get_weather", '{"city": "Rome"}')]


async def test_a_loop_ends_and_the_engine_is_stopped():
    model = Written("chatml", "The sailor sat by the sea and thought of his love. " * 40, size=10)
    text, _, end = await answer(model, Prompt((ChatMessage("user", "A story"),)))
    assert text.count("The sailor") == 2
    assert (end.finish, end.looped, end.reply_tokens) == ("stop", True, model.stopped_after) and model.stopped_after < 60 and model.closed


async def test_a_reply_ends_with_its_sentence_once_it_has_its_tokens():
    model = Written("chatml", "One two three four. Five six seven. Eight nine ten eleven. Twelve.", size=5)
    text, _, end = await answer(model, Prompt((ChatMessage("user", "Count"),), max_tokens=20, ends_after_tokens=5))
    assert (text, end.finish, end.looped) == ("One two three four. Five six seven.", "length", False)


class Asked:
    """vLLM's engine as far as asking goes: what it was asked is kept."""

    def __init__(self, **generation_config):
        self.model_config = SimpleNamespace(get_diff_sampling_param=lambda: generation_config)
        self.sampling = None

    def generate(self, tokens, sampling, name):
        self.sampling = sampling


def sampling_of(prompt, generation_config=None, words_only=False, **options):
    model = VllmLanguageModel(**options)
    model._engine = Asked(**(generation_config or {}))
    model._generate(prompt, ChatPrompt(tokenizer("qwen"), 1000), [1, 2, 3], words_only)
    return model._engine.sampling


HELLO = Prompt((ChatMessage("user", "Hi"),))


def test_a_model_without_advice_is_kept_from_repeating_itself():
    assert (sampling_of(HELLO).frequency_penalty, sampling_of(HELLO).temperature) == (0.3, 0.0)


def test_a_models_own_advice_holds_and_the_operators_wins_over_it_and_the_clients_over_both():
    advice = {"temperature": 0.7, "repetition_penalty": 1.05}
    own = sampling_of(HELLO, advice)
    assert (own.frequency_penalty, own.repetition_penalty, own.temperature) == (0.0, 1.05, 0.7)
    operators = sampling_of(HELLO, advice, sampling={"repetition_penalty": 1.2, "min_p": 0.1})
    assert (operators.repetition_penalty, operators.min_p) == (1.2, 0.1)
    asked = replace(HELLO, constraints=Constraints(frequency_penalty=1.0))
    assert sampling_of(asked, sampling={"frequency_penalty": 0.5}).frequency_penalty == 1.0


def test_json_may_repeat_its_signs():
    assert sampling_of(replace(HELLO, constraints=Constraints(schema={"type": "object"}))).frequency_penalty == 0.0


def test_markup_is_forbidden_where_only_words_are_wanted():
    banned = sampling_of(HELLO, words_only=True).bad_words
    assert {"<tool_call>", "<think>", "<tool"} <= set(banned) and "</think>" not in banned
    assert not sampling_of(HELLO).bad_words
