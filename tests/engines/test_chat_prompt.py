"""What a conversation becomes before the model sees it. A token is a character here."""

import pytest

from deployments.engines.chat_prompt import ChatPrompt, told_in_words
from serve_app.engines import ChatMessage, Prompt, Tool, ToolCall
from serve_app.errors import EngineFailed, PromptTooLong

WEATHER = Tool("get_weather", "The weather in a city", {"type": "object"})


class Characters:
    """A tokenizer whose template writes `role:content;` for each message."""

    def __init__(self, chat_template="{{ messages }}"):
        self.chat_template = chat_template
        self.seen = None

    def apply_chat_template(self, messages, add_generation_prompt, return_dict, enable_thinking, tools=None):
        assert add_generation_prompt and not return_dict and not enable_thinking
        self.seen = messages, tools
        if messages[-1]["role"] == "refused":
            raise ValueError("roles must alternate")
        return [ord(char) for message in messages for char in f"{message['role'][0]}:{message['content']};"]


def written(messages, context=10_000, reply=0, tokenizer=None, **prompt):
    said = tuple(ChatMessage(*message) if isinstance(message, tuple) else message for message in messages)
    tokens = ChatPrompt(tokenizer or Characters(), context).tokens(Prompt(said, **prompt), reply)
    return "".join(map(chr, tokens))


TALK = [("system", "Be kind."), ("user", "One"), ("assistant", "Two"), ("user", "Three"), ("assistant", "Four"), ("user", "Five")]


def test_a_conversation_that_fits_is_written_in_full():
    assert written(TALK, context=52, reply=0) == "s:Be kind.;u:One;a:Two;u:Three;a:Four;u:Five;"


@pytest.mark.parametrize(
    ("context", "kept"), [(44, "u:Three;a:Four;u:Five;"), (33, "u:Three;a:Four;u:Five;"), (32, "u:Five;"), (18, "u:Five;")]
)
def test_the_oldest_turns_go_first_and_the_system_message_stays(context, kept):
    assert written(TALK, context=context) == "s:Be kind.;" + kept


def test_room_is_kept_for_the_reply():
    assert written(TALK, context=45 + 4, reply=5) == "s:Be kind.;u:Three;a:Four;u:Five;"


def test_a_last_turn_that_does_not_fit_is_an_error():
    with pytest.raises(PromptTooLong, match="the 16 tokens"):
        written(TALK, context=17, reply=1)


def test_a_template_that_takes_tools_is_given_them():
    tokenizer = Characters("{{ tools }}")
    call = ChatMessage("assistant", "", (ToolCall("call_1", "get_weather", '{"city": "Rome"}'),))
    written([("user", "Hi"), call, ChatMessage("tool", "Sunny", call_id="call_1")], tokenizer=tokenizer, tools=(WEATHER,))
    messages, tools = tokenizer.seen
    assert tools[0]["function"]["name"] == "get_weather"
    assert messages[1]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": {"city": "Rome"}}
    assert messages[2] == {"role": "tool", "content": "Sunny", "tool_call_id": "call_1"}


def test_a_template_without_tools_has_them_in_its_system_message():
    text = written(TALK, tools=(WEATHER,))
    assert text.startswith("s:Be kind.") and '"get_weather"' in text and "<tool_call>" in text


def test_tools_are_said_also_where_there_is_no_system_message():
    assert '"get_weather"' in written([("user", "Hi")], tools=(WEATHER,))


def test_earlier_calls_are_shown_in_the_form_in_which_they_are_asked_for():
    call = ChatMessage("assistant", "Wait.", (ToolCall("call_1", "get_weather", '{"city": "Rome"}'),))
    assert 'a:Wait.\n<tool_call>{"name": "get_weather", "arguments": {"city": "Rome"}}</tool_call>;' in written([("user", "Hi"), call])


def test_tools_that_must_not_be_called_are_not_mentioned():
    assert "get_weather" not in written(TALK, tools=(WEATHER,), tool_choice="none")


def test_a_template_that_refuses_is_an_error_of_ours():
    """It names the roles, which the client can change, and not the template's own words."""
    with pytest.raises(EngineFailed, match=r"messages are of \(user, refused\)") as told:
        written([("user", "Hi"), ("refused", "Hi")])
    assert "roles must alternate" not in str(told.value)


class UserFirst(Characters):
    """A template that wants the user's words first, as some do."""

    def apply_chat_template(self, messages, **how):
        said = [message["role"] for message in messages if message["role"] != "system"]
        if said[:1] != ["user"]:
            raise IndexError("No user query found in messages.")
        return super().apply_chat_template(messages, **how)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ([("system", "Greet him.")], "s:Greet him.;u:Hello.;"),
        ([("assistant", "Hi.")], "u:Hello.;a:Hi.;"),
        ([("system", "Greet him."), ("assistant", "Hi.")], "s:Greet him.;u:Hello.;a:Hi.;"),
    ],
)
def test_an_agent_may_speak_first_although_the_template_wants_the_user_to_begin(said, read):
    assert written(said, tokenizer=UserFirst()) == read
    assert written(said) == read.replace("u:Hello.;", "")


@pytest.mark.parametrize(
    ("result", "told"),
    [
        ("Sunny", "Sunny"),
        ('{"degrees": 30, "sky": "blue", "wind": null}', "degrees: 30, sky: blue, wind: null"),
        ('{"days": [1, 2]}', '{"days": [1, 2]}'),
        ("[1, 2]", "[1, 2]"),
    ],
)
def test_calls_and_results_can_be_told_in_words(result, told):
    call = ChatMessage("assistant", "", (ToolCall("call_1", "get_weather", '{"city": "Rome"}'),))
    messages = (ChatMessage("user", "Rain?"), call, ChatMessage("tool", result, call_id="call_1"), ChatMessage("user", "So?"))
    assert told_in_words(Prompt(messages, (WEATHER,), "none")) == Prompt(
        (ChatMessage("user", f"Rain?\nThe result of get_weather is: {told}\nSo?"),)
    )


def test_what_was_said_with_a_call_stays():
    call = ChatMessage("assistant", "Let me see.", (ToolCall("call_1", "get_weather", "{}"),))
    said = told_in_words(Prompt((ChatMessage("user", "Rain?"), call)))
    assert said.messages == (ChatMessage("user", "Rain?"), ChatMessage("assistant", "Let me see."))
