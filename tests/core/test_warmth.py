"""What the language model may read while the user speaks."""

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.config import Config, ResponseRequest
from serve_app.core.items import Kind, Message, Part, Role
from serve_app.core.language import Tool
from tests.core.talk import Talk

BRIEF = Config(instructions="Be brief.", tools=(Tool("look_up", "", {}),))


def typed(text: str) -> ev.ItemCreated:
    return ev.ItemCreated(Message(text, Role.USER, [Part(Kind.INPUT_TEXT, text)]))


def test_what_is_read_at_the_start_of_speech_is_the_next_question_but_for_its_words() -> None:
    talk = Talk(BRIEF)
    talk.happens(typed("I am Anna."), ev.ResponseAsked(ResponseRequest()))
    talk.agent_answers("Hello Anna.", seconds=1.0)
    talk.happens(after=2.0)
    talk.user_says("What is my name?", seconds=1.0)
    read, asked = talk.commanded(cmd.WarmCache)[-1].prompt, talk.reply().prompt
    assert read.messages[:-1] == asked.messages[:-1] and len(read.messages) == 4
    assert read.messages[-1].role == asked.messages[-1].role == "user"
    assert (read.tools, read.tool_choice) == (asked.tools, asked.tool_choice)


def test_instructions_are_read_when_the_user_speaks_for_the_first_time() -> None:
    talk = Talk(BRIEF)
    talk.happens(ev.SpeechStarted(0.0))
    assert [message.content for message in talk.commanded(cmd.WarmCache)[0].prompt.messages] == ["Be brief.", "Hello."]


def test_the_same_is_not_read_twice() -> None:
    talk = Talk(BRIEF)
    talk.happens(ev.SpeechStarted(0.0), ev.ClearAsked(), ev.SpeechStarted(2.0))
    assert len(talk.commanded(cmd.WarmCache)) == 1
    talk.happens(ev.ClearAsked(), ev.Configured(Config(instructions="Be long.")), ev.SpeechStarted(4.0))
    assert len(talk.commanded(cmd.WarmCache)) == 2


def test_under_push_to_talk_it_is_read_with_the_first_audio() -> None:
    talk = Talk(Config(instructions="Be brief.", turn_taking=None))
    talk.happens(ev.BufferStarted(0.0))
    assert talk.commanded(cmd.WarmCache)


def test_an_answer_that_was_interrupted_is_read_as_far_as_it_was_heard() -> None:
    talk = Talk(BRIEF)
    talk.user_says("Count.")
    talk.model_writes("One two three four. ")
    talk.speaks(0, 2.0, complete=False)
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    *_, answer, _ = talk.commanded(cmd.WarmCache)[-1].prompt.messages
    assert answer.role == "assistant" and answer.content == "One two"


def test_speech_over_an_answer_is_waited_with_until_it_wants_the_floor() -> None:
    talk = Talk(BRIEF, barge_in_s=0.6)
    talk.user_says("Count.")
    talk.model_writes("One two three four. ")
    talk.speaks(0, 2.0, complete=False)
    before = len(talk.commanded(cmd.WarmCache))
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    assert len(talk.commanded(cmd.WarmCache)) == before
    talk.happens(ev.DeadlinePassed(), after=0.7)
    assert len(talk.commanded(cmd.WarmCache)) == before + 1


@pytest.mark.parametrize("config", [Config(), Config(instructions="Be brief.", responds=False)], ids=["nothing to read", "no answers"])
def test_nothing_is_read_where_it_is_of_no_use(config: Config) -> None:
    talk = Talk(config)
    talk.happens(ev.SpeechStarted(0.0))
    assert not talk.commanded(cmd.WarmCache)


def test_nothing_is_read_while_a_transcript_is_missing() -> None:
    talk = Talk(BRIEF)
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.5, 1.0))
    before = len(talk.commanded(cmd.WarmCache))
    talk.happens(ev.SpeechStarted(2.0))
    assert len(talk.commanded(cmd.WarmCache)) == before
