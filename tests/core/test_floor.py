"""Speech over an answer that may mean nothing."""

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.barge_in import wants_the_floor
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


def test_without_a_guess_the_utterance_counts_when_it_ends() -> None:
    talk = talking()
    sound(talk, None)
    assert talk.status() == ("cancelled", "turn_detected")


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
