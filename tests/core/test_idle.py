"""Silence after an answer becomes a turn, and does not for ever."""

import pytest

from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, ResponseRequest, ServerVad
from serve_app.core.items import Kind, Message, Part, Role
from serve_app.core.moments import MOST_PROMPTS
from tests.core.talk import Talk


def left_alone() -> Talk:
    """After an answer nobody says anything, until the agent stops asking."""
    talk = Talk(Config(turn_taking=ServerVad(idle_timeout_s=5.0)))
    talk.user_says("Hello.")
    talk.agent_answers("Hello there.")
    assert waits_on(talk) == MOST_PROMPTS
    return talk


def waits_on(talk: Talk) -> int:
    """How often silence becomes a turn from here on, each of them answered."""
    before = len(talk.told(told.IdleTimedOut))
    while talk.conversation.deadline is not None:
        assert len(talk.told(told.IdleTimedOut)) - before < 10, "it asks for ever"
        talk.happens(ev.DeadlinePassed(talk.now), after=talk.conversation.deadline - talk.now)
        talk.agent_answers("Are you still there?")
    return len(talk.told(told.IdleTimedOut)) - before


def typed(role: Role) -> ev.ItemCreated:
    return ev.ItemCreated(Message("typed", role, [Part(Kind.INPUT_TEXT, "I am here.")]))


def test_after_a_few_silences_nobody_is_taken_to_be_there() -> None:
    talk = left_alone()
    talk.happens(ev.DeadlinePassed(1e6), after=1e6)
    assert len(talk.told(told.IdleTimedOut)) == MOST_PROMPTS and talk.conversation.deadline is None


def test_when_the_user_says_something_silence_counts_anew() -> None:
    talk = left_alone()
    talk.user_says("I am back.")
    talk.agent_answers("Good.")
    assert waits_on(talk) == MOST_PROMPTS


def test_a_word_between_two_silences_counts_too() -> None:
    talk = Talk(Config(turn_taking=ServerVad(idle_timeout_s=5.0)))
    talk.user_says("Hello.")
    talk.agent_answers("Hello there.")
    talk.happens(ev.DeadlinePassed(talk.now), after=6.0)
    talk.agent_answers("Are you still there?")
    talk.user_says("Yes.")
    talk.agent_answers("Good.")
    assert waits_on(talk) == MOST_PROMPTS


def test_a_noise_without_words_is_nobody() -> None:
    talk = left_alone()
    talk.user_says("")
    assert waits_on(talk) == 0


def test_a_typed_message_counts_as_said_and_silence_from_there() -> None:
    talk = left_alone()
    talk.happens(typed(Role.USER), after=60.0)
    assert talk.conversation.deadline == talk.now + 5.0, "there is time for the response that the client asks for next"
    talk.happens(ev.ResponseAsked(ResponseRequest()))
    talk.agent_answers("Good.")
    assert waits_on(talk) == MOST_PROMPTS


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.ASSISTANT])
def test_what_the_client_itself_adds_is_not_the_user(role: Role) -> None:
    talk = left_alone()
    talk.happens(typed(role), after=60.0)
    assert waits_on(talk) == 0
