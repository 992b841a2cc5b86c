"""What a long load test says of memory."""

import os

import psutil
import pytest

from load_tests.memory import growth, kind_of, memory_mib


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["ray::ServeReplica:sparkvox:Gateway"], "ServeReplica:sparkvox:Gateway"),
        (["ray::ServeReplica:sparkvox:Gateway.__call__ (pid 7)"], "ServeReplica:sparkvox:Gateway"),
        (["ray::ServeController.listen_for_change"], "ServeController"),
        (["/opt/ray/raylet", "--port=1"], "raylet"),
        (["/usr/bin/python3", "-u", "/opt/ray/dashboard/agent.py", "--x"], "agent.py"),
        (["/usr/sbin/haproxy", "-f", "x.cfg"], "haproxy"),
        ([], "?"),
    ],
)
def test_a_process_is_named_after_what_it_runs(command: list[str], kind: str) -> None:
    assert kind_of(command) == kind


def test_memory_that_grows_after_the_start_is_told_by_the_hour() -> None:
    """Much in the first third, which is filling; then a MiB a minute."""
    samples = [(60.0 * minute, {"gateway": 100.0 + (50 * minute if minute < 10 else 500 + minute)}) for minute in range(31)]
    grown = growth("gateway", samples)
    assert grown is not None
    assert grown["an_hour"] == pytest.approx(60, abs=0.1)
    assert (grown["first"], grown["last"]) == (610.0, 630.0)


def test_flat_memory_does_not_grow() -> None:
    grown = growth("gateway", [(float(at), {"gateway": 100.0 + at % 2}) for at in range(40)])
    assert grown is not None
    assert abs(grown["an_hour"]) < 100


def test_what_did_not_live_throughout_has_no_growth() -> None:
    assert growth("probe", [(float(at), {"probe": 1.0} if at == 30 else {}) for at in range(40)]) is None


def test_this_process_takes_memory() -> None:
    assert memory_mib(psutil.Process(os.getpid()))["all"] > 10
