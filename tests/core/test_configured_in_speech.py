"""What a change of the settings does to speech that is under way: nothing that was said is lost, and starts and stops come in pairs."""

from dataclasses import replace

import pytest

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, SemanticVad, ServerVad, TurnTaking
from tests.core.talk import Talk
from tests.core.test_floor import talking

CHANGES = [
    ServerVad(silence_s=0.7), ServerVad(threshold=0.6), ServerVad(prefix_padding_s=0.1), ServerVad(idle_timeout_s=9.0), SemanticVad(),
    SemanticVad(longest_silence_s=8.0),
]  # fmt: skip


def heard(talk: Talk) -> list[str]:
    """What the client was told of its speech."""
    kinds = {told.UtteranceStarted: "started", told.UtteranceStopped: "stopped", told.UtteranceCommitted: "committed"}
    kinds |= {told.BufferCleared: "cleared"}
    tells = [command.what for command in talk.commands if isinstance(command, cmd.Tell)]
    return [kinds[type(what)] for what in tells if type(what) in kinds]


def speaking(turn_taking: TurnTaking = ServerVad()) -> tuple[Talk, str]:  # noqa: B008
    talk = Talk(Config(transcribes=True, turn_taking=turn_taking))
    talk.happens(ev.SpeechStarted(1.0), after=1.0)
    return talk, talk.commanded(cmd.BeginUtterance)[0].item_id


def changed(talk: Talk, turn_taking: TurnTaking, audio_s: float = 2.0) -> list[cmd.Command]:
    return talk.happens(ev.Configured(replace(talk.conversation.config, turn_taking=turn_taking), audio_s), after=0.1)


@pytest.mark.parametrize("before", [ServerVad(), SemanticVad(longest_silence_s=2.0)])
@pytest.mark.parametrize("after", CHANGES)
def test_what_is_being_said_goes_on_under_another_turn_detection(before: TurnTaking, after: TurnTaking) -> None:
    talk, item_id = speaking(before)
    assert changed(talk, after) == []
    talk.happens(ev.SpeechStopped(4.0, 3.0), ev.TranscriptFinished(item_id, "All of it.", 3.0), after=2.0)
    assert heard(talk) == ["started", "stopped", "committed"]
    assert talk.reply().prompt.messages[-1].content == "All of it."


def test_without_turn_detection_speech_stops_at_once_and_waits_for_its_commit() -> None:
    talk, item_id = speaking()
    assert changed(talk, None, 2.0) == [cmd.Tell(told.UtteranceStopped(item_id, 2.0))]
    talk.happens(ev.CommitAsked(2.5, None, 3.5), ev.TranscriptFinished(item_id, "All of it.", 2.5), after=1.0)
    assert heard(talk) == ["started", "stopped", "committed"]
    assert talk.item(item_id).parts[0].text == "All of it."
    assert not talk.commanded(cmd.DropUtterance) and not talk.commanded(cmd.StartReply)


def test_without_turn_detection_and_with_it_again_it_is_one_utterance() -> None:
    talk, item_id = speaking()
    changed(talk, None, 2.0)
    changed(talk, ServerVad(), 2.5)
    talk.happens(ev.SpeechStarted(1.0), ev.SpeechStopped(4.0, 3.0), after=2.0)
    assert heard(talk) == ["started", "stopped", "started", "stopped", "committed"]
    assert {one.item_id for one in talk.told(told.UtteranceStarted)} == {item_id}
    assert len(talk.commanded(cmd.BeginUtterance)) == 1


def test_speech_that_push_to_talk_had_buffered_is_the_utterance_that_turn_detection_finds() -> None:
    talk = Talk(Config(transcribes=True, turn_taking=None))
    talk.happens(ev.BufferStarted(0.0))
    item_id = talk.commanded(cmd.BeginUtterance)[0].item_id
    talk.happens(ev.TranscriptGrew(item_id, "What"))
    changed(talk, ServerVad())
    talk.happens(ev.SpeechStarted(0.2), ev.TranscriptGrew(item_id, "What colour"), ev.SpeechStopped(4.0, 3.5), after=2.0)
    assert heard(talk) == ["started", "stopped", "committed"]
    assert [one.delta for one in talk.told(told.TranscriptDelta)] == ["What colour"]
    assert len(talk.commanded(cmd.BeginUtterance)) == 1


def test_a_change_in_the_pause_discards_the_draft_and_keeps_what_was_said() -> None:
    talk, item_id = speaking()
    talk.happens(ev.SpeechPaused(2.0, 2.2, eager=True), after=1.0)
    talk.happens(ev.TranscriptGuessed(item_id, "What is it?", 2.2, 1.0), after=0.1)
    draft = talk.reply()
    assert draft.held
    assert changed(talk, SemanticVad()) == [cmd.StopReply(draft.response_id)]
    talk.happens(ev.SpeechStopped(2.6, 2.0), after=0.4)
    assert heard(talk) == ["started", "stopped", "committed"]
    assert talk.reply().response_id != draft.response_id
    assert talk.reply().prompt.messages[-1].content == "What is it?"


@pytest.mark.parametrize("after", CHANGES)
def test_speech_over_an_answer_stays_undecided(after: TurnTaking) -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    assert changed(talk, after) == []
    assert heard(talk)[3:] == [], "nobody is told of it yet"
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    talk.happens(ev.TranscriptGrew(item_id, "Stop that, please"), after=0.2)
    assert talk.status() == ("cancelled", "turn_detected")
    assert heard(talk)[3:] == ["started"]


def test_speech_over_an_answer_lets_it_go_on_where_it_may_not_interrupt_any_more() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    done = changed(talk, ServerVad(interrupt_response=False))
    assert done == [cmd.ResumeAudio(), cmd.Tell(told.UtteranceStarted(item_id, 20.0))]
    talk.happens(ev.TranscriptGrew(item_id, "Stop that, please"), ev.SpeechStopped(22.0, 21.5), after=1.0)
    assert heard(talk)[3:] == ["started", "stopped", "committed"]
    assert not talk.told(told.ResponseDone)[1:]


def test_speech_over_an_answer_lets_it_go_on_without_turn_detection_and_can_be_committed() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    item_id = talk.commanded(cmd.BeginUtterance)[-1].item_id
    assert changed(talk, None) == [cmd.ResumeAudio()]
    assert talk.conversation.deadline is None
    talk.happens(ev.CommitAsked(2.0, None, 22.0), after=1.0)
    assert heard(talk)[3:] == ["committed"] and talk.told(told.UtteranceCommitted)[-1].item_id == item_id


@pytest.mark.parametrize("by", [ev.CommitAsked(1.5, None, 2.5), ev.ClearAsked(None, 2.5)])
def test_a_commit_or_a_clear_in_mid_speech_stops_it_first(by: ev.Event) -> None:
    talk, item_id = speaking()
    talk.happens(by, after=1.0)
    assert heard(talk) == ["started", "stopped", "committed" if isinstance(by, ev.CommitAsked) else "cleared"]
    assert talk.told(told.UtteranceStopped) == [told.UtteranceStopped(item_id, 2.5)]
    talk.happens(ev.SpeechStarted(2.6), ev.SpeechStopped(4.0, 3.5), after=1.0)
    assert heard(talk)[3:] == ["started", "stopped", "committed"]


@pytest.mark.parametrize("by", [ev.CommitAsked(1.5, None, 2.5), ev.ClearAsked(None, 2.5)])
def test_where_nobody_speaks_no_speech_stops(by: ev.Event) -> None:
    talk = Talk()
    talk.happens(by)
    assert len(heard(talk)) == 1


def test_a_clear_while_speech_over_an_answer_is_undecided_tells_of_no_speech() -> None:
    talk = talking()
    talk.happens(ev.SpeechStarted(20.0), after=2.0)
    talk.happens(ev.ClearAsked(None, 21.0), after=0.1)
    assert heard(talk)[3:] == ["cleared"] and talk.commanded(cmd.ResumeAudio)
