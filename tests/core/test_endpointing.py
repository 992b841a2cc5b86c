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


# --- levels and the longest turn ----------------------------------------------------------------------------------------------------------


def levels(endpointer: Endpointer, *stretches: tuple[float, float, float], start_s: float = 0.0) -> list[Heard]:
    """Stretches of (probability, level, seconds)."""
    heard, frame = [], round(start_s / FRAME_S)
    for probability, level_db, seconds in stretches:
        for _ in range(round(seconds / FRAME_S)):
            one = endpointer.feed(probability, frame * FRAME_S, (frame + 1) * FRAME_S, level_db)
            heard += [one] if one else []
            frame += 1
    return heard


def kinds(heard: list[Heard]) -> list[str]:
    return [type(one).__name__ for one in heard]


@pytest.mark.parametrize("policy", [ServerVad(), ServerVad(silence_s=3.0), SemanticVad(), SemanticVad(longest_silence_s=8.0)])
@pytest.mark.parametrize("before_s", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("below_db", [18.0, 30.0])
def test_a_television_behind_the_speaker_does_not_keep_the_turn_open(policy, before_s: float, below_db: float) -> None:
    television = -25.0 - below_db
    heard = levels(Endpointer(policy), (0.9, television, before_s), (0.9, -25.0, 1.5), (0.9, television, 25.0))
    assert kinds(heard) == ["SpeechStarted", "SpeechStopped"]
    stopped = heard[-1]
    assert isinstance(stopped, SpeechStopped) and stopped.last_speech_s == pytest.approx(before_s + 1.5, abs=0.3)
    assert stopped.end_s - stopped.last_speech_s <= 5.1


def test_the_speaker_is_heard_again_over_the_television() -> None:
    endpointer = Endpointer(ServerVad())
    levels(endpointer, (0.9, -25.0, 1.5), (0.9, -45.0, 6.0))
    (started,) = levels(endpointer, (0.9, -25.0, 1.0), start_s=7.5)
    assert isinstance(started, SpeechStarted) and started.start_s == pytest.approx(7.5 - 0.3, abs=0.1)


def test_a_television_that_pauses_or_stays_becomes_a_turn_again() -> None:
    for stretches in [(0.0, -90.0, 6.0), (0.9, -45.0, 1.0)], [(0.9, -45.0, 31.0)]:
        endpointer = Endpointer(ServerVad())
        levels(endpointer, (0.9, -25.0, 1.5), (0.9, -45.0, 4.0))
        assert kinds(levels(endpointer, *stretches, start_s=5.5)) == ["SpeechStarted"]


@pytest.mark.parametrize("level_db", [-60.0, -45.0, -20.0])
def test_speech_that_is_alone_is_a_turn_however_faint(level_db: float) -> None:
    assert kinds(levels(Endpointer(ServerVad()), (0.9, level_db, 20.0), (0.0, -90.0, 0.6))) == ["SpeechStarted", "Paused", "SpeechStopped"]


def test_a_faint_speaker_after_a_loud_one_is_a_turn_at_once() -> None:
    heard = levels(Endpointer(ServerVad()), (0.9, -15.0, 2.0), (0.0, -90.0, 0.6), (0.9, -50.0, 1.0))
    assert kinds(heard) == ["SpeechStarted", "Paused", "SpeechStopped", "SpeechStarted"]


def test_who_gets_quieter_or_walks_away_is_not_cut() -> None:
    fading = [(0.9, -20.0 - number, 0.5) for number in range(12)]
    assert kinds(levels(Endpointer(ServerVad()), *fading, (0.9, -32.0, 20.0))) == ["SpeechStarted"]
    murmur = (0.9, -20.0, 2.0), (0.9, -42.0, 2.0), (0.9, -24.0, 1.0)
    assert kinds(levels(Endpointer(ServerVad()), *murmur)) == ["SpeechStarted"]


def test_a_slammed_door_does_not_make_the_speaker_a_television() -> None:
    slam = (0.9, -30.0, 2.0), (0.9, -2.0, 0.1), (0.9, -30.0, 10.0)
    assert kinds(levels(Endpointer(ServerVad()), *slam)) == ["SpeechStarted"]


@pytest.mark.parametrize("policy", [ServerVad(silence_s=2.0), SemanticVad()])
def test_the_longest_turn_ends_in_a_gap_and_goes_on_as_another(policy) -> None:
    words = [(0.9, -25.0, 0.8), (0.0, -60.0, 0.096)] * 40
    heard = levels(Endpointer(policy, longest_s=10.0), *words)
    stops = [one for one in heard if isinstance(one, SpeechStopped)]
    starts = [one for one in heard if isinstance(one, SpeechStarted)]
    assert len(starts) == len(stops) + 1 == 4
    for stop, start in zip(stops, starts[1:], strict=True):
        assert start.start_s <= stop.end_s, "the new turn begins where the last one ended"
        assert stop.end_s - stop.last_speech_s > 0.05


def test_the_longest_turn_without_a_gap_ends_all_the_same() -> None:
    heard = levels(Endpointer(ServerVad(), longest_s=10.0), (0.9, -25.0, 40.0))
    assert [one.end_s for one in heard if isinstance(one, SpeechStopped)] == pytest.approx([15.0, 30.0], abs=0.2)
