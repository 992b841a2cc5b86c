"""More and more callers on one running server: latency against sessions, with the knee marked.

    python -m load_tests.knee --host ws://127.0.0.1:8000 --callers 1 2 4 8 16 --seconds 60 --out load_tests/results/knee-NAME

Each step is a run of locustfile.py in a process of its own. Writes OUT.json and OUT.svg. The knee is the largest number of callers that the
server carries: the wait (p95) is at most `--slower` times that of the first step, and no turn fails.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from load_tests.about import about
from load_tests.picture import Line, chart
from load_tests.say import say

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
SPAWN_S = 5.0
"""All callers of a step have come after so long."""


def main() -> None:
    args = _arguments()
    described = about("load_tests.knee") | {"what": args.what}
    steps = []
    for callers in args.callers:
        steps.append(step(args, callers))
        say("{callers:4d} callers: wait p50 {p50:.0f} ms, p95 {p95:.0f} ms; {turns} turns, {failed} failed".format(**steps[-1]))
    found = knee(steps, args.slower)
    say(f"the knee: {found or 'none'} callers" + ("" if found != args.callers[-1] else " or more"))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    result = described | {"steps": steps, "knee": found}
    args.out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    lines = [Line(name, [(one["callers"], one[name]) for one in steps]) for name in ("p50", "p95", "p99")]
    args.out.with_suffix(".svg").write_text(chart(lines, "callers", "wait for the answer in ms", mark=found))


def step(args: argparse.Namespace, callers: int) -> dict[str, Any]:
    """One run."""
    ran = subprocess.run(locust(args.host, callers, args.seconds, args.more), capture_output=True, text=True, check=False)
    if not ran.stdout.strip():
        sys.exit(f"locust failed: {ran.stderr[-2000:]}")
    return {"callers": callers, **turns_of(json.loads(ran.stdout))}


def locust(host: str, callers: int, seconds: int, more: Sequence[str]) -> list[str]:
    """The command that prints, as JSON, what `callers` saw of the server at `host`."""
    shape = ["--users", callers, "--spawn-rate", max(1, callers / SPAWN_S), "--run-time", f"{seconds}s", "--headless", "--json"]
    command = [sys.executable, "-m", "locust", "-f", LOCUSTFILE, "--host", host, *shape, "--loglevel", "ERROR", *more]
    return [str(word) for word in command]


def turns_of(said: list[dict[str, Any]]) -> dict[str, Any]:
    """Of what locust said. Milliseconds; the percentiles are of the turns that did not fail."""
    kinds = [kind for kind in said if kind["method"] == "VOICE"]
    waits: list[float] = []
    for kind in kinds:
        waits += [float(ms) for ms, times in kind["response_times"].items() for _ in range(times) if float(ms) > 0]
    failed = sum(kind["num_failures"] for kind in kinds)
    return {"turns": sum(kind["num_requests"] for kind in kinds), "failed": failed, **percentiles(waits)}


def percentiles(values: list[float]) -> dict[str, float]:
    """The value that so many in a hundred do not exceed; 0 without values."""
    ordered = sorted(values) or [0.0]
    return {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}


def knee(steps: list[dict[str, Any]], slower: float) -> int | None:
    carried = None
    for one in steps:
        if one["failed"] or not one["turns"] or one["p95"] > slower * steps[0]["p95"]:
            break
        carried = one["callers"]
    return carried


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(epilog="What follows -- goes to locust.")
    parser.add_argument("--host", default="ws://127.0.0.1:8000")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=int, default=60, help="of each step")
    parser.add_argument("--slower", type=float, default=1.5, help="how much longer than with the fewest callers a wait may be")
    parser.add_argument("--what", default="", help="what the server runs, for the record")
    parser.add_argument("--out", type=Path, default=Path("knee"))
    args, args.more = parser.parse_known_args()
    args.more = [word for word in args.more if word != "--"]
    return args


if __name__ == "__main__":
    main()
