import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.config import Config, Modality, ResponseRequest, ServerVad
from tests.trace.recorded import CALLER, RecordedTalk

ANSWER = ["prompt", "first_token", "chat small", "first_clause", "first_audio", "playback"]


def spoken_turn(talk: RecordedTalk) -> None:
    """One second of speech, half a second of waiting, 0.1 s for the transcript, 0.2 s for the first token, 0.3 s for the first clause,
    0.4 s for the first audio, 2 s of audio."""
    talk.user_says("How are you?", 1.5)
    talk.happens(after=0.2)
    response_id = talk.model_writes("I am well, ")
    talk.happens(ev.ReplyText(response_id, "thank you. And"), after=0.3)
    talk.happens(ev.ReplyText(response_id, " you?"), ev.ReplyFinished(response_id, "stop", 10, 5, 4), after=0.1)
    talk.happens(ev.ClauseAudio(response_id, 0, 1.2), ev.ClauseSpoken(response_id, 0), after=0.3)
    for clause in range(1, len(talk.commanded(cmd.Speak))):
        talk.happens(ev.ClauseAudio(response_id, clause, 0.8), ev.ClauseSpoken(response_id, clause), after=0.1)


def drafted(talk: RecordedTalk, guess: str = "How are you?") -> str:
    talk.happens(ev.SpeechStarted(0.0))
    item_id: str = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.SpeechPaused(1.0, 1.2, eager=True), after=1.2)
    talk.happens(ev.TranscriptGuessed(item_id, guess, 1.2, 1.2), after=0.1)
    return item_id


def test_a_spoken_turn_is_one_trace_with_every_step_once_and_rightly_nested() -> None:
    talk = RecordedTalk()
    spoken_turn(talk)
    talk.passes(5)
    turn = talk.turn()
    assert turn.tree() == {"turn": ["speech", "endpointing", "transcription", "answer"], "answer": ANSWER}
    assert len({span.context.trace_id for span in talk.spans() if span.context}) == 1
    root = turn.one("turn")
    assert root.parent is None
    assert [link.context for link in root.links] == [CALLER]


def test_the_steps_follow_each_other_at_their_times_and_explain_the_whole_turn() -> None:
    talk = RecordedTalk()
    spoken_turn(talk)
    talk.passes(5)
    turn = talk.turn()
    assert turn.times("speech") == (0.0, 1.0)
    assert turn.times("endpointing") == (1.0, 1.5)
    assert turn.times("transcription") == (1.5, 1.6)
    assert turn.times("first_token") == (1.6, 1.8)
    assert turn.times("first_clause") == (1.8, 2.1)
    assert turn.times("first_audio") == (2.1, 2.5)
    assert turn.times("playback") == (2.5, 4.5)
    assert turn.times("chat small") == (1.6, 2.2)
    assert turn.times("turn") == (0.0, 4.5)
    assert turn.unexplained() == pytest.approx(0)
    attributes = turn.one("turn").attributes
    assert attributes is not None
    assert (attributes["sparkvox.outcome"], attributes["sparkvox.voice_to_voice_s"]) == ("completed", pytest.approx(1.5))


def test_the_call_of_the_model_follows_the_conventions_for_generative_ai_and_holds_no_words() -> None:
    talk = RecordedTalk()
    spoken_turn(talk)
    talk.passes(5)
    chat = talk.turn().one("chat small")
    assert chat.kind is SpanKind.CLIENT
    assert dict(chat.attributes or {}) == {
        "session.id": "sess_1",
        "gen_ai.conversation.id": "sess_1",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "fake",
        "gen_ai.request.model": "small",
        "gen_ai.request.stream": True,
        "gen_ai.response.time_to_first_chunk": pytest.approx(0.2),
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
    }
    told = " ".join(str(value) for span in talk.spans() for value in (span.attributes or {}).values())
    assert "How are you" not in told and "thank" not in told


def test_a_turn_ends_when_its_answer_has_been_played_and_not_before() -> None:
    talk = RecordedTalk()
    spoken_turn(talk)
    talk.passes(1.0)
    assert not [span for span in talk.spans() if span.name == "turn"]
    talk.passes(2.0)
    assert talk.turn().times("turn")[1] == pytest.approx(4.5)


def test_who_speaks_over_the_playback_ends_the_turn() -> None:
    talk = RecordedTalk()
    spoken_turn(talk)
    talk.happens(ev.SpeechStarted(3.0), after=0.4)
    turn = talk.turn()
    assert turn.times("turn")[1] == pytest.approx(3.0)
    assert (turn.one("playback").attributes or {})["sparkvox.stopped"] is True
    assert (turn.one("turn").attributes or {})["sparkvox.outcome"] == "interrupted"
    talk.passes(5)
    assert len([span for span in talk.spans() if span.name == "turn"]) == 1


def test_who_speaks_over_an_answer_in_the_making_ends_the_turn_and_the_call() -> None:
    talk = RecordedTalk()
    talk.user_says("Count.", 1.5)
    response_id = talk.model_writes("One, two, three, four, ")
    talk.happens(ev.ClauseAudio(response_id, 0, 2.0), after=0.2)
    talk.happens(ev.SpeechStarted(3.0), after=0.5)
    turn = talk.turn()
    assert turn.times("turn")[1] == turn.times("chat small")[1] == pytest.approx(talk.now)
    assert (turn.one("chat small").attributes or {})["sparkvox.stopped"] is True
    assert turn.unexplained() == pytest.approx(0)


def test_playback_goes_on_where_speech_does_not_interrupt() -> None:
    talk = RecordedTalk()
    talk.happens(ev.Configured(Config(turn_taking=ServerVad(interrupt_response=False))))
    spoken_turn(talk)
    talk.happens(ev.SpeechStarted(3.0), after=0.4)
    talk.passes(5)
    assert talk.turn().times("turn")[1] == pytest.approx(4.5)


def test_a_draft_that_is_released_is_the_answer() -> None:
    talk = RecordedTalk()
    drafted(talk)
    response_id = talk.model_writes("I am well, thank you. ")
    talk.happens(ev.SpeechStopped(1.5, 1.0), after=0.2)
    talk.happens(ev.ReplyFinished(response_id, "stop", 10, 5), after=0.1)
    talk.speaks(0, 1.0)
    talk.passes(5)
    turn = talk.turn()
    assert turn.tree()["turn"] == ["speech", "endpointing", "transcription", "answer"]
    assert sorted(turn.tree()["answer"]) == sorted(ANSWER)
    assert turn.times("transcription") == (1.2, 1.3)
    assert turn.discarded() == []
    assert (turn.one("answer").attributes or {})["sparkvox.drafted"] is True
    assert turn.unexplained() == pytest.approx(0)


def test_a_draft_that_is_discarded_is_marked_and_no_part_of_the_answer() -> None:
    talk = RecordedTalk()
    item_id = drafted(talk)
    talk.model_writes("I am well. ")
    talk.happens(ev.SpeechResumed(), after=0.1)
    talk.happens(ev.SpeechStopped(3.0, 2.5), after=1.6)
    talk.happens(ev.TranscriptFinished(item_id, "How are you going to Paris?", 3.0), after=0.1)
    talk.agent_answers("By train.", 1.0)
    talk.passes(5)
    turn = talk.turn()
    assert turn.discarded() == ["draft", "guess"]
    assert turn.tree()["turn"] == ["speech", "endpointing", "transcription", "answer"]
    assert sorted(turn.tree()["answer"]) == sorted(ANSWER)
    assert turn.unexplained() == pytest.approx(0)


def test_what_is_done_for_a_command_belongs_to_its_span() -> None:
    talk = RecordedTalk()
    item_id = talk.user_says("How are you?", 1.5)
    started = talk.reply()

    def within(command: cmd.Command) -> str:
        with talk.turns.during(command):
            return getattr(trace.get_current_span(), "name", "none")

    assert within(started) == "chat small"
    assert within(cmd.Speak(started.response_id, "item", 0, 0, "Hi.", "af_heart", 1.0)) == "answer"
    assert within(cmd.EndUtterance(item_id)) == "transcription"
    assert within(cmd.ResumeAudio()) == "none"


def test_push_to_talk_has_no_endpointing_and_the_wait_for_the_client_is_told() -> None:
    talk = RecordedTalk(Config(turn_taking=None))
    talk.happens(ev.BufferStarted(0.0))
    talk.happens(ev.CommitAsked(2.0), after=2.0)
    talk.happens(ev.TranscriptFinished(talk.told_last_item(), "How are you?", 2.0), after=0.1)
    talk.happens(ev.ResponseAsked(ResponseRequest()), after=3.0)
    talk.agent_answers("Well.", 1.0)
    talk.passes(5)
    turn = talk.turn()
    assert turn.tree()["turn"] == ["speech", "transcription", "client", "answer"]
    assert turn.times("client") == (2.1, 5.1)
    assert turn.unexplained() == pytest.approx(0)


def test_a_response_without_an_utterance_is_a_turn_that_begins_with_the_question() -> None:
    talk = RecordedTalk()
    talk.happens(ev.ResponseAsked(ResponseRequest(modality=Modality.TEXT)), after=1.0)
    response_id = talk.reply().response_id
    talk.happens(ev.ReplyText(response_id, "Hello."), after=0.2)
    talk.happens(ev.ReplyFinished(response_id, "stop", 10, 5), after=0.3)
    turn = talk.turn()
    assert turn.tree() == {"turn": ["answer"], "answer": ["prompt", "first_token", "chat small", "writing"]}
    assert turn.times("turn") == (1.0, 1.5)
    assert turn.unexplained() == pytest.approx(0)


def test_a_model_that_fails_is_an_error_of_its_call() -> None:
    talk = RecordedTalk()
    talk.user_says("How are you?", 1.5)
    talk.happens(ev.ReplyFailed(talk.reply().response_id, "The language model failed."), after=0.2)
    turn = talk.turn()
    assert turn.one("chat small").status.status_code is StatusCode.ERROR
    assert (turn.one("turn").attributes or {})["sparkvox.outcome"] == "failed"


def test_an_utterance_that_nobody_answers_ends_with_its_transcript() -> None:
    talk = RecordedTalk(Config(turn_taking=ServerVad(create_response=False)))
    talk.user_says("How are you?", 1.5)
    talk.happens(ev.SpeechStarted(5.0), after=4.0)
    turn = talk.turn()
    assert turn.tree() == {"turn": ["speech", "endpointing", "transcription"]}
    assert turn.times("turn") == (0.0, 1.6)


def test_a_cough_over_an_answer_is_a_dropped_turn_and_the_answers_goes_on() -> None:
    talk = RecordedTalk(barge_in_s=0.6)
    spoken_turn(talk)
    talk.happens(ev.SpeechStarted(3.0), after=0.2)
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.SpeechPaused(3.1, 3.3, eager=True), after=0.2)
    talk.happens(ev.TranscriptGuessed(item_id, "", 3.3, 0.3), after=0.05)
    talk.happens(ev.SpeechStopped(3.6, 3.1), after=0.2)
    talk.passes(5)
    answered, coughed = talk.turn(0), talk.turn(1)
    assert (coughed.one("turn").attributes or {})["sparkvox.outcome"] == "dropped"
    assert answered.times("turn")[1] == pytest.approx(4.5)


def test_a_session_that_closes_ends_what_is_open() -> None:
    talk = RecordedTalk()
    talk.user_says("How are you?", 1.5)
    talk.model_writes("I am")
    talk.turns.closed()
    turn = talk.turn()
    assert (turn.one("turn").attributes or {})["sparkvox.outcome"] == "left"
    assert turn.tree()["answer"] == ["prompt", "first_token", "chat small", "first_clause"]
    talk.passes(5)
    assert len([span for span in talk.spans() if span.name == "turn"]) == 1
