"""When memory runs short: what is given up, in which order, and when it comes back."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.machine_memory import read
from serve_app.pressure import GB, Level, Limits, Pressure, Reading, Shedding

SPARK = 121 * GB
PLENTY = Reading(SPARK, 60 * GB)
LOW = Reading(SPARK, 3 * GB)
CRITICAL = Reading(SPARK, 1 * GB)
BETWEEN = Reading(SPARK, 4 * GB)
LIMITS = Limits(step_s=2.0, calm_s=10.0)


def levels(pressure: Pressure, readings: list[tuple[float, Reading]]) -> list[Level]:
    return [pressure.read(reading, now) for now, reading in readings]


def test_sessions_are_given_up_first_then_speculation_then_the_largest_cache_then_all() -> None:
    seen = levels(Pressure(LIMITS), [(0, PLENTY), (1, LOW), (2, LOW), (3, LOW), (4, LOW), (5, LOW), (6, LOW), (7, LOW), (99, LOW)])
    assert seen == [
        Level.NORMAL,
        Level.NO_NEW_SESSIONS,
        Level.NO_NEW_SESSIONS,
        Level.NO_SPECULATION,
        Level.NO_SPECULATION,
        Level.LARGEST_CACHE,
        Level.LARGEST_CACHE,
        Level.ALL_CACHES,
        Level.ALL_CACHES,
    ]


def test_very_short_memory_goes_through_the_same_steps_without_waiting() -> None:
    assert levels(Pressure(LIMITS), [(0, CRITICAL), (0.1, CRITICAL), (0.2, CRITICAL), (0.3, CRITICAL)]) == [1, 2, 3, 4]


def test_all_comes_back_one_step_at_a_time_once_it_has_been_easy() -> None:
    pressure = Pressure(LIMITS)
    levels(pressure, [(0, CRITICAL), (0.1, CRITICAL), (0.2, CRITICAL)])
    seen = levels(pressure, [(1, PLENTY), (10.9, PLENTY), (11, PLENTY), (20.9, PLENTY), (21, PLENTY), (31, PLENTY), (99, PLENTY)])
    assert seen == [3, 3, 2, 2, 1, 0, 0]


def test_between_the_limits_nothing_changes_and_the_calm_begins_anew() -> None:
    pressure = Pressure(LIMITS)
    assert levels(pressure, [(0, LOW), (1, PLENTY), (9, BETWEEN), (10, PLENTY), (19, PLENTY), (20, PLENTY)]) == [1, 1, 1, 1, 1, 0]


def test_work_that_stands_still_counts_however_much_is_available() -> None:
    pressure = Pressure(LIMITS)
    assert pressure.read(Reading(SPARK, 60 * GB, stalled=0.12), 0) is Level.NO_NEW_SESSIONS
    assert pressure.why == "for 12% of the last 10 s all work stood still for want of memory"


def test_the_reason_has_the_figures() -> None:
    pressure = Pressure(LIMITS)
    pressure.read(LOW, 0)
    assert pressure.why == "3.0 of 121.0 GB are available, less than 3.6"


@pytest.mark.parametrize(
    "ordinary",
    [Reading(8 * GB, 600_000_000), Reading(16 * GB, 1 * GB, stalled=0.04), Reading(4 * GB, 150_000_000, stalled=0.02)],
    ids=["a browser with all its tabs", "some swapping", "a small machine"],
)
def test_an_ordinarily_full_laptop_refuses_nobody(ordinary: Reading) -> None:
    pressure = Pressure(LIMITS)
    assert {pressure.read(ordinary, float(second)) for second in range(60)} == {Level.NORMAL}


def test_a_limit_that_is_set_takes_the_place_of_the_default() -> None:
    assert Pressure(Limits(low_bytes=70 * GB)).read(PLENTY, 0) is Level.NO_NEW_SESSIONS


READINGS = st.builds(Reading, st.just(SPARK), st.integers(0, SPARK), st.floats(0, 1))


@given(st.lists(st.tuples(st.floats(0, 30), READINGS), max_size=40))
def test_a_step_is_never_skipped_and_a_quiet_machine_always_comes_back(moments: list[tuple[float, Reading]]) -> None:
    pressure, now, before = Pressure(LIMITS), 0.0, Level.NORMAL
    for wait, reading in moments:
        now += wait
        level = pressure.read(reading, now)
        assert abs(level - before) <= 1
        before = level
    for _ in range(60):
        now += 1
        pressure.read(PLENTY, now)
    assert pressure.level is Level.NORMAL


def test_what_is_given_up_follows_the_level() -> None:
    shedding = Shedding()
    given_up = []
    for level in Level:
        shedding.level = level
        given_up.append((shedding.takes_sessions, shedding.speculates))
    assert given_up == [(True, True), (False, True), (False, False), (False, False), (False, False)]


def proc(folder: Path, available_kib: int, stalled: str = "0.00") -> Path:
    (folder / "pressure").mkdir()
    sizes = f"MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:   {available_kib} kB\nSwapTotal:  7 kB\n"
    (folder / "meminfo").write_text(f"{sizes}HugePages_Total: 0\n")
    (folder / "pressure" / "memory").write_text(
        f"some avg10=99.00 avg60=0.00 avg300=0.00 total=5\nfull avg10={stalled} avg60=0.00 avg300=0.00 total=2\n"
    )
    return folder


def test_the_kernels_figures_are_read(tmp_path: Path) -> None:
    assert read(proc(tmp_path, 400, "12.50")) == Reading(1000 * 1024, 400 * 1024, 0.125, 7 * 1024)


def test_a_kernel_without_pressure_figures_is_watched_by_what_is_available(tmp_path: Path) -> None:
    proc(tmp_path, 400)
    (tmp_path / "pressure" / "memory").unlink()
    assert read(tmp_path).stalled == 0.0


def test_this_machine_can_be_read() -> None:
    reading = read(Path("/proc"))
    assert 0 < reading.available_bytes <= reading.total_bytes
