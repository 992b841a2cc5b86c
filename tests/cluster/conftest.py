"""One cluster of two hosts for the whole folder, because its start takes most of the time; and what its faults took, in a table."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.boxes import Cluster, until
from tests.cluster.hosts import two_hosts, why_not

TIMES: list[tuple[str, str, float]] = []
"""Case, what was waited for, seconds."""


class Stopwatch:
    """Notes what a fault took. Nothing is asserted about it: the machine is slow, shared, and no Spark."""

    def __init__(self, case: str) -> None:
        self._case = case

    def note(self, what: str, seconds: float) -> None:
        TIMES.append((self._case, what, seconds))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := why_not():
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="sv", dir="/tmp") as folder, two_hosts() as hosts:
        cluster = Cluster(hosts, Path(folder))
        cluster.start_head()
        until((cluster.state(cluster.a) / "token").exists, "the head makes a token")
        cluster.start_other()
        yield cluster
    cluster.bury()


@pytest.fixture
def whole(cluster: Cluster, stopwatch: Stopwatch) -> Cluster:
    """With everything on both hosts, whatever the case before has done to it."""
    cluster.start_what_ended()
    try:
        until(cluster.is_whole, "both hosts have all parts")
    except AssertionError:
        raise AssertionError(f"a:\n{cluster.log(cluster.a)}\nb:\n{cluster.log(cluster.b)}") from None
    return cluster


@pytest.fixture
def stopwatch(request: pytest.FixtureRequest) -> Stopwatch:
    return Stopwatch(request.node.name.removeprefix("test_").replace("_", " "))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not TIMES:
        return
    terminalreporter.section("recovery, two hosts on this machine, fake engines")
    for case, what, seconds in TIMES:
        terminalreporter.write_line(f"{seconds:6.1f} s  {what:<58} {case}")
