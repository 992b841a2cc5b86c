import os
import subprocess
import sys
import threading
import time
from pathlib import Path

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


def asleep(more: dict[str, str], *keeps: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], env={**os.environ, **more}, pass_fds=keeps, start_new_session=True)


def test_what_a_start_has_left_is_known_and_ended(tmp_path: Path) -> None:
    """One that has overwritten its environment, as Ray's do, is known by the log that it writes."""
    logs = tmp_path / "ray"
    logs.mkdir()
    with (logs / "agent.log").open("w") as log, (logs / "agent.log").open() as read:
        marked, retitled = asleep({MARK: "aa"}), asleep({}, log.fileno())
        reader, others = asleep({}, read.fileno()), asleep({MARK: "aab"})
    try:
        assert sorted(processes.ours("aa", logs)) == sorted([marked.pid, retitled.pid])
        assert processes.end("aa", logs) == 2
        assert marked.wait(30) is not None and retitled.wait(30) is not None
        assert reader.poll() is None and others.poll() is None
    finally:
        for one in (marked, retitled, reader, others):
            one.kill()
            one.wait()


def test_a_call_that_fails_says_why_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CallFailed, match="nonsense"):
        children.asked("nonsense", None, dict(os.environ), 60, threading.Event())


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_call_may_say_more_than_a_pipe_holds(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    says = f"import sys; sys.{stream}.write('a warning of many lines\\n' * 20_000); print('[1, 2]')"

    def started(*given: object, **how: object) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", says], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    monkeypatch.setattr(children, "started", started)
    assert children.asked("shared", None, {}, 60, threading.Event()) == [1, 2]


def test_a_call_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def started(*given: object, **how: object) -> subprocess.Popen[str]:
        sleeps = [sys.executable, "-c", "import time; time.sleep(3600)"]
        calls.append(subprocess.Popen(sleeps, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return calls[0]

    monkeypatch.setattr(children, "started", started)
    with pytest.raises(CallFailed, match="shared took longer than 0 s"):
        children.asked("shared", None, {}, 0.0, threading.Event())
    assert calls[0].returncode is not None


def test_a_call_is_given_up_when_somebody_is_in_a_hurry() -> None:
    hurry = threading.Event()
    hurry.set()
    began = time.monotonic()
    with pytest.raises(CallFailed):
        children.asked("shared", None, {**os.environ, "RAY_ADDRESS": "192.0.2.1:6379"}, 600, hurry)
    assert time.monotonic() - began < 60
