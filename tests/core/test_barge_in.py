import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, Modality, ServerVad
from serve_app.core.language import Word
from serve_app.core.playback import Playback
from serve_app.core.truncation import SpokenAudio
from tests.core.talk import Talk

LONG = "One two three four five six seven eight nine ten. "


def talking_agent(config: Config | None = None) -> Talk:
    """The agent has sent 10 s of a long answer, of which the model has written more."""
    talk = Talk(config)
    talk.user_says("Count.")
    talk.model_writes(LONG, "And there is more to come, much more")
    talk.speaks(0, 10.0)
    return talk


def test_user_speaking_over_the_agent_cancels_the_reply_before_anything_else_happens() -> None:
    talk = talking_agent()
    talk.happens(ev.SpeechStarted(99.0), after=2.0)
    assert talk.status() == ("cancelled", "turn_detected")
    assert cmd.StopReply(talk.reply().response_id) in talk.commands


def test_the_next_prompt_holds_only_what_had_been_played() -> None:
    talk = talking_agent()
    talk.happens(ev.SpeechStarted(99.0), after=3.0)
    talk.happens(ev.SpeechStopped(100.0, 99.5))
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[-1].item_id, "Stop.", 1.0))
    assert [m.content for m in talk.reply().prompt.messages] == ["Count.", "One two three", "Stop."]


def test_an_answer_that_was_never_heard_is_not_in_the_next_prompt() -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.model_writes("One, two")
    assert talk.next_prompt() == [("user", "Count.\nand now?")]


def test_an_answer_that_is_sent_but_still_playing_is_cut_too() -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.agent_answers("One two three four.", seconds=4.0)
    assert talk.status() == ("completed", None)
    talk.happens(ev.SpeechStarted(9.0), after=2.0)
    assert talk.status() == ("completed", None)
    talk.happens(ev.SpeechStopped(10.0, 9.5))
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[-1].item_id, "Stop.", 1.0))
    assert talk.reply().prompt.messages[1].content == "One two"


def test_an_answer_that_was_played_to_its_end_stays_whole() -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.agent_answers("One two three four.", seconds=4.0)
    talk.happens(after=5.0)
    assert ("assistant", "One two three four.") in talk.next_prompt()


def test_the_client_knows_better_what_it_played() -> None:
    talk = talking_agent()
    talk.happens(ev.SpeechStarted(99.0), after=3.0)
    item_id = talk.told(told.OutputItemAdded)[0].item.id
    talk.happens(ev.ItemTruncated(item_id, 0, 5.0))
    assert talk.told(told.ItemCut)[0] == told.ItemCut(item_id, 0, 5.0, by_words=False)
    assert talk.item(item_id).heard == "One two three four five"


@pytest.mark.parametrize(("at_s", "refused"), [(4.4, False), (4.6, True)])
def test_a_cut_far_beyond_the_end_of_the_audio_is_refused(at_s: float, refused: bool) -> None:
    talk = Talk()
    talk.user_says("Count.")
    talk.agent_answers("One two three four.", seconds=4.0)
    item_id = talk.told(told.OutputItemAdded)[0].item.id
    talk.happens(ev.ItemTruncated(item_id, 0, at_s))
    assert bool(talk.told(told.Problem)) is refused
    assert talk.item(item_id).heard == (None if refused else "One two three four.")


def test_without_interrupt_response_the_agent_goes_on() -> None:
    talk = talking_agent(Config(turn_taking=ServerVad(interrupt_response=False)))
    talk.happens(ev.SpeechStarted(99.0), ev.SpeechStopped(100.0, 99.5))
    assert not talk.told(told.ResponseDone) and not talk.told(told.Problem)
    assert len(talk.told(told.ResponseCreated)) == 1


@pytest.mark.parametrize(
    ("item_id", "index", "code"),
    [("nobody", 0, "item_truncate_invalid_item_id"), ("user", 0, "invalid_value"), ("agent", 3, "invalid_value")],
)
def test_what_cannot_be_truncated_is_refused(item_id: str, index: int, code: str) -> None:
    talk = Talk()
    ids = {"user": talk.user_says("Count."), "nobody": "nobody"}
    talk.agent_answers("One.")
    ids["agent"] = talk.told(told.OutputItemAdded)[0].item.id
    talk.happens(ev.ItemTruncated(ids[item_id], index, 1.0, "mine"))
    assert (talk.told(told.Problem)[0].code, talk.told(told.Problem)[0].event_id) == (code, "mine")


def test_word_times_decide_where_the_engine_has_them() -> None:
    audio = SpokenAudio()
    audio.add(0, "Slow start quick end")
    audio.grow(0, 4.0, (Word("Slow", 0.0, 2.0), Word("start", 2.0, 3.5), Word("quick", 3.5, 3.7), Word("end", 3.7, 4.0)))
    audio.clauses[0].complete = True
    assert audio.heard(3.0) == "Slow"
    assert audio.heard(3.6) == "Slow start"
    assert audio.heard(4.0) == "Slow start quick end"


def test_an_underrun_is_not_counted_as_played() -> None:
    playback = Playback()
    playback.sent(1.0, now=0.0)
    playback.sent(1.0, now=5.0)
    assert playback.ahead_s(5.25) == 0.75
    playback.flush(5.25)
    assert playback.ahead_s(5.25) == 0.0


def test_a_written_answer_was_read_and_stays_when_the_user_speaks() -> None:
    talk = Talk(Config(modality=Modality.TEXT))
    talk.user_says("Count.")
    talk.model_writes("One two", " three")
    talk.happens(ev.SpeechStarted(99.0), after=0.1)
    assert talk.status() == ("cancelled", "turn_detected")
    assert ("assistant", "One two three") in talk.next_prompt()


def test_what_was_never_spoken_of_a_cancelled_answer_is_not_in_the_next_prompt() -> None:
    talk = talking_agent()
    talk.happens(ev.ResponseCancelled(None), after=12.0)
    assert talk.status() == ("cancelled", "client_cancelled")
    assert ("assistant", LONG.strip()) in talk.next_prompt()


def test_words_whose_audio_is_not_made_yet_were_not_heard() -> None:
    audio = SpokenAudio()
    audio.add(0, "One two three four five six.")
    audio.grow(0, 1.0, (Word("one", 0.0, 0.5), Word("two", 0.5, 1.0)))
    assert audio.heard(1.0) == "One two"


def test_durations_that_do_not_add_up_exactly_lose_no_word() -> None:
    audio = SpokenAudio()
    for clause, text in enumerate(("One.", " Two.", " Three.")):
        audio.add(clause, text)
        audio.grow(clause, 0.1 * (clause + 1), (Word(text, 0.0, 0.1 * (clause + 1)),))
        audio.clauses[clause].complete = True
    assert audio.heard(0.6) == "One. Two. Three."


def test_an_answer_cut_by_the_client_while_it_is_made_ends_with_the_text_that_was_told() -> None:
    talk = talking_agent()
    item_id = talk.told(told.OutputItemAdded)[-1].item.id
    talk.happens(ev.ItemTruncated(item_id, 0, 3.0))
    talk.happens(ev.ResponseCancelled())
    (done,) = talk.told(told.OutputItemDone)
    assert done.item.heard is None and talk.told(told.ResponseDone)[-1].response.output[0].heard is None
    assert talk.item(item_id).heard is not None
