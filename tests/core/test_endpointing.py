import pytest

from serve_app.core.config import SemanticVad, ServerVad
from serve_app.core.endpointing import Endpointer, Heard, Paused
from serve_app.core.events import SpeechResumed, SpeechStarted, SpeechStopped

FRAME_S = 0.032


def hear(endpointer: Endpointer, *stretches: tuple[float, float], start_s: float = 0.0) -> list[Heard]:
    """Stretches of (probability, seconds)."""
    heard, frame = [], round(start_s / FRAME_S)
    for probability, seconds in stretches:
        for _ in range(round(seconds / FRAME_S)):
            one = endpointer.feed(probability, frame * FRAME_S, (frame + 1) * FRAME_S)
            heard += [one] if one else []
            frame += 1
    return heard


def test_speech_then_silence_is_one_utterance_with_padding_before_it() -> None:
    started, paused, stopped = hear(Endpointer(ServerVad()), (0.0, 0.96), (0.9, 0.96), (0.0, 0.96))
    assert isinstance(started, SpeechStarted) and started.start_s == pytest.approx(0.96 - 0.3)
    assert isinstance(paused, Paused) and isinstance(stopped, SpeechStopped)
    assert stopped.last_speech_s == pytest.approx(1.92)
    assert stopped.end_s - stopped.last_speech_s == pytest.approx(0.5, abs=FRAME_S)


def test_padding_never_reaches_before_the_session() -> None:
    assert hear(Endpointer(ServerVad()), (0.9, 0.32))[0] == SpeechStarted(0.0)


def test_a_click_is_not_speech() -> None:
    assert hear(Endpointer(ServerVad()), (0.0, 0.5), (0.9, FRAME_S), (0.0, 0.5)) == []


def test_a_faint_ending_does_not_end_the_utterance() -> None:
    assert len(hear(Endpointer(ServerVad()), (0.9, 0.5), (0.4, 2.0))) == 1


@pytest.mark.parametrize("silence_s", [0.2, 0.5, 1.2])
def test_the_silence_that_ends_a_turn_is_the_one_asked_for(silence_s: float) -> None:
    stopped = hear(Endpointer(ServerVad(silence_s=silence_s)), (0.9, 0.5), (0.0, 2.0))[-1]
    assert isinstance(stopped, SpeechStopped)
    assert silence_s <= stopped.end_s - stopped.last_speech_s < silence_s + 2 * FRAME_S


def test_a_higher_threshold_ignores_uncertain_speech() -> None:
    assert hear(Endpointer(ServerVad(threshold=0.8)), (0.7, 1.0)) == []
    assert len(hear(Endpointer(ServerVad(threshold=0.6)), (0.7, 1.0))) == 1


def test_a_finished_sentence_ends_the_turn_at_the_first_pause() -> None:
    endpointer = Endpointer(SemanticVad())
    _, paused = hear(endpointer, (0.9, 0.96), (0.0, 0.25))
    assert isinstance(paused, Paused)
    stopped = endpointer.judge(paused.last_speech_s, 0.9)
    assert stopped is not None and stopped.end_s - stopped.last_speech_s < 0.3
    assert not endpointer.speaking


def test_an_unfinished_sentence_is_waited_for_and_asked_about_less_and_less_often() -> None:
    endpointer = Endpointer(SemanticVad(longest_silence_s=2.0))
    heard = hear(endpointer, (0.9, 0.96), (0.0, 3.0))
    pauses = [one for one in heard if isinstance(one, Paused)]
    assert 3 <= len(pauses) <= 5
    assert isinstance(heard[-1], SpeechStopped)
    assert heard[-1].end_s - heard[-1].last_speech_s == pytest.approx(2.0, abs=2 * FRAME_S)


def test_an_answer_about_an_older_pause_is_ignored() -> None:
    endpointer = Endpointer(SemanticVad())
    paused = hear(endpointer, (0.9, 0.96), (0.0, 0.25))[-1]
    assert isinstance(paused, Paused)
    hear(endpointer, (0.9, 0.32), start_s=1.21)
    assert endpointer.judge(paused.last_speech_s, 1.0) is None
    assert endpointer.speaking


def test_a_pause_is_told_once_and_so_is_that_the_speaker_goes_on() -> None:
    heard = hear(Endpointer(ServerVad(silence_s=1.0)), (0.9, 0.96), (0.0, 0.64), (0.9, 0.64), (0.0, 0.64), (0.9, 0.32))
    assert [type(one) for one in heard] == [SpeechStarted, Paused, SpeechResumed, Paused, SpeechResumed]


def test_a_breath_in_a_pause_is_not_speech_again() -> None:
    heard = hear(Endpointer(ServerVad(silence_s=1.0)), (0.9, 0.96), (0.0, 0.32), (0.9, 2 * FRAME_S), (0.0, 0.32))
    assert [type(one) for one in heard] == [SpeechStarted, Paused, Paused]


def test_reset_forgets_the_utterance() -> None:
    endpointer = Endpointer(ServerVad())
    hear(endpointer, (0.9, 0.5))
    endpointer.reset()
    assert not endpointer.speaking


@pytest.mark.parametrize("before", [ServerVad(), ServerVad(threshold=0.8), SemanticVad()])
@pytest.mark.parametrize("after", [ServerVad(silence_s=0.7), ServerVad(threshold=0.6), SemanticVad(longest_silence_s=0.7)])
def test_another_policy_in_mid_speech_lets_it_go_on(before: ServerVad | SemanticVad, after: ServerVad | SemanticVad) -> None:
    endpointer = Endpointer(before)
    (started,) = hear(endpointer, (0.9, 0.96))
    endpointer.change(after)
    later = hear(endpointer, (0.9, 0.96), (0.0, 1.28), start_s=0.96)
    assert isinstance(started, SpeechStarted)
    assert [type(one) for one in later if not isinstance(one, Paused)] == [SpeechStopped]
    longest_s = after.silence_s if isinstance(after, ServerVad) else after.longest_silence_s
    assert later[-1].end_s - later[-1].last_speech_s == pytest.approx(longest_s, abs=2 * FRAME_S)


def test_a_shorter_silence_ends_the_pause_that_has_lasted_so_long_already() -> None:
    endpointer = Endpointer(ServerVad(silence_s=5.0))
    hear(endpointer, (0.9, 0.96), (0.0, 0.96))
    endpointer.change(ServerVad(silence_s=0.5))
    assert isinstance(hear(endpointer, (0.0, FRAME_S), start_s=1.92)[0], SpeechStopped)


def test_semantic_vad_that_begins_in_a_pause_asks_about_it() -> None:
    endpointer = Endpointer(ServerVad(silence_s=5.0))
    _, paused = hear(endpointer, (0.9, 0.96), (0.0, 0.96))
    endpointer.change(SemanticVad())
    assert hear(endpointer, (0.0, FRAME_S), start_s=1.92) == [paused]
    assert endpointer.judge(paused.last_speech_s, 0.9) is not None


def test_a_change_in_silence_starts_no_speech_and_keeps_what_was_heard_of_its_beginning() -> None:
    endpointer = Endpointer(ServerVad())
    hear(endpointer, (0.0, 0.96), (0.9, FRAME_S))
    endpointer.change(ServerVad(prefix_padding_s=0.1))
    (started,) = hear(endpointer, (0.9, 2 * FRAME_S), start_s=0.96 + FRAME_S)
    assert started == SpeechStarted(pytest.approx(0.86))
