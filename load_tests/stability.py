"""Run every test that starts a server or a browser several times, also on a busy machine and on one core, and write a table of what failed.

    .venv/bin/python -m load_tests.stability                      # five times each: hours
    .venv/bin/python -m load_tests.stability --times 1 --parts load web --conditions alone
    .venv/bin/python -m load_tests.stability --table              # only the table of what was run so far
    .venv/bin/python -m load_tests.stability --logs FOLDER        # keeps there what pytest wrote in the runs that failed

Each run is a pytest process of its own. What was run on this commit already is not run again, so that a run of hours can be broken off and
taken up. Writes load_tests/results/stability.json and .md. A cell counts the last five runs, so that a fault that is mended leaves it;
below the table every failure is listed with its commit.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

from load_tests.about import machine
from load_tests.say import say

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "load_tests/results/stability.json"
PARTS = {
    "load": ["tests/load"],
    "web": ["tests/web"],
    "clients": ["tests/clients"],
    "cluster": ["tests/cluster"],
    "deployments": ["tests/deployments"],
    "two_nodes": ["-p", "no:unraisableexception", "tests/two_nodes"],
    "e2e": ["tests/e2e"],
    "prometheus": ["tests/observability/test_prometheus.py"],
    "conformance": ["tests/conformance"],
}
"""What pytest is given for each."""
CONDITIONS = {
    "alone": "no load is added",
    "busy": "a process that computes all the time on each core, at the same priority",
    "one core": "taskset to one core",
}
LONGEST_S = 3600.0
"""Beyond this a run counts as hung."""
LAST = 5
"""So many runs of a part under one condition are counted."""


def main() -> int:
    args = _arguments()
    rows: list[dict[str, Any]] = json.loads(RESULT.read_text()) if RESULT.exists() else []
    commit = _said("git", "rev-parse", "--short", "HEAD")
    for number in range(1, args.times + 1):
        for condition in args.conditions:
            for part in args.parts:
                if args.table or any(_key(row) == (commit, part, condition, number) for row in rows):
                    continue
                kept = args.logs and args.logs / f"{commit}-{part}-{condition.replace(' ', '_')}-{number}.log"
                row = {"commit": commit, "part": part, "condition": condition, "run": number, **run(part, condition, kept)}
                rows.append(row)
                RESULT.write_text(json.dumps(rows, indent=1) + "\n")
                say(f"{part}, {condition}, run {number}: {_cell([row])} in {row['seconds']} s")
    RESULT.with_suffix(".md").write_text(table(rows))
    return int(any(row["failed"] for row in rows if row["commit"] == commit))


def run(part: str, condition: str, kept: Path | None = None) -> dict[str, Any]:
    """Run one part once. Each failed test is named, with the first line of its message; a run that hangs or breaks off is one failure.
    `kept`: where the log of a run that failed goes."""
    with tempfile.TemporaryDirectory() as folder, _condition(condition):
        report, log = Path(folder) / "junit.xml", Path(folder) / "log"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *PARTS[part]]
        if condition == "one core":
            command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), *command]
        began = time.monotonic()
        with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, start_new_session=True) as running:
            try:
                running.wait(LONGEST_S)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, signal.SIGKILL)
        seconds = round(time.monotonic() - began)
        if kept and running.returncode != 0:
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, kept)
        if not report.exists():
            why = f"no report; it ended with {running.returncode}: {log.read_text()[-300:]}"
            return {"passed": 0, "skipped": 0, "failed": {"the run": why}, "seconds": seconds, "load": _load()}
        return {**_read(report), "seconds": seconds, "load": _load()}


def _load() -> float:
    """The machine's load average of the last five minutes, which shows what else ran."""
    return round(os.getloadavg()[1], 1)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One row for each part, one column for each condition, and below it every test that failed."""
    lines = [
        "# Stability of the tests that start a server or a browser",
        "",
        f"`python -m load_tests.stability` on {machine()}; {datetime.now(UTC):%d %B %Y}. In each cell: runs without a failure "
        f"of the last {LAST}.",
        *(f"{name.capitalize()}: {what}." for name, what in CONDITIONS.items()),
        "",
        f"| tests | {' | '.join(CONDITIONS)} | seconds, median of alone | load average, median of alone |",
        f"| --- | {' | '.join('---' for _ in CONDITIONS)} | --- | --- |",
    ]
    for part in PARTS:
        of_part = [row for row in rows if row["part"] == part]
        cells = [_cell([row for row in of_part if row["condition"] == condition]) for condition in CONDITIONS]
        alone = [row for row in of_part if row["condition"] == "alone"]
        figures = [str(median(row[name] for row in alone)) if alone else "not run" for name in ("seconds", "load")]
        lines.append(f"| {part} | {' | '.join((*cells, *figures))} |")
    commits = ", ".join(dict.fromkeys(row["commit"] for row in rows))
    lines += ["", f"Commits: {commits}.", ""]
    for row in rows:
        for test, why in row["failed"].items():
            lines.append(f"- {row['commit']}, {row['part']}, {row['condition']}, run {row['run']}: `{test}`: {' '.join(why.split())[:200]}")
    return "\n".join(lines).rstrip() + "\n"


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "not run"
    rows = rows[-LAST:]
    good = sum(not row["failed"] for row in rows)
    return f"{'green' if good == len(rows) else '**red**'} {good} of {len(rows)}"


def _key(row: dict[str, Any]) -> tuple[str, str, str, int]:
    return row["commit"], row["part"], row["condition"], row["run"]


def _read(report: Path) -> dict[str, Any]:
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = {}
    for case in cases:
        for problem in (*case.findall("failure"), *case.findall("error")):
            failed[f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"] = problem.get("message", "").split("\n")[0]
    skipped = sum(case.find("skipped") is not None for case in cases)
    if not cases:
        failed["the run"] = "no test was run"
    return {"passed": len(cases) - len(failed) - skipped, "skipped": skipped, "failed": failed}


@contextmanager
def _condition(condition: str) -> Iterator[None]:
    """Keep every core busy meanwhile, where that is the condition."""
    burning = "while True: pass"
    cores = os.cpu_count() or 1
    burners = [subprocess.Popen([sys.executable, "-c", burning]) for _ in range(cores if condition == "busy" else 0)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def _said(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--logs", type=Path, metavar="FOLDER")
    parser.add_argument("--table", action="store_true", help="run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
