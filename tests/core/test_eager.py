"""Answers that are begun in the pause, before the turn is confirmed."""

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, Modality, ResponseRequest, ServerVad
from tests.core.talk import Talk


def pausing(config: Config | None = None, guess: str = "What is it?") -> tuple[Talk, str]:
    """The user has paused, the text is guessed."""
    talk = Talk(config)
    talk.happens(ev.SpeechStarted(0.0))
    item_id = talk.commanded(cmd.BeginUtterance)[0].item_id
    talk.happens(ev.SpeechPaused(last_speech_s=1.0, at_s=1.2, eager=True), after=1.2)
    assert talk.commanded(cmd.GuessTranscript) == [cmd.GuessTranscript(item_id, 1.2)]
    talk.happens(ev.TranscriptGuessed(item_id, guess, 1.2, 1.2), after=0.1)
    return talk, item_id


def stopped(talk: Talk, last_speech_s: float = 1.0) -> None:
    talk.happens(ev.SpeechStopped(last_speech_s + 0.5, last_speech_s), after=0.2)


def test_the_answer_is_begun_in_the_pause_and_nobody_sees_it() -> None:
    talk, _ = pausing()
    (start,) = talk.commanded(cmd.StartReply)
    assert start.held and start.prompt.messages[-1].content == "What is it?"
    talk.model_writes("A tree, ", "I think.")
    talk.model_finishes()
    assert not talk.told(told.ResponseCreated) and not talk.told(told.TextGrew)
    assert talk.commanded(cmd.Speak)[0].text == "A tree, I think."
    assert len(talk.conversation.memory.history) == 0


def test_a_confirmed_turn_releases_it_at_once_in_the_usual_order() -> None:
    talk, item_id = pausing()
    talk.model_writes("A tree, I think.")
    stopped(talk)
    assert [type(one.what).__name__ for one in talk.commands if isinstance(one, cmd.Tell)] == [
        "UtteranceStarted", "UtteranceStopped", "UtteranceCommitted", "ItemAdded", "ItemDone", "TranscriptDelta", "TranscriptCompleted",
        "ResponseCreated", "OutputItemAdded", "ItemAdded", "PartAdded", "TextGrew",
    ]  # fmt: skip
    assert talk.told(told.ItemAdded)[1].previous == item_id
    assert len(talk.commanded(cmd.StartReply)) == 1 and talk.commanded(cmd.ReleaseReply)
    assert talk.commanded(cmd.EndUtterance)[0].guessed and talk.commanded(cmd.SettleUtterance)
    talk.model_finishes()
    talk.speaks(0, 1.0)
    assert talk.status() == ("completed", None)
    assert talk.conversation.responses.drafts.released == 1


def test_the_wait_counts_from_the_end_of_the_turn_and_what_was_ready_took_no_time() -> None:
    talk, _ = pausing()
    talk.model_writes("A tree.")
    stopped(talk)
    talk.model_finishes()
    talk.happens(after=0.25)
    talk.speaks(0, 1.0)
    timings = talk.told(told.ResponseDone)[0].response.timings
    assert (timings.endpoint_s, timings.transcript_s, timings.first_token_s) == (0.5, 0.0, 0.0)
    assert timings.first_audio_s == pytest.approx(0.25)


def test_a_guess_that_comes_after_the_end_of_the_turn_is_its_transcript() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechPaused(1.0, 1.2, eager=True))
    item_id = talk.commanded(cmd.BeginUtterance)[0].item_id
    stopped(talk)
    assert talk.told(told.ResponseCreated) and not talk.commanded(cmd.StartReply)
    talk.happens(ev.TranscriptGuessed(item_id, "What is it?", 1.2, 1.2))
    assert talk.told(told.TranscriptCompleted)[0].text == "What is it?"
    assert not talk.reply().held


def test_a_speaker_who_goes_on_has_it_thrown_away() -> None:
    talk, item_id = pausing()
    draft = talk.model_writes("A tree, I think.")
    talk.happens(ev.SpeechResumed())
    assert talk.commanded(cmd.StopReply) == [cmd.StopReply(draft)]
    assert talk.happens(ev.ReplyText(draft, "late"), ev.ReplyFinished(draft, "stop", 1, 1)) == []
    stopped(talk, last_speech_s=3.0)
    talk.happens(ev.TranscriptFinished(item_id, "What is it, and where?", 3.0))
    assert talk.reply().response_id != draft and not talk.reply().held
    assert [one.response.id for one in talk.told(told.ResponseCreated)] == [talk.reply().response_id]
    assert talk.conversation.responses.drafts.wasted == 1


def test_the_same_words_after_a_breath_keep_the_work() -> None:
    talk, item_id = pausing()
    draft = talk.model_writes("A tree.")
    talk.happens(ev.SpeechPaused(last_speech_s=1.5, at_s=1.7, eager=True))
    talk.happens(ev.TranscriptGuessed(item_id, "what is it", 1.7, 1.7))
    stopped(talk, last_speech_s=1.5)
    assert talk.told(told.ResponseCreated)[0].response.id == draft
    assert talk.told(told.TranscriptCompleted)[0].text == "what is it"


def test_other_words_after_a_breath_make_another_draft() -> None:
    talk, item_id = pausing()
    first = talk.model_writes("A tree.")
    talk.happens(ev.SpeechPaused(last_speech_s=1.5, at_s=1.7, eager=True))
    talk.happens(ev.TranscriptGuessed(item_id, "What is it called?", 1.7, 1.7))
    assert talk.commanded(cmd.StopReply) == [cmd.StopReply(first)]
    assert talk.reply().prompt.messages[-1].content == "What is it called?"


@pytest.mark.parametrize(("final", "kept"), [("what is it", True), ("What is it not?", False)])
def test_speech_after_the_guess_leaves_it_to_the_transcript_whether_the_draft_answers(final: str, kept: bool) -> None:
    talk, item_id = pausing()
    draft = talk.model_writes("A tree.")
    stopped(talk, last_speech_s=1.25)
    assert not talk.told(told.ResponseCreated) and not talk.commanded(cmd.EndUtterance)[0].guessed
    talk.happens(ev.TranscriptFinished(item_id, final, 1.3))
    assert (talk.told(told.ResponseCreated)[0].response.id == draft) is kept
    assert len(talk.told(told.ResponseCreated)) == 1


def test_a_tool_is_called_only_after_the_turn_is_confirmed() -> None:
    talk, _ = pausing()
    response_id = talk.reply().response_id
    talk.happens(ev.ReplyToolCall(response_id, 0, "open_door", "{}"), ev.ReplyFinished(response_id, "stop", 9, 4))
    assert not talk.told(told.OutputItemAdded) and not talk.told(told.ArgumentsDone)
    stopped(talk)
    assert talk.told(told.ArgumentsDone)[0].call.name == "open_door"
    assert talk.status() == ("completed", None)


def test_a_draft_that_fails_is_forgotten_and_the_turn_is_answered_as_usual() -> None:
    talk, _ = pausing()
    draft = talk.reply().response_id
    talk.happens(ev.ReplyFailed(draft, "out of memory"))
    stopped(talk)
    assert talk.reply().response_id != draft and not talk.reply().held
    talk.agent_answers("A tree.")
    assert talk.status() == ("completed", None)


@pytest.mark.parametrize(
    "event",
    [
        ev.Configured(Config(transcribes=True, instructions="Speak like a pirate.")), ev.ClearAsked(), ev.CommitAsked(1.0),
        ev.ItemDeleted("nobody"), ev.ItemTruncated("nobody", 0, 1.0),
    ],
)  # fmt: skip
def test_what_changes_the_prompt_throws_the_draft_away(event: ev.Event) -> None:
    talk, _ = pausing()
    draft = talk.reply().response_id
    talk.happens(event)
    assert cmd.StopReply(draft) in talk.commands and talk.conversation.responses.draft is None


@pytest.mark.parametrize(
    "config",
    [
        Config(turn_taking=ServerVad(create_response=False), transcribes=True), Config(responds=False, transcribes=True),
    ],
)  # fmt: skip
def test_nothing_is_drafted_where_nothing_would_be_answered(config: Config) -> None:
    talk, _ = pausing(config)
    assert not talk.commanded(cmd.StartReply)
    stopped(talk)
    assert talk.told(told.TranscriptCompleted)[0].text == "What is it?" and not talk.told(told.ResponseCreated)


def test_nothing_is_guessed_where_there_is_no_room_for_it() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechPaused(1.0, 1.2, eager=False))
    assert not talk.commanded(cmd.GuessTranscript)


def test_a_pause_without_words_is_not_answered() -> None:
    talk, _ = pausing(guess=" ")
    assert not talk.commanded(cmd.StartReply)
    stopped(talk)
    assert talk.status() == ("completed", None) and not talk.commanded(cmd.StartReply)


def test_a_text_answer_may_be_complete_before_it_is_released() -> None:
    talk, _ = pausing(Config(modality=Modality.TEXT, transcribes=True))
    talk.model_writes("A tree.")
    talk.model_finishes()
    assert not talk.told(told.ResponseDone)
    stopped(talk)
    assert talk.status() == ("completed", None) and len(talk.conversation.responses) == 0


def test_a_client_that_asks_while_the_draft_waits_is_refused_as_if_the_response_were_there() -> None:
    talk, item_id = pausing()
    stopped(talk, last_speech_s=1.25)
    talk.happens(ev.ResponseAsked(ResponseRequest(), "mine"))
    assert talk.told(told.Problem)[0].code == "conversation_already_has_active_response"
    talk.happens(ev.TranscriptFinished(item_id, "What is it?", 1.3))
    assert len(talk.told(told.ResponseCreated)) == 1 and not talk.reply().held


def test_a_user_who_speaks_again_before_the_transcript_leaves_one_answer_to_both() -> None:
    talk, item_id = pausing()
    stopped(talk, last_speech_s=1.25)
    talk.happens(ev.SpeechStarted(2.0), ev.TranscriptFinished(item_id, "What is it?", 1.3))
    assert not talk.told(told.ResponseCreated)
    talk.happens(ev.SpeechStopped(4.0, 3.5))
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[-1].item_id, "And where?", 1.0))
    assert talk.reply().prompt.messages[-1].content == "What is it?\nAnd where?"


def drafted_sound(talk: Talk, after: float) -> str:
    """The draft is written, and its first sound is there so much later."""
    draft = talk.model_writes("A tree.")
    talk.model_finishes()
    talk.happens(ev.SoundMade(draft, 0), after=after)
    return draft


def test_what_a_draft_saved_is_the_work_that_was_done_before_its_release() -> None:
    """Guessed within 0.1 s, which includes the model's answer; its sound 0.15 s later; the turn confirmed after another 0.2 s."""
    talk, _ = pausing()
    drafted_sound(talk, after=0.15)
    stopped(talk)
    talk.speaks(0, 1.0)
    timings = talk.told(told.ResponseDone)[0].response.timings
    assert timings.saved_s == pytest.approx(0.25) == talk.conversation.responses.drafts.saved_s
    stages = {stage.name: (stage.start, stage.end) for stage in timings.stages}
    assert stages["guess"] == pytest.approx((1.2, 1.3)) and stages["synthesis"] == pytest.approx((1.3, 1.45))


def test_sound_that_was_not_there_yet_when_the_turn_was_confirmed_counts_until_then() -> None:
    talk, _ = pausing()
    talk.model_writes("A tree.")
    stopped(talk)
    assert talk.conversation.responses.drafts.saved_s == pytest.approx(0.3)


def test_a_guess_that_is_not_the_transcript_saves_only_from_the_question_to_the_model_on() -> None:
    talk, item_id = pausing()
    drafted_sound(talk, after=0.1)
    stopped(talk, last_speech_s=1.25)
    talk.happens(ev.TranscriptFinished(item_id, "What is it?", 1.3), after=0.4)
    assert talk.conversation.responses.drafts.saved_s == pytest.approx(0.1)


def test_an_answer_in_text_is_there_with_its_first_word() -> None:
    talk, _ = pausing(Config(modality=Modality.TEXT, transcribes=True))
    talk.happens(after=0.1)
    talk.model_writes("A tree.")
    stopped(talk)
    assert talk.conversation.responses.drafts.saved_s == pytest.approx(0.2)


def test_an_answer_that_was_not_drafted_saved_nothing_and_its_sound_is_a_stage_all_the_same() -> None:
    talk = Talk()
    talk.user_says("What is it?")
    drafted_sound(talk, after=0.3)
    talk.speaks(0, 1.0)
    timings = talk.told(told.ResponseDone)[0].response.timings
    assert timings.saved_s is None and not timings.drafted
    assert [stage.name for stage in timings.stages][-2:] == ["synthesis", "first_audio"] and "guess" not in str(timings.stages)


def test_drafts_are_counted_with_their_tokens() -> None:
    talk, item_id = pausing()
    assert talk.conversation.responses.drafts.hit_rate is None
    talk.model_writes("A ", "tree.")
    talk.happens(ev.ReplyFinished(talk.reply().response_id, "stop", 20, 7), ev.SpeechResumed())
    talk.happens(ev.SpeechPaused(2.0, 2.2, eager=True), ev.TranscriptGuessed(item_id, "What is it, and why?", 2.2, 2.2))
    stopped(talk, last_speech_s=2.0)
    drafts = talk.conversation.responses.drafts
    assert (drafts.released, drafts.discarded, drafts.wasted, drafts.hit_rate) == (1, 1, 7, 0.5)
