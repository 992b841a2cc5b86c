from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, ResponseRequest, ServerVad
from tests.core.talk import Talk


def test_a_turn_is_committed_at_once_and_answered_when_its_text_is_there() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(1.0))
    talk.happens(ev.SpeechStopped(2.5, 2.0), after=1.5)
    kinds = [type(command.what).__name__ for command in talk.commands if isinstance(command, cmd.Tell)]
    assert kinds == ["UtteranceStarted", "UtteranceStopped", "UtteranceCommitted", "ItemAdded", "ItemDone", "ResponseCreated"]
    assert not talk.commanded(cmd.StartReply)
    item_id = talk.told(told.UtteranceCommitted)[0].item_id
    talk.happens(ev.TranscriptFinished(item_id, "What is the time?", 1.5), after=0.2)
    assert talk.reply().prompt.messages[-1].content == "What is the time?"


def test_the_utterance_keeps_one_id_from_its_start_to_its_item() -> None:
    talk = Talk()
    item_id = talk.user_says("hello")
    kinds = (told.UtteranceStarted, told.UtteranceStopped, told.UtteranceCommitted)
    assert {one.item_id for kind in kinds for one in talk.told(kind)} == {item_id}
    assert talk.commanded(cmd.BeginUtterance)[0].item_id == item_id == talk.commanded(cmd.EndUtterance)[0].item_id
    assert talk.told(told.ItemAdded)[0].item.id == item_id


def test_an_utterance_without_words_completes_its_response_without_asking_the_model() -> None:
    talk = Talk()
    talk.user_says("  ")
    assert talk.status() == ("completed", None)
    assert not talk.commanded(cmd.StartReply)
    assert len(talk.conversation.responses) == 0


def test_a_failed_transcription_is_told_and_the_model_hears_that_something_was_said() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.0, 0.5))
    item_id = talk.told(told.UtteranceCommitted)[0].item_id
    talk.happens(ev.TranscriptFailed(item_id, "no reason"))
    assert talk.told(told.TranscriptionFailed)[0].item_id == item_id
    assert "could not be understood" in talk.reply().prompt.messages[-1].content


def test_a_transcription_that_fails_before_the_turn_is_over_is_told_after_it() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0))
    talk.happens(ev.TranscriptFailed(talk.told(told.UtteranceStarted)[0].item_id, "no reason"))
    assert not talk.told(told.TranscriptionFailed)
    talk.happens(ev.SpeechStopped(1.0, 0.5))
    assert talk.told(told.TranscriptionFailed) and talk.commanded(cmd.StartReply)


def test_transcripts_are_told_only_to_a_client_that_asked() -> None:
    talk = Talk(Config(transcribes=False))
    talk.user_says("hello")
    assert not talk.told(told.TranscriptDelta) and not talk.told(told.TranscriptCompleted)
    assert talk.reply().prompt.messages[-1].content == "hello"


def test_transcript_deltas_only_grow_and_join_to_the_text() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.0, 0.5))
    item_id = talk.told(told.UtteranceCommitted)[0].item_id
    talk.happens(ev.TranscriptGrew(item_id, "What is"), ev.TranscriptGrew(item_id, "What is"))
    talk.happens(ev.TranscriptFinished(item_id, "What is it?", 1.0))
    assert "".join(one.delta for one in talk.told(told.TranscriptDelta)) == "What is it?" == talk.told(told.TranscriptCompleted)[0].text


def test_push_to_talk_says_nothing_until_the_commit_and_answers_only_when_asked() -> None:
    talk = Talk(Config(turn_taking=None, transcribes=True))
    talk.happens(ev.BufferStarted(0.0))
    assert not talk.told(told.UtteranceStarted)
    talk.happens(ev.CommitAsked(1.0), after=1.0)
    item_id = talk.told(told.UtteranceCommitted)[0].item_id
    talk.happens(ev.TranscriptFinished(item_id, "Hi.", 1.0))
    assert not talk.told(told.ResponseCreated)
    talk.happens(ev.ResponseAsked(ResponseRequest()))
    assert talk.reply().prompt.messages[-1].content == "Hi."


def test_a_response_asked_for_right_after_the_commit_waits_for_the_transcript() -> None:
    talk = Talk(Config(turn_taking=None))
    talk.happens(ev.BufferStarted(0.0), ev.CommitAsked(1.0), ev.ResponseAsked(ResponseRequest()))
    assert talk.told(told.ResponseCreated) and not talk.commanded(cmd.StartReply)
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[0].item_id, "Hi.", 1.0))
    assert talk.commanded(cmd.StartReply)


def test_a_commit_of_almost_nothing_is_refused_with_the_clients_event_id() -> None:
    talk = Talk(Config(turn_taking=None))
    talk.happens(ev.CommitAsked(0.05, "mine"))
    problem = talk.told(told.Problem)[0]
    assert (problem.code, problem.event_id) == ("input_audio_buffer_commit_empty", "mine")


def test_clear_drops_what_was_being_said() -> None:
    talk = Talk(Config(turn_taking=None))
    talk.happens(ev.BufferStarted(0.0))
    talk.happens(ev.ClearAsked())
    assert talk.commanded(cmd.DropUtterance) and talk.told(told.BufferCleared)
    assert len(talk.conversation.memory.history) == 0


def test_without_create_response_a_turn_is_only_transcribed() -> None:
    talk = Talk(Config(turn_taking=ServerVad(create_response=False), transcribes=True))
    talk.user_says("hello")
    assert talk.told(told.TranscriptCompleted) and not talk.told(told.ResponseCreated)


def test_a_transcription_session_never_responds() -> None:
    talk = Talk(Config(responds=False, transcribes=True))
    talk.user_says("hello")
    talk.happens(ev.ResponseAsked(ResponseRequest()))
    assert not talk.told(told.ResponseCreated)
    assert talk.told(told.Problem)[0].code == "invalid_event"


def test_two_utterances_in_a_row_are_both_in_the_prompt() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.0, 0.5))
    talk.happens(ev.SpeechStarted(1.5), ev.SpeechStopped(3.0, 2.5))
    first, second = (one.item_id for one in talk.told(told.UtteranceCommitted))
    assert talk.status() == ("cancelled", "turn_detected")
    talk.happens(ev.TranscriptFinished(second, "in Paris", 1.0))
    assert not talk.commanded(cmd.StartReply), "the first utterance has no text yet"
    talk.happens(ev.TranscriptFinished(first, "What is the weather", 1.0))
    assert talk.reply().prompt.messages[-1].content == "What is the weather\nin Paris"


def test_the_session_says_that_it_has_expired_and_hangs_up_with_1001() -> None:
    talk = Talk(expires_at=60.0)
    assert talk.conversation.deadline == 60.0
    talk.happens(ev.DeadlinePassed(), after=59.0)
    assert not talk.commanded(cmd.HangUp)
    talk.happens(ev.DeadlinePassed(), after=1.0)
    assert talk.told(told.Problem)[0].code == "session_expired"
    assert talk.commanded(cmd.HangUp)[0].code == 1001
    assert talk.conversation.deadline is None


def test_the_times_of_a_turn_add_up_from_the_last_speech_to_the_first_audio() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.SpeechStopped(1.5, 1.0))
    talk.happens(ev.TranscriptFinished(talk.told(told.UtteranceCommitted)[0].item_id, "Hi.", 1.5), after=0.25)
    response_id = talk.reply().response_id
    talk.happens(ev.ReplyText(response_id, "Hello."), after=0.125)
    talk.happens(ev.ReplyFinished(response_id, "stop", 1, 1))
    talk.happens(ev.ClauseAudio(response_id, 0, 1.0), ev.ClauseSpoken(response_id, 0), after=0.5)
    timings = talk.told(told.ResponseDone)[0].response.timings
    assert (timings.endpoint_s, timings.transcript_s, timings.first_token_s, timings.first_audio_s) == (0.5, 0.25, 0.125, 0.5)
    lengths = {stage.name: stage.end - stage.start for stage in timings.stages}
    assert lengths == {"endpointing": 0.5, "transcription": 0.25, "first_token": 0.125, "first_clause": 0.0, "first_audio": 0.5}
    assert timings.stages[0].start == timings.speech_ended_at and not timings.drafted


def test_a_long_silence_after_an_answer_becomes_a_turn_and_the_agent_speaks() -> None:
    talk = Talk(Config(turn_taking=ServerVad(idle_timeout_s=5.0)))
    assert talk.conversation.deadline is None, "nothing was said yet"
    talk.user_says("Hello.")
    talk.agent_answers("Hello there.", seconds=2.0)
    assert talk.conversation.deadline == talk.now + 2.0 + 5.0, "counted from the end of the playback"
    since = len(talk.commands)
    talk.happens(ev.DeadlinePassed(20.0), after=7.0)
    kinds = [type(command.what).__name__ for command in talk.commands[since:] if isinstance(command, cmd.Tell)]
    assert kinds == ["IdleTimedOut", "ItemAdded", "ItemDone", "UtteranceCommitted", "ItemAdded", "ItemDone", "ResponseCreated"]
    assert talk.told(told.IdleTimedOut)[0].start_s == 15.0
    assert "said nothing for 5 seconds" in talk.reply().prompt.messages[-1].content
    assert talk.conversation.deadline is None, "not while the agent answers"


def test_speech_ends_the_wait_for_it() -> None:
    talk = Talk(Config(turn_taking=ServerVad(idle_timeout_s=5.0)))
    talk.user_says("Hello.")
    talk.agent_answers("Hello there.")
    talk.happens(ev.SpeechStarted(4.0), after=3.0)
    assert talk.conversation.deadline is None


def test_what_is_heard_while_the_user_speaks_is_told_at_once_and_never_twice() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0))
    item_id = talk.commanded(cmd.BeginUtterance)[0].item_id
    talk.happens(ev.TranscriptGrew(item_id, "What is"))
    assert talk.told(told.TranscriptDelta) == [told.TranscriptDelta(item_id, "What is")]
    talk.happens(ev.SpeechStopped(2.0, 1.5), ev.TranscriptFinished(item_id, "What is it?", 2.0))
    assert [one.delta for one in talk.told(told.TranscriptDelta)] == ["What is", " it?"]


def test_under_push_to_talk_nothing_is_told_of_an_item_before_its_commit() -> None:
    talk = Talk(Config(turn_taking=None, transcribes=True))
    talk.happens(ev.BufferStarted(0.0))
    item_id = talk.commanded(cmd.BeginUtterance)[0].item_id
    talk.happens(ev.TranscriptGrew(item_id, "What is"))
    assert not talk.told(told.TranscriptDelta)
    talk.happens(ev.CommitAsked(1.0), ev.TranscriptFinished(item_id, "What is it?", 2.0))
    assert [one.delta for one in talk.told(told.TranscriptDelta)] == ["What is it?"]


def test_what_was_dropped_is_not_told_any_more() -> None:
    talk = Talk()
    talk.happens(ev.SpeechStarted(0.0), ev.ClearAsked())
    talk.happens(ev.TranscriptGrew(talk.commanded(cmd.BeginUtterance)[0].item_id, "What is"))
    assert not talk.told(told.TranscriptDelta)
