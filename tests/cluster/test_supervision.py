import os
import subprocess
import sys
import threading
import time

import pytest

from cluster import children, processes
from cluster.children import CallFailed
from cluster.node_state import MARK
from cluster.supervision import Backoff, Signals


def test_each_wait_is_twice_the_last_up_to_a_bound() -> None:
    backoff = Backoff(first_s=1, most_s=6, settled_s=60)
    assert [backoff.after(lived_s=2) for _ in range(5)] == [1, 2, 4, 6, 6]


def test_after_a_long_life_the_first_wait_is_short_again() -> None:
    backoff = Backoff(first_s=1, most_s=6, settled_s=60)
    for _ in range(4):
        backoff.after(lived_s=2)
    assert backoff.after(lived_s=61) == 1


def test_who_asks_twice_does_not_want_to_wait() -> None:
    signals = Signals()
    signals.ask()
    assert (signals.stop.is_set(), signals.hurry.is_set()) == (True, False)
    signals.ask()
    assert signals.hurry.is_set()


def test_what_a_start_has_left_is_known_by_its_mark_and_ended() -> None:
    sleeper = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]
    ours, others = (
        subprocess.Popen(sleeper, env={**os.environ, MARK: mark}, stdout=subprocess.PIPE, start_new_session=True) for mark in ("aa", "aab")
    )
    try:
        for one in (ours, others):
            assert one.stdout is not None
            one.stdout.readline()
        assert list(processes.marked("aa")) == [ours.pid]
        assert processes.end("aa") == 1
        assert ours.wait(30) is not None
        assert others.poll() is None
    finally:
        for one in (ours, others):
            one.kill()
            one.communicate()


def test_a_call_that_fails_says_why_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CallFailed, match="nonsense"):
        children.asked("nonsense", None, dict(os.environ), 60, threading.Event())


def test_a_call_is_given_up_when_somebody_is_in_a_hurry() -> None:
    hurry = threading.Event()
    hurry.set()
    began = time.monotonic()
    with pytest.raises(CallFailed):
        children.asked("shared", None, {**os.environ, "RAY_ADDRESS": "192.0.2.1:6379"}, 600, hurry)
    assert time.monotonic() - began < 60
