"""What the load tests compute from what they measure."""

from xml.etree import ElementTree

import pytest

from load_tests.bench.carried import Load, at_wait, carried, ratio_between, rising
from load_tests.bench.eager_turns import hidden, sureness
from load_tests.knee import knee, percentiles
from load_tests.picture import Line, chart
from load_tests.questions import FRAME_SAMPLES, misheard, questions


def steps(*waits: float, failed: tuple[int, ...] = ()) -> list[dict[str, float]]:
    return [{"callers": 2**at, "turns": 9, "failed": int(at in failed), "p95": wait} for at, wait in enumerate(waits)]


@pytest.mark.parametrize(
    ("measured", "found"),
    [
        (steps(500, 510, 600, 900), 4),
        (steps(500, 510, 600, 700), 8),
        (steps(500, 510, 520, failed=(2,)), 2),
        (steps(500, 510, failed=(0,)), None),
        (steps(500, 900, 510), 1),
    ],
)
def test_the_knee_is_the_last_step_before_it_gets_slow_or_fails(measured: list[dict[str, float]], found: int | None) -> None:
    assert knee(measured, slower=1.5) == found


def test_a_percentile_is_the_value_that_so_many_do_not_exceed() -> None:
    assert percentiles([float(value) for value in range(100, 0, -1)]) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "p99": 7.0}


def test_a_chart_is_an_image_with_its_lines_and_its_mark() -> None:
    lines = [Line("p50", [(1, 500), (8, 700)]), Line("p95 <all>", [(1, 600), (8, 1900)])]
    drawn = ElementTree.fromstring(chart(lines, "callers", "ms", mark=8))
    assert len(drawn.findall("{*}polyline")) == 2
    assert {"knee", "p95 <all>", "callers"} <= {text.text for text in drawn.findall("{*}text")}


def test_a_question_knows_where_its_speech_ends() -> None:
    for question in questions():
        assert 0 < question.last_speech < len(question.frames)
        assert {len(frame) for frame in question.frames} == {2 * FRAME_SAMPLES}


def test_case_and_punctuation_are_not_misheard() -> None:
    assert misheard("What time is it?", "what time is it") == 0
    assert misheard("What time is it?", "what lime is it") == 0.25


@pytest.mark.parametrize(("wait_s", "sessions"), [(1.0, 2.0), (1.5, 3.0), (3.0, 5.0), (9.0, None), (0.5, None)])
def test_the_sessions_at_a_wait_lie_on_the_line_between_what_was_measured(wait_s: float, sessions: float | None) -> None:
    assert at_wait([(2, 1.0), (4, 2.0), (6, 4.0)], wait_s) == sessions


def loads(*waits: tuple[int, float]) -> list[Load]:
    return [Load(sessions, (wait_s,) * 20) for sessions, wait_s in waits]


def test_more_sessions_never_wait_less() -> None:
    assert rising(loads((2, 1.0), (4, 3.0), (6, 2.0), (8, 4.0))) == [1.0, 2.5, 2.5, 4.0]
    assert carried(loads((2, 1.0), (4, 3.0), (6, 2.0), (8, 4.0)), 3.25) == 7.0


def test_a_ratio_of_noisy_loads_is_a_range() -> None:
    noisy = [Load(sessions, tuple(sessions / 2 + late / 10 for late in range(20))) for sessions in (2, 4, 6)]
    twice = [Load(2 * load.sessions, load.waits_s) for load in noisy]
    between = ratio_between(noisy, twice, 4.0)
    assert between is not None
    low, high = between
    assert 1.7 < low < 2.0 < high < 2.4
    assert ratio_between(noisy, twice, 9.0) is None


@pytest.mark.parametrize(
    ("over_ms", "share"), [(500, 0.0), (800, 0.0), (1100, 0.5), (1400, 1.0), (2000, 1.0)]
)
def test_hidden_is_the_share_of_the_work_that_was_done_when_the_turn_was_over(over_ms: float, share: float) -> None:
    """The model is asked at 800 ms, the first sound is there at 1400 ms."""
    stages = [["endpointing", 0, over_ms], ["first_token", 800, 1000], ["first_clause", 1000, 1100], ["synthesis", 1100, 1400]]
    assert hidden({"stages": stages}) == share


@pytest.mark.parametrize(("turns", "left", "sure"), [(1, 0, 0.0), (5, 0, 0.94), (8, 1, 0.93), (12, 2, 0.96)])
def test_the_median_lies_between_two_of_the_turns_as_surely_as_coins_say(turns: int, left: int, sure: float) -> None:
    """Each turn is on either side of the true median with the same chance."""
    assert sureness(turns) == (left, pytest.approx(sure, abs=0.005))
