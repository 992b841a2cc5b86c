"""How much one key may have, and all together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.admission import Admission, Refused, refuse_without_key
from serve_app.errors import SettingsError
from serve_app.limits import Allowance, Allowances, LimitReached, Limits


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_minute_of_audio_may_come_at_once_and_more_when_time_has_passed(clock: Clock) -> None:
    allowance = Allowances(None, clock).of("a", Limits(audio_s_a_minute=120))
    allowance.take(120)
    with pytest.raises(LimitReached, match=r"room for it in 5\.0 s"):
        allowance.take(10)
    clock.now = 5.0
    allowance.take(10)
    with pytest.raises(LimitReached):
        allowance.take(0.1)


def test_what_can_never_come_at_once_is_told_so(clock: Clock) -> None:
    with pytest.raises(LimitReached, match="Send less at once"):
        Allowances(None, clock).of("a", Limits(audio_s_a_minute=60)).take(61)


def test_the_sessions_of_one_key_share_its_audio_and_other_keys_have_their_own(clock: Clock) -> None:
    allowances, limits = Allowances(None, clock), Limits(audio_s_a_minute=60)
    allowances.of("a", limits).take(60)
    with pytest.raises(LimitReached, match="this key"):
        allowances.of("a", limits).take(1)
    allowances.of("b", limits).take(60)


def test_all_keys_together_have_a_limit_and_what_it_refuses_costs_a_key_nothing(clock: Clock) -> None:
    allowances, limits = Allowances(100, clock), Limits(audio_s_a_minute=60)
    first, second = allowances.of("a", limits), allowances.of("b", limits)
    first.take(60)
    with pytest.raises(LimitReached, match="all together"):
        second.take(50)
    clock.now = 6.0
    second.take(50)


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 100)), max_size=50))
def test_never_more_than_two_minutes_worth_comes_in_a_minute(pieces: list[tuple[float, float]]) -> None:
    clock, taken = Clock(), list[tuple[float, float]]()
    allowance = Allowances(None, clock).of("a", Limits(audio_s_a_minute=60))
    for wait_s, seconds in pieces:
        clock.now += wait_s
        try:
            allowance.take(seconds)
            taken.append((clock.now, seconds))
        except LimitReached:
            continue
    for start, _ in taken:
        assert sum(seconds for at, seconds in taken if start <= at <= start + 60) <= 120.001


def test_the_nearest_limit_is_told_in_tokens_of_a_tenth_of_a_second(clock: Clock) -> None:
    allowance = Allowances(600, clock).of("a", Limits(audio_s_a_minute=60))
    allowance.take(30)
    assert allowance.rate_limits() == [{"name": "tokens", "limit": 600, "remaining": 300, "reset_seconds": 30.0}]


def test_without_limits_nothing_is_told_and_nothing_refused(clock: Clock) -> None:
    allowance = Allowances(None, clock).of("a", Limits())
    allowance.take(1e9)
    assert allowance.rate_limits() == Allowance().rate_limits() == []


def test_a_key_has_so_many_places_and_gets_them_back() -> None:
    admission = Admission(3)
    with admission.session("a", 1), admission.session("b", 1):
        with pytest.raises(LimitReached, match="this key"), admission.session("a", 1):
            pass
        with admission.session("c"), pytest.raises(Refused, match="all 3 places"), admission.session("d"):
            pass
    with admission.session("a", 1):
        assert admission.sessions == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "a-name.example"])
def test_a_server_that_others_reach_needs_a_key(host: str) -> None:
    with pytest.raises(SettingsError, match="sparkvox keys new"):
        refuse_without_key(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_a_server_that_nobody_else_reaches_needs_none(host: str) -> None:
    refuse_without_key(host)
