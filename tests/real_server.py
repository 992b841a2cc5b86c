"""A real server, started as a user starts it, with the real engines, on the CPU."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
START_S = 900
"""Only to fail instead of hanging: loading takes one to three minutes on two cores."""


@contextmanager
def running(log: Path, profile: str = "cpu", *settings: str, **environment: str) -> Iterator[str]:
    """Its address, once it is ready. SPARKVOX_TEST_URL names one of profile cpu that is running already. `log` is where it writes."""
    if profile == "cpu" and (address := os.environ.get("SPARKVOX_TEST_URL")):
        yield address
        return
    port = free_port()
    _end_properly()
    command = [str(Path(sys.executable).parent / "sparkvox"), "serve", f"profile={profile}", *settings, "--port", str(port)]
    with log.open("w") as out:
        server = subprocess.Popen(
            command, env=_environment() | environment, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(f"{url}/readyz", server, log)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(120)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def wait_until(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """It answers 200 at `url`."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            pytest.fail(f"the server ended with {server.returncode}:\n{log.read_text()[-4000:]}")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(1)
    pytest.fail(f"the server is not ready after {START_S} s:\n{log.read_text()[-4000:]}")


def _end_properly() -> None:
    """Whoever is told to end (`timeout`, a service manager) ends its server, too, as with Ctrl-C: else Ray and the models would stay."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _environment() -> dict[str, str]:
    """The user's, without what other tests told Ray in this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
