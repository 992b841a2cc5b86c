"""A server that is taken away lets its sessions go at a quiet moment."""

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.config import Config
from serve_app.core.items import FunctionCallOutput, Kind, Message, Part, Role
from serve_app.core.moments import QUIET_S
from tests.core.talk import Talk

NEVER = 1000.0


def left(talk: Talk) -> bool:
    return any(command.code == 1012 for command in talk.commanded(cmd.HangUp))


def the_clock_strikes(talk: Talk) -> float:
    """The deadline passes. Returns how long it was away."""
    deadline = talk.conversation.deadline
    assert deadline is not None
    away = deadline - talk.now
    talk.happens(ev.DeadlinePassed(), after=max(0.0, away))
    return away


def test_a_silent_session_leaves_after_a_moment() -> None:
    talk = Talk()
    talk.happens(ev.LeaveAsked(NEVER))
    assert the_clock_strikes(talk) == QUIET_S
    assert left(talk) and talk.conversation.deadline is None


def test_nobody_is_asked_to_leave_without_a_reason() -> None:
    talk = Talk()
    talk.user_says("Hello.")
    talk.agent_answers("Hi.")
    assert talk.conversation.deadline is None


def test_who_speaks_is_answered_and_the_answer_is_played_to_its_end() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0))
    talk.happens(ev.LeaveAsked(NEVER))
    assert talk.conversation.deadline == NEVER
    talk.user_says("Count.")
    talk.model_writes("One two three.")
    talk.model_finishes()
    talk.speaks(0, 5.0)
    assert talk.status() == ("completed", None)
    assert the_clock_strikes(talk) == pytest.approx(5.0 + QUIET_S)
    assert left(talk)


def test_an_utterance_without_its_text_is_waited_for() -> None:
    talk = Talk(Config(turn_taking=None))
    talk.happens(ev.BufferStarted(0.0), ev.CommitAsked(1.0), ev.LeaveAsked(NEVER))
    assert talk.conversation.deadline == NEVER
    item_id = talk.told_last_item()
    talk.happens(ev.TranscriptFinished(item_id, "Hello.", 1.0))
    assert the_clock_strikes(talk) == QUIET_S and left(talk)


def test_a_call_waits_for_its_result_and_the_answer_to_it() -> None:
    talk = Talk()
    talk.user_says("Weather?")
    talk.happens(ev.ReplyToolCall(talk.reply().response_id, 0, "get_weather", "{}"))
    talk.model_finishes()
    talk.happens(ev.LeaveAsked(NEVER))
    assert talk.conversation.deadline == NEVER
    call = talk.conversation.memory.history.last
    talk.happens(ev.ItemCreated(FunctionCallOutput("result", call.call_id, "fog")))
    assert the_clock_strikes(talk) == QUIET_S and left(talk)


def test_what_a_client_says_within_the_moment_is_taken() -> None:
    talk = Talk()
    talk.happens(ev.LeaveAsked(NEVER))
    talk.happens(ev.ItemCreated(Message("hi", Role.USER, [Part(Kind.INPUT_TEXT, "Hi.")])), ev.SpeechStarted(0.1), after=QUIET_S / 2)
    talk.happens(ev.DeadlinePassed(), after=QUIET_S / 2)
    assert not left(talk) and talk.conversation.deadline == NEVER


def test_who_never_pauses_leaves_at_the_latest_moment() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.LeaveAsked(30.0))
    assert the_clock_strikes(talk) == 30.0
    assert left(talk)


def test_a_connection_that_is_gone_stops_the_answer_and_keeps_what_was_sent() -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.model_writes("One two three four. And five. ", "And")
    talk.speaks(0, 4.0)
    talk.happens(ev.Parted(), after=2.0)
    assert cmd.StopReply(talk.reply().response_id) in talk.commands
    assert [item.heard for item in talk.conversation.memory.kept() if item.role is Role.ASSISTANT] == ["One two three four."]


def test_what_is_kept_has_words_and_an_end() -> None:
    talk = Talk()
    said = talk.user_says("Count.")
    talk.model_writes("One two three four. ", "And")
    talk.speaks(0, 4.0)
    talk.happens(ev.SpeechStarted(9.0))
    talk.happens(ev.SpeechStopped(10.0, 9.5))
    kept = list(talk.conversation.memory.kept())[::-1]
    assert kept[0].id == said and len(kept) == 2, "what was said last has no text yet"


def test_of_an_answer_that_is_being_made_what_was_sent_is_kept() -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.model_writes("One two three four. ", "And")
    talk.speaks(0, 4.0)
    newest = next(iter(talk.conversation.memory.kept()))
    assert newest.heard == "One two three four."
