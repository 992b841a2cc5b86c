"""What one session's events are counted as; conversations are played to the end, so that what is counted is what the core commands."""

from collections.abc import Iterable

import pytest

from serve_app import measures
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Command
from serve_app.core.config import Config, Modality
from serve_app.measures import Tally
from serve_app.session_figures import SessionFigures
from tests.core.talk import Talk


class Counted(Talk):
    """A conversation that is watched."""

    def __init__(self, config: Config | None = None, barge_in_s: float = 0.0, expires_at: float | None = None) -> None:
        super().__init__(config, expires_at, barge_in_s)
        self.tally = Tally()
        self.figures = SessionFigures(self.tally)

    def watched(self, event: ev.Event, commands: list[Command]) -> None:
        self.figures.saw(event, commands, self.now)

    def of(self, measure: measures.Measure) -> dict[str, float]:
        return {of: value for (name, of), value in self.tally.counts.items() if name == measure.name}

    def seen(self, measure: measures.Measure, of: str) -> list[float]:
        return self.tally.seen.get((measure.name, of), [])

    def spoken_turn(self) -> None:
        """Speech ends at 1 s, the turn at 1.5, its text comes at 1.6, the model's at 1.8, the first audio at 2.1."""
        self.happens(ev.SpeechStarted(0.0))
        self.happens(ev.SpeechStopped(1.5, 1.0), after=1.5)
        item_id = self.told(told.UtteranceCommitted)[-1].item_id
        self.happens(ev.TranscriptFinished(item_id, "What is it?", 1.0), after=0.1)
        self.now += 0.2
        self.model_writes("A tree. ")
        self.now += 0.3
        self.model_finishes()
        self.speaks(0, 1.0)


def test_a_spoken_turn_is_counted_once_with_what_the_speaker_waited() -> None:
    talk = Counted()
    talk.spoken_turn()
    assert talk.of(measures.TURNS) == {"completed": 1}
    assert talk.seen(measures.VOICE_TO_VOICE, "no") == [pytest.approx(1.1)]
    assert not talk.seen(measures.VOICE_TO_VOICE, "yes")


def test_each_step_of_a_turn_is_a_stage_of_its_own() -> None:
    talk = Counted()
    talk.spoken_turn()
    expected = {"endpointing": 0.5, "transcription": 0.1, "first_token": 0.2, "first_clause": 0.0, "first_audio": 0.3}
    assert {name: talk.seen(measures.STAGE, name) for name in expected} == {
        name: [pytest.approx(seconds)] for name, seconds in expected.items()
    }


def test_every_stage_of_the_core_is_one_of_the_measure() -> None:
    talk = Counted()
    pausing(talk)
    talk.happens(ev.SpeechStopped(1.5, 1.0), ev.SoundMade(talk.reply().response_id, 0), after=0.2)
    talk.model_finishes()
    talk.speaks(0, 1.0)
    assert {of for name, of in talk.tally.seen if name == measures.STAGE.name} == set(measures.STAGE.values)


def test_the_tokens_are_those_that_the_client_is_billed() -> None:
    talk = Counted()
    talk.spoken_turn()
    assert talk.of(measures.TOKENS) == {"input": 10, "cached": 0, "output": 5}


def test_a_cough_is_a_silent_turn() -> None:
    talk = Counted()
    talk.user_says("")
    assert talk.of(measures.TURNS) == {"silent": 1}


def test_an_answer_that_fails_is_a_failed_turn() -> None:
    talk = Counted()
    talk.user_says("What is it?")
    talk.happens(ev.ReplyFailed(talk.reply().response_id, "no reason"))
    assert talk.of(measures.TURNS) == {"failed": 1}


def test_an_answer_that_the_client_stops_is_cancelled() -> None:
    talk = Counted()
    talk.user_says("What is it?")
    talk.model_writes("A tree. ")
    talk.happens(ev.ResponseCancelled())
    assert talk.of(measures.TURNS) == {"cancelled": 1}
    assert talk.of(measures.BARGE_INS) == {}


def test_an_answer_beyond_its_tokens_is_incomplete() -> None:
    talk = Counted(Config(modality=Modality.TEXT))
    talk.user_says("What is it?")
    talk.model_writes("A tree. ")
    talk.model_finishes("length")
    assert talk.of(measures.TURNS) == {"incomplete": 1}
    assert not talk.seen(measures.VOICE_TO_VOICE, "no")


def test_an_utterance_that_is_not_heard_is_counted() -> None:
    talk = Counted()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.5, 1.0))
    talk.happens(ev.TranscriptFailed(talk.told(told.UtteranceCommitted)[-1].item_id, "no reason"))
    assert talk.of(measures.UNHEARD) == {"": 1}


# --- answers that were begun before their turn was over ---------------------------------------------------------------------------------


def pausing(talk: Counted) -> None:
    """The user pauses at 1 s; at 1.3 s the model is asked, and writes two pieces."""
    talk.happens(ev.SpeechStarted(0.0))
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.SpeechPaused(last_speech_s=1.0, at_s=1.2, eager=True), after=1.2)
    talk.happens(ev.TranscriptGuessed(item_id, "What is it?", 1.2, 1.2), after=0.1)
    talk.model_writes("A tree, ", "I think. ")


def test_a_released_draft_is_counted_with_what_it_saved() -> None:
    """Its text was asked for at 1.2 s, and the turn was over at 1.5."""
    talk = Counted()
    pausing(talk)
    talk.happens(ev.SpeechStopped(1.5, 1.0), after=0.2)
    talk.model_finishes()
    talk.speaks(0, 1.0)
    assert talk.of(measures.DRAFTS) == {"released": 1}
    assert talk.of(measures.SAVED_SECONDS) == {"": pytest.approx(0.3)}
    assert talk.of(measures.WASTED_TOKENS) == {}
    assert len(talk.seen(measures.VOICE_TO_VOICE, "yes")) == 1


def test_a_discarded_draft_wasted_what_the_model_had_written() -> None:
    talk = Counted()
    pausing(talk)
    talk.happens(ev.SpeechResumed())
    assert talk.of(measures.DRAFTS) == {"discarded": 1}
    assert talk.of(measures.WASTED_TOKENS) == {"": 2}
    assert talk.of(measures.TURNS) == {}
    assert talk.of(measures.TOKENS) == {}


def test_a_discarded_draft_that_was_written_whole_wasted_what_the_model_says() -> None:
    talk = Counted()
    pausing(talk)
    talk.model_finishes()
    talk.happens(ev.SpeechResumed())
    assert talk.of(measures.WASTED_TOKENS) == {"": 5}


def test_a_draft_that_is_open_when_the_session_ends_is_discarded() -> None:
    talk = Counted()
    pausing(talk)
    talk.figures.closed()
    assert talk.of(measures.DRAFTS) == {"discarded": 1}


# --- speech over an answer --------------------------------------------------------------------------------------------------------------


def talking(barge_in_s: float) -> Counted:
    """The agent has sent 10 s of an answer of which more is to come."""
    talk = Counted(barge_in_s=barge_in_s)
    talk.user_says("Count.")
    talk.model_writes("One two three four five six seven eight nine ten. ", "And there is more to come")
    talk.speaks(0, 10.0)
    return talk


def test_words_over_an_answer_are_a_barge_in() -> None:
    talk = talking(0.6)
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    assert talk.of(measures.BARGE_INS) == {}
    talk.happens(ev.TranscriptGrew(talk.commanded(cmd.BeginUtterance)[-1].item_id, "But wait"), after=0.2)
    assert talk.of(measures.BARGE_INS) == {"confirmed": 1}
    assert talk.of(measures.TURNS) == {"interrupted": 1}


def test_a_sign_of_listening_is_a_false_alarm() -> None:
    talk = talking(0.6)
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.SpeechPaused(last_speech_s=9.2, at_s=9.4, eager=False), after=0.2)
    talk.happens(ev.TranscriptGuessed(item_id, "Mm-hm.", 9.4, 0.4))
    talk.happens(ev.SpeechStopped(9.7, 9.2), after=0.2)
    assert talk.of(measures.BARGE_INS) == {"false_alarm": 1}
    assert talk.of(measures.TURNS) == {}


def test_what_the_client_clears_before_it_is_decided_is_neither() -> None:
    talk = talking(0.6)
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    talk.happens(ev.ClearAsked())
    assert talk.of(measures.BARGE_INS) == {}


def test_without_holding_any_speech_over_what_is_heard_is_a_barge_in() -> None:
    talk = talking(0.0)
    talk.happens(ev.SpeechStarted(9.0), after=1.0)
    assert talk.of(measures.BARGE_INS) == {"confirmed": 1}


def test_going_on_before_the_answer_is_heard_is_none() -> None:
    talk = Counted()
    talk.user_says("What is")
    talk.model_writes("A tree. ")
    talk.happens(ev.SpeechStarted(2.0))
    assert talk.of(measures.BARGE_INS) == {}
    assert talk.of(measures.TURNS) == {"interrupted": 1}


# --- how sessions end -------------------------------------------------------------------------------------------------------------------


def ends(events: Iterable[ev.Event], expires_at: float | None = None) -> dict[str, float]:
    talk = Counted(expires_at=expires_at)
    assert talk.of(measures.SESSIONS_STARTED) == {"": 1}
    talk.happens(*events, after=5.0)
    talk.figures.closed()
    return talk.of(measures.SESSIONS_ENDED)


def test_a_session_whose_client_leaves_has_left() -> None:
    assert ends([ev.Parted()]) == {"left": 1}


def test_a_session_at_its_longest_has_expired() -> None:
    assert ends([ev.DeadlinePassed()], expires_at=2.0) == {"expired": 1}


def test_a_session_whose_gateway_is_taken_away_is_replaced() -> None:
    assert ends([ev.LeaveAsked(1.0), ev.DeadlinePassed()]) == {"replaced": 1}


def test_a_session_that_ends_for_no_such_reason_ended_otherwise() -> None:
    assert ends([]) == {"other": 1}
