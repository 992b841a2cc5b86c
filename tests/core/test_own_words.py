"""The agent's own words, come back through a loudspeaker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.language import Word
from serve_app.core.own_words import own_words
from serve_app.core.truncation import SpokenAudio
from tests.core.talk import Talk

SAID = "The capital of France is Paris, and it lies on the river Seine. "
letters = st.text("abcdefghijklm", min_size=1, max_size=9)
others = st.text("nopqrstuvwxyz", min_size=1, max_size=9)


def talking(echo: bool = True) -> Talk:
    """The agent has sent 4 s of an answer, of which 2 s were played when somebody is heard."""
    talk = Talk(barge_in_s=0.6, echo=echo)
    talk.user_says("What is the capital of France?")
    talk.model_writes(SAID, "There is more to come, much more")
    talk.speaks(0, 4.0)
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    return talk


def utterance(talk: Talk) -> str:
    return talk.commanded(cmd.BeginUtterance)[-1].item_id


def guess(talk: Talk, text: str) -> list[cmd.Command]:
    """In the pause after what was said."""
    talk.happens(ev.SpeechPaused(20.4, 20.6, eager=True), after=0.5)
    asked = talk.commanded(cmd.GuessTranscript)[-1]
    return talk.happens(ev.TranscriptGuessed(asked.item_id, text, asked.at_s, 0.5), after=0.1)


@given(st.lists(letters, min_size=1, max_size=20), st.data())
def test_a_part_of_what_was_said_is_the_agents_own(said: list[str], data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(said) - 1))
    end = data.draw(st.integers(begin + 1, len(said)))
    assert own_words(" ".join(said[begin:end]).capitalize() + "?", " ".join(said))


@given(st.lists(letters, max_size=20), st.lists(others, min_size=1, max_size=8))
def test_other_words_never_are(said: list[str], heard: list[str]) -> None:
    assert not own_words(" ".join(heard), " ".join(said))


@given(st.lists(letters, min_size=8, max_size=12), st.data())
def test_one_wrong_letter_in_a_sentence_changes_nothing(said: list[str], data: st.DataObject) -> None:
    heard = list(" ".join(said))
    heard[data.draw(st.sampled_from([at for at, letter in enumerate(heard) if letter != " "]))] = "z"
    assert own_words("".join(heard), " ".join(said))


@pytest.mark.parametrize("heard", ["Capitol of France is Paris", "the river sane", "it lies on the riversane"])
def test_a_recognisers_errors_do_not_make_them_the_users(heard: str) -> None:
    assert own_words(heard, SAID)


@pytest.mark.parametrize("heard", ["", "Stop.", "Is it large?", "The capital of Spain, I meant", "lies"[:3], "Wait, Paris"])
def test_what_the_user_says_about_it_is_not(heard: str) -> None:
    assert not own_words(heard, SAID)


def test_own_words_in_a_pause_never_happened_and_the_answer_goes_on() -> None:
    talk = talking()
    done = guess(talk, "Capitol of France")
    assert [type(one) for one in done] == [cmd.DropUtterance, cmd.ResumeAudio, cmd.ForgetBuffer]
    assert not talk.told(told.ResponseDone) and len(talk.told(told.UtteranceStarted)) == 1
    assert not any(reply.held for reply in talk.commanded(cmd.StartReply)), "an answer to the agent's own words was drafted"


def test_other_words_in_a_pause_interrupt() -> None:
    talk = talking()
    guess(talk, "And of Spain")
    assert talk.status() == ("cancelled", "turn_detected")


def test_own_words_that_grow_are_dropped_once_they_are_enough() -> None:
    talk = talking()
    assert talk.happens(ev.TranscriptGrew(utterance(talk), "capital of"), after=0.3) == []
    done = talk.happens(ev.TranscriptGrew(utterance(talk), "capital of France"), after=0.2)
    assert [type(one) for one in done] == [cmd.DropUtterance, cmd.ResumeAudio, cmd.ForgetBuffer]


def test_the_user_who_begins_with_a_word_of_the_agent_interrupts() -> None:
    talk = talking()
    talk.happens(ev.TranscriptGrew(utterance(talk), "Paris"), after=0.3)
    talk.happens(ev.TranscriptGrew(utterance(talk), "Paris is not what I asked"), after=0.2)
    assert talk.status() == ("cancelled", "turn_detected")


def test_words_that_were_said_long_ago_interrupt() -> None:
    talk = Talk(barge_in_s=0.6, echo=True)
    talk.user_says("Tell me about Paris.")
    talk.model_writes(SAID, "One two three four five six seven eight nine ten. ")
    talk.speaks(0, 4.0)
    talk.speaks(1, 6.0)
    talk.happens(ev.SpeechStarted(20.0), after=8.0)
    guess(talk, "The capital of France")
    assert talk.status() == ("cancelled", "turn_detected")


def test_without_an_echo_the_agents_words_are_as_good_as_any() -> None:
    talk = talking(echo=False)
    guess(talk, "The capital of France")
    assert talk.status() == ("cancelled", "turn_detected")


def test_the_next_turn_of_the_user_is_answered_after_own_words_were_dropped() -> None:
    talk = talking()
    guess(talk, "capital of France")
    talk.happens(after=10.0)
    assert talk.next_prompt()[-1] == ("user", "and now?")


def test_what_was_said_between_two_times_follows_the_times_of_words() -> None:
    audio = SpokenAudio()
    audio.add(0, "It costs $4.")
    audio.grow(0, 4.0, (Word("it", 0.0, 1.0), Word("costs", 1.0, 2.0), Word("four", 2.0, 3.0), Word("dollars", 3.0, 4.0)))
    audio.add(1, " One two three four.")
    audio.grow(1, 4.0, ())
    audio.clauses[1].complete = True
    assert audio.said(2.5, 6.0).split() == ["four", "dollars", "One", "two"]
    assert audio.said(6.0, 7.0).split() == ["three"]
    assert audio.said(9.0, 10.0) == ""


YES = "Please say yes when you are ready to start."
TIMES = (0.0, 0.4, 0.7, 1.0, 1.2, 1.4, 1.6, 1.9, 2.1, 2.6)


def ended(text: str = YES, times: tuple[float, ...] = TIMES) -> Talk:
    """The agent has sent an answer with the times of its words, and 0.4 s of silence after it."""
    talk = Talk(barge_in_s=0.6, echo=True)
    talk.user_says("Hello.")
    response_id = talk.model_writes(text)
    talk.model_finishes()
    words = tuple(Word(word, *at) for word, *at in zip(text.split(), times[:-1], times[1:], strict=True))
    talk.happens(ev.ClauseAudio(response_id, 0, times[-1] + 0.4, words))
    talk.happens(ev.ClauseSpoken(response_id, 0))
    return talk


def heard(talk: Talk, text: str, at_s: float, lag_s: tuple[float, float] | None, lasts_s: float = 0.3) -> bool:
    """Whether speech that is noticed so long after the answer began becomes a turn."""
    before = len(talk.told(told.UtteranceCommitted))
    talk.happens(ev.SpeechStarted(20.0, lag_s), after=at_s)
    talk.happens(ev.SpeechPaused(20.0 + lasts_s, 20.2 + lasts_s, eager=True), after=0.2 + lasts_s)
    asked = talk.commanded(cmd.GuessTranscript)[-1]
    talk.happens(ev.TranscriptGuessed(asked.item_id, text, asked.at_s, 0.5), after=0.1)
    talk.happens(ev.SpeechStopped(20.5 + lasts_s, 20.0 + lasts_s), after=0.2)
    assert len(talk.told(told.UtteranceStarted)) == len(talk.told(told.UtteranceStopped)) == len(talk.told(told.UtteranceCommitted))
    return len(talk.told(told.UtteranceCommitted)) > before


UNKNOWN, HEADSET, ECHOING = (0.0, 1.0), None, (0.1, 0.2)


@pytest.mark.parametrize("lag_s", [UNKNOWN, HEADSET, ECHOING])
def test_a_word_of_the_agent_that_it_asked_for_is_a_reply(lag_s: tuple[float, float] | None) -> None:
    assert heard(ended(), "Yes.", 2.5, lag_s)


@pytest.mark.parametrize("lag_s", [HEADSET, ECHOING])
@pytest.mark.parametrize(
    ("text", "times", "reply"),
    [
        ("The red one or the blue one?", (0.0, 0.2, 0.5, 0.8, 1.0, 1.1, 1.4, 1.7), "The blue one."),
        ("The red one or the blue one?", (0.0, 0.2, 0.5, 0.8, 1.0, 1.1, 1.4, 1.7), "The red one."),
        ("Say yes or no.", (0.0, 0.3, 0.7, 0.9, 1.3), "No."),
        ("Then say okay.", (0.0, 0.3, 0.6, 1.1), "Okay."),
    ],
)
def test_words_of_the_end_of_the_answer_are_a_reply_when_no_echo_comes_so_late(
    text: str, times: tuple[float, ...], reply: str, lag_s: tuple[float, float] | None
) -> None:
    assert heard(ended(text, times), reply, times[-1] + 0.35, lag_s, lasts_s=0.5)


@pytest.mark.parametrize("lag_s", [UNKNOWN, ECHOING])
@pytest.mark.parametrize(("text", "at_s"), [("Start.", 2.35), ("To start.", 2.25), ("Ready to start.", 2.0)])
def test_the_echo_of_the_last_words_is_no_turn(text: str, at_s: float, lag_s: tuple[float, float] | None) -> None:
    assert not heard(ended(), text, at_s, lag_s)


def test_the_echo_of_a_sign_of_listening_at_the_end_is_no_turn() -> None:
    assert not heard(ended("That is all, okay?", (0.0, 0.3, 0.5, 0.9, 1.4)), "Okay.", 1.1, ECHOING)


def test_other_words_over_the_end_of_an_echoing_client_are_a_turn() -> None:
    assert heard(ended(), "Sure.", 2.3, ECHOING)
