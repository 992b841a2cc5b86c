"""Processes that a node starts beside Ray, to ask the cluster for something (node_calls.py)."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.errors import SparkvoxError

POLL_S = 0.2
END_S = 5.0
ROOT = Path(__file__).parent.parent


class CallFailed(SparkvoxError):
    """The cluster did not do what it was asked."""


def started(name: str, given: Any, environment: Mapping[str, str], silent: bool = False) -> subprocess.Popen[str]:
    """A call under way. In a session of its own: Ctrl-C in a terminal is for the node, which ends what it has started in order."""
    words = [] if given is None else [json.dumps(given)]
    output = subprocess.PIPE if silent else None
    argv = [sys.executable, "-m", "cluster.node_calls", name, *words]
    return subprocess.Popen(argv, env=dict(environment), cwd=ROOT, stdout=output, stderr=output, text=True, start_new_session=True)


def asked(name: str, given: Any, environment: Mapping[str, str], within_s: float, hurry: threading.Event) -> Any:
    """The answer. Raises `CallFailed`, also when it takes too long or `hurry` is set."""
    child = started(name, given, environment, silent=True)
    until = time.monotonic() + within_s
    try:
        out, err = _said(child, until, hurry)
    except subprocess.TimeoutExpired:
        raise CallFailed(f"{name} took longer than {within_s:.0f} s") from None
    finally:
        end(child, END_S)
    if child.returncode:
        raise CallFailed(last_line(err) or f"{name} ended with {child.returncode}")
    return json.loads(last_line(out) or "null")


def _said(child: "subprocess.Popen[str]", until: float, hurry: threading.Event) -> tuple[str, str]:
    """Reads what the child writes until it ends: a child whose pipe is full waits for its reader. Raises `TimeoutExpired` at `until`, or
    once `hurry` is set."""
    while True:
        try:
            return child.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if hurry.is_set() or time.monotonic() >= until:
                raise


def end(child: "subprocess.Popen[Any]", within_s: float) -> None:
    """In order if it can within the time."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            child.kill()
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
