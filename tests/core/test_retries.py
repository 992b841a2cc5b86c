from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.retries import LONGEST_PAUSE_S, MOST, WITHIN_S, Retries


def test_work_is_begun_again_after_pauses_that_double() -> None:
    retries = Retries(0.0)
    assert [retries.again_in(1.0), retries.again_in(2.0)] == [0.1, 0.2]


def test_what_was_lost_too_often_has_failed() -> None:
    retries = Retries(0.0)
    assert [retries.again_in(1.0) is None for _ in range(MOST + 1)] == [False] * MOST + [True]


def test_what_was_silent_until_its_deadline_is_not_begun_again() -> None:
    assert Retries(100.0).again_in(100.0 + WITHIN_S) is None


def test_without_a_most_it_goes_on_for_as_long_as_there_is_time() -> None:
    retries = Retries(0.0, most=None)
    assert all(retries.again_in(1.0) is not None for _ in range(100))
    assert retries.again_in(WITHIN_S) is None


@given(st.lists(st.floats(0, 1000), max_size=50).map(sorted), st.one_of(st.none(), st.integers(0, 5)))
def test_pauses_never_shrink_nor_pass_their_longest_and_what_is_late_stays_failed(moments: list[float], most: int | None) -> None:
    retries, last = Retries(0.0, most), 0.0
    failed = False
    for moment in moments:
        pause_s = retries.again_in(moment)
        assert not (failed and pause_s is not None)
        failed = pause_s is None
        if pause_s is not None:
            assert last <= pause_s <= LONGEST_PAUSE_S
            last = pause_s
