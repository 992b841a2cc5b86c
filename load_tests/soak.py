"""Callers for a long time: no turn may fail, memory must stay flat, and nothing may be left when all have hung up.

    python -m load_tests.soak [--profile cpu] [--callers 1] [--minutes 30] [--out load_tests/results/soak-NAME] [-- --think-s 3]

Starts a server, calls it with locustfile.py (`--callers`: what load_tests.knee finds), and looks at the memory of each kind of its
processes all the while. Writes OUT.json and OUT.html, the report of locust with the waits over time. Ends with 1 where turns failed or
something was left. Memory is proportional (PSS): what processes share is divided among them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from load_tests.about import about
from load_tests.knee import locust, turns_of
from load_tests.memory import Growth, growth, memory_mib
from load_tests.processes import started_server
from load_tests.say import say
from tests.real_server import running

EMPTY_S = 60.0
"""How long what was left may take to go."""


class Watch(threading.Thread):
    """Takes the memory of a server now and then."""

    def __init__(self, every_s: float) -> None:
        super().__init__(daemon=True)
        self._server = started_server()
        self._every_s = every_s
        self._ended = threading.Event()
        self._begun = time.monotonic()
        self.samples: list[tuple[float, dict[str, float]]] = []
        """Seconds since the start, MiB of each kind of process."""

    def run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.samples.append((round(time.monotonic() - self._begun, 1), memory_mib(self._server)))

    def end(self) -> None:
        self._ended.set()
        self.join()


def main() -> None:
    args = _arguments()
    described = about("load_tests.soak") | {
        "profile": args.profile,
        "settings": args.settings,
        "callers": args.callers,
        "minutes": args.minutes,
    }
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "server.log", args.profile, *args.settings) as address:
        result = _soaked(args, address)
    if args.out:
        args.out.with_suffix(".json").write_text(json.dumps(described | result, indent=2) + "\n")
    sys.exit(1 if result["failed"] or any(result["left"].values()) else 0)


def _soaked(args: argparse.Namespace, address: str) -> dict[str, Any]:
    watch = Watch(args.every_s)
    watch.start()
    report = ["--html", str(args.out.with_suffix(".html"))] if args.out else []
    command = locust(address.replace("http", "ws"), args.callers, round(60 * args.minutes), ["--staggered", *report, *args.more])
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    watch.end()
    if not ran.stdout.strip():
        sys.exit(f"locust failed: {ran.stderr[-2000:]}")
    turns = turns_of(json.loads(ran.stdout))
    say("{turns} turns, {failed} failed; wait p50 {p50:.0f} ms, p95 {p95:.0f} ms".format(**turns))
    grown = {kind: growth(kind, watch.samples) for kind in sorted({kind for _, sample in watch.samples for kind in sample})}
    for kind, one in grown.items():
        say(_line(kind, one))
    left = _left(address)
    say(f"left: {left}")
    memory = {kind: one for kind, one in grown.items() if one is not None}
    return turns | {"left": left, "memory_mib": memory, "samples": watch.samples, "errors": ran.stderr[-2000:].splitlines()}


def _line(kind: str, one: Growth | None) -> str:
    if one is None:
        return f"{kind:30} did not live throughout"
    return f"{kind:30} {one['first']:7.0f} MiB, {one['last']:7.0f} at the end, {one['an_hour']:+7.1f} an hour"


def _left(address: str) -> dict[str, int]:
    """What the gateways still count, once it is nothing or `EMPTY_S` have passed."""
    deadline = time.monotonic() + EMPTY_S
    while True:
        with urllib.request.urlopen(f"{address}/debug/sessions", timeout=30) as answer:
            left = json.loads(answer.read())
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(epilog="What follows -- goes to locust.")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--settings", nargs="*", default=[], help="more settings of the server, name=value")
    parser.add_argument("--callers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every-s", type=float, default=20.0, help="between two looks at the memory")
    parser.add_argument("--out", type=Path)
    args, args.more = parser.parse_known_args()
    args.more = [word for word in args.more if word != "--"]
    return args


if __name__ == "__main__":
    main()
