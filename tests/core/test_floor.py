"""Speech over an answer that may mean nothing."""

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.barge_in import GUESS_S, wants_the_floor
from serve_app.core.config import Config
from tests.core.talk import Talk

BARGE_IN_S = 0.6
LONG = "One two three four five six seven eight nine ten. "


def talking(answer: str = LONG, finished: bool = False) -> Talk:
    """The agent has sent 10 s of an answer."""
    talk = Talk(barge_in_s=BARGE_IN_S)
    talk.user_says("Count.")
    talk.model_writes(answer)
    if finished:
        talk.model_finishes()
    talk.speaks(0, 10.0)
    return talk


def sound(talk: Talk, text: str | None, lasts_s: float = 0.3) -> list[cmd.Command]:
    """Speech over the answer, with a guess of its text in the pause after it where there is one. Gives what is done from its start."""
    before = len(talk.commands)
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    talk.happens(ev.SpeechPaused(20.0 + lasts_s, 20.2 + lasts_s, eager=False), after=lasts_s + 0.2)
    if text is not None:
        guess = talk.commanded(cmd.GuessTranscript)[-1]
        talk.happens(ev.TranscriptGuessed(guess.item_id, text, guess.at_s, 0.5), after=0.1)
    talk.happens(ev.SpeechStopped(20.5 + lasts_s, 20.0 + lasts_s), after=0.2)
    return talk.commands[before:]


def tells(commands: list[cmd.Command]) -> list[object]:
    return [command.what for command in commands if isinstance(command, cmd.Tell)]


@pytest.mark.parametrize("text", ["", "Mm-hm.", "Yeah, right.", "Uh-huh"])
@pytest.mark.parametrize("finished", [False, True])
def test_a_cough_or_a_sign_of_listening_never_happened(text: str, finished: bool) -> None:
    talk = talking(finished=finished)
    done = sound(talk, text)
    assert tells(done) == []
    assert [type(command) for command in done] == [
        cmd.BeginUtterance, cmd.HoldAudio, cmd.GuessTranscript, cmd.DropUtterance, cmd.ResumeAudio, cmd.ForgetBuffer
    ]  # fmt: skip
    assert [role for role, _ in talk.next_prompt()] == ["user", "assistant", "user"]


@pytest.mark.parametrize("text", ["Stop.", "No.", "Okay, and then what?", "right right right right"])
def test_a_word_in_the_pause_ends_the_answer(text: str) -> None:
    talk = talking()
    sound(talk, text)
    assert talk.status() == ("cancelled", "turn_detected")
    assert talk.told(told.UtteranceStarted)[-1].start_s == 20.0
    assert len(talk.told(told.UtteranceCommitted)) == 2


def test_what_is_said_is_held_until_it_is_decided_and_told_from_then_on() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    assert talk.commands[-1] == cmd.HoldAudio()
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    assert talk.happens(ev.TranscriptGrew(item_id, "Okay")) == []
    done = talk.happens(ev.TranscriptGrew(item_id, "Okay wait"), after=0.2)
    assert [type(what) for what in tells(done)][:1] == [told.UtteranceStarted]
    assert told.TranscriptDelta(item_id, "Okay wait", 0) in tells(done)
    assert cmd.ResumeAudio() in done and talk.status() == ("cancelled", "turn_detected")


def test_speech_that_lasts_ends_the_answer_without_a_word() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    assert talk.conversation.deadline == talk.now + BARGE_IN_S
    talk.happens(ev.DeadlinePassed(), after=BARGE_IN_S)
    assert talk.status() == ("cancelled", "turn_detected")
    assert talk.next_prompt()[1] == ("assistant", "One two")


def test_a_pause_stops_the_clock_and_going_on_starts_it_again() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    talk.happens(ev.SpeechPaused(20.3, 20.5, eager=False), after=0.5)
    assert talk.conversation.deadline is None
    talk.happens(ev.SpeechResumed(), after=0.2)
    talk.happens(ev.DeadlinePassed(), after=BARGE_IN_S)
    assert talk.status() == ("cancelled", "turn_detected")


def test_without_a_guess_the_utterance_counts_when_it_was_waited_for() -> None:
    talk = talking()
    assert tells(sound(talk, None)) == []
    assert talk.conversation.deadline == talk.now + GUESS_S
    talk.happens(ev.DeadlinePassed(), after=GUESS_S)
    assert talk.status() == ("cancelled", "turn_detected")
    assert_told_in_pairs(talk)


def late_guess(talk: Talk, text: str) -> list[cmd.Command]:
    """A sound over the answer, whose text comes after its end: the recogniser is busy."""
    sound(talk, None)
    asked = talk.commanded(cmd.GuessTranscript)[-1]
    return talk.happens(ev.TranscriptGuessed(asked.item_id, text, asked.at_s, 0.5), after=0.4)


def assert_told_in_pairs(talk: Talk) -> None:
    started, stopped, committed = (
        [what.item_id for what in talk.told(kind)] for kind in (told.UtteranceStarted, told.UtteranceStopped, told.UtteranceCommitted)
    )
    assert started == stopped == committed


@pytest.mark.parametrize("text", ["", "Mm-hm."])
def test_a_cough_whose_guess_is_late_never_happened(text: str) -> None:
    talk = talking()
    done = late_guess(talk, text)
    assert [type(command) for command in done] == [cmd.DropUtterance, cmd.ResumeAudio, cmd.ForgetBuffer]
    assert not talk.told(told.ResponseDone)
    assert_told_in_pairs(talk)


def test_a_word_whose_guess_is_late_interrupts_and_is_answered() -> None:
    talk = talking()
    late_guess(talk, "Stop.")
    assert talk.status() == ("cancelled", "turn_detected")
    assert_told_in_pairs(talk)
    assert [message.content for message in talk.reply().prompt.messages][-1] == "Stop."


def test_who_speaks_again_before_the_guess_is_there_goes_on() -> None:
    talk = talking()
    sound(talk, None)
    stale = talk.commanded(cmd.GuessTranscript)[-1]
    assert tells(talk.happens(ev.SpeechStarted(21.2), after=0.3)) == []
    assert tells(talk.happens(ev.TranscriptGuessed(stale.item_id, "", stale.at_s, 0.5), after=0.1)) == []
    talk.happens(ev.SpeechPaused(21.6, 21.8, eager=True), after=0.1)
    guess = talk.commanded(cmd.GuessTranscript)[-1]
    talk.happens(ev.SpeechStopped(22.1, 21.6), after=0.3)
    talk.happens(ev.TranscriptGuessed(guess.item_id, "Stop.", guess.at_s, 1.5), after=0.1)
    assert talk.status() == ("cancelled", "turn_detected")
    assert len(talk.commanded(cmd.BeginUtterance)) == 2 and len(talk.told(told.UtteranceCommitted)) == 2
    assert_told_in_pairs(talk)
    assert [message.content for message in talk.reply().prompt.messages][-1] == "Stop."


def test_an_utterance_that_is_over_does_not_end_again_while_its_guess_is_awaited() -> None:
    talk = talking()
    sound(talk, None)
    before = len(talk.commands)
    talk.happens(ev.SpeechStopped(21.5, 21.0), after=0.1)
    assert talk.commands[before:] == []


@pytest.mark.parametrize("event", [ev.CommitAsked(1.0), ev.ClearAsked(), ev.Configured(Config(turn_taking=None))])
def test_a_client_that_decides_while_the_guess_is_awaited_leaves_pairs(event: ev.Event) -> None:
    talk = talking()
    sound(talk, None)
    talk.happens(event, after=0.1)
    assert_told_in_pairs(talk)
    assert talk.commands.count(cmd.HoldAudio()) == talk.commands.count(cmd.ResumeAudio())


def ended(answer: str, seconds: float = 4.0, echo: bool = False) -> Talk:
    """The agent has sent all of an answer."""
    talk = Talk(barge_in_s=BARGE_IN_S, echo=echo)
    talk.user_says("Hello.")
    talk.agent_answers(answer, seconds)
    return talk


def over_the_end(talk: Talk, text: str, before_s: float, lasts_s: float = 0.3) -> list[cmd.Command]:
    """Speech that begins so long before the end of what was sent, noticed 0.1 s later."""
    left_s = talk.conversation.memory.playback.ahead_s(talk.now) - before_s
    before = len(talk.commands)
    talk.happens(ev.SpeechStarted(20.0 - 0.3), after=left_s + 0.1)
    talk.happens(ev.SpeechPaused(20.0 + lasts_s, 20.2 + lasts_s, eager=True), after=lasts_s + 0.1)
    guess = talk.commanded(cmd.GuessTranscript)[-1]
    talk.happens(ev.TranscriptGuessed(guess.item_id, text, guess.at_s, 0.5), after=0.1)
    talk.happens(ev.SpeechStopped(20.5 + lasts_s, 20.0 + lasts_s), after=0.2)
    return talk.commands[before:]


REPLIES = ["Yes.", "Sure.", "Okay.", "No.", "Mm-hm.", "Yeah, right.", "Oh yes, okay."]


@pytest.mark.parametrize("text", REPLIES)
@pytest.mark.parametrize("before_s", [0.7, 0.5, 0.3, 0.05])
def test_what_is_said_over_the_end_of_an_answer_is_a_turn(text: str, before_s: float) -> None:
    talk = ended("Please tell me when you are ready to start.")
    over_the_end(talk, text, before_s)
    assert len(talk.told(told.UtteranceCommitted)) == 2
    assert_told_in_pairs(talk)
    assert [message.content for message in talk.reply().prompt.messages][-1] == text


@pytest.mark.parametrize("text", ["Mm-hm.", "Yeah, right.", "Okay."])
@pytest.mark.parametrize("before_s", [3.0, 1.5])
def test_a_sign_of_listening_well_before_the_end_still_never_happened(text: str, before_s: float) -> None:
    talk = ended("Please tell me when you are ready to start.")
    assert tells(over_the_end(talk, text, before_s)) == []


def test_a_sign_of_listening_over_a_gap_in_an_answer_that_goes_on_never_happened() -> None:
    """What was sent ends, and the answer does not."""
    talk = Talk(barge_in_s=BARGE_IN_S)
    talk.user_says("Hello.")
    talk.model_writes(LONG, "And there is more to come, much more")
    talk.speaks(0, 2.0)
    assert tells(over_the_end(talk, "Okay.", 0.3)) == []


def test_an_answer_that_is_complete_while_somebody_speaks_over_its_end_is_replied_to() -> None:
    talk = Talk(barge_in_s=BARGE_IN_S)
    talk.user_says("Hello.")
    talk.model_writes("Tell me when you are ready. ")
    talk.speaks(0, 2.0)
    talk.happens(ev.SpeechStarted(20.0), after=1.8)
    talk.happens(ev.SpeechPaused(20.4, 20.6, eager=True), after=0.3)
    guess = talk.commanded(cmd.GuessTranscript)[-1]
    assert tells(talk.happens(ev.TranscriptGuessed(guess.item_id, "Yes.", guess.at_s, 0.5), after=0.1)) == []
    talk.model_finishes()
    talk.happens(ev.SpeechStopped(20.9, 20.4), after=0.2)
    assert len(talk.told(told.UtteranceCommitted)) == 2
    assert_told_in_pairs(talk)


def test_a_cough_over_the_end_never_happened() -> None:
    assert tells(over_the_end(ended("Please tell me when you are ready to start."), "", 0.3)) == []


def test_a_reply_over_the_end_is_answered_by_a_draft() -> None:
    talk = ended("Please tell me when you are ready to start.")
    done = over_the_end(talk, "Yes.", 0.4)
    assert [command.held for command in done if isinstance(command, cmd.StartReply)] == [True]
    assert talk.told(told.ResponseCreated)[-1].response.status == "in_progress"


def test_a_yes_to_a_question_is_no_sign_of_listening() -> None:
    talk = talking("Shall I go on? I can count to twenty if you like. ")
    sound(talk, "Yes.")
    assert talk.status() == ("cancelled", "turn_detected")


def test_before_anything_is_heard_speech_ends_the_answer_at_once() -> None:
    talk = Talk(barge_in_s=BARGE_IN_S)
    talk.user_says("Count.")
    talk.model_writes("One")
    talk.happens(ev.SpeechStarted(20.0), after=0.5)
    assert talk.status() == ("cancelled", "turn_detected") and not talk.commanded(cmd.HoldAudio)


@pytest.mark.parametrize("event", [ev.CommitAsked(1.0), ev.ClearAsked()])
def test_a_client_that_decides_by_itself_lets_the_audio_flow(event: ev.Event) -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    talk.happens(event)
    assert len(talk.commanded(cmd.ResumeAudio)) == 1
    assert bool(talk.told(told.ResponseDone)) is isinstance(event, ev.CommitAsked)


@pytest.mark.parametrize(("text", "asked", "wants"), [("mm-hm", True, True), ("", True, False), ("Mhm, yeah.", False, False)])
def test_words(text: str, asked: bool, wants: bool) -> None:
    assert wants_the_floor(text, asked) is wants
