"""Runs the checks against any server: python -m tests.conformance --url ws://host:port/v1/realtime"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.conformance import report
from tests.conformance.every import CHECKS
from tests.conformance.suite import Check, Need, Options, Result, Suite

GIVEN = frozenset({Need.SPEECH, Need.WORDS, Need.TOOLS})


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    if asked.list:
        _tell("\n".join(f"{one.name}: {one.rule}" for one in CHECKS) + "\n")
        return 0
    if not asked.url:
        _parser().error("--url is needed")
    checks = chosen(asked.only)
    if not checks:
        _parser().error(f"no check has {asked.only!r} in its name")
    rows = asyncio.run(run(_options(asked), checks))
    about = f"{asked.url}, {datetime.now(UTC):%Y-%m-%d}"
    if asked.report:
        asked.report.write_text(report.as_markdown(rows, about))
    if asked.json:
        asked.json.write_text(report.as_json(rows, asked.url))
    _tell("\n" + report.as_text(rows))
    return 1 if any(row.outcome == "failed" for row in rows) else 0


def chosen(only: str | None) -> list[Check]:
    """Those with one of the words, parted by commas, in their name."""
    words = (only or "").split(",")
    return [one for one in CHECKS if any(word in one.name for word in words)]


async def run(options: Options, checks: Sequence[Check]) -> list[report.Row]:
    """One after the other, telling each as it ends; then the rules that hold always."""
    suite, results = Suite(options), list[Result]()
    for one in checks:
        results.append(result := await suite.run(one))
        _tell(f"{result.outcome:8} {one.name} ({result.seconds:.1f} s) {result.why}".rstrip() + "\n")
    missing = await report.ask_javascript(results)
    return [*map(report.row_of, results), *report.rows_of_rules(results, missing)]


def _options(asked: argparse.Namespace) -> Options:
    has = set(GIVEN) - {Need(name) for name in asked.without.split(",") if name}
    has |= {Need(name) for name in asked.having.split(",") if name}
    key = os.environ[asked.key_env] if asked.key_env else None
    for need, given in ((Need.KEY, key), (Need.SHORT_SESSION, asked.session_s), (Need.PLACES, asked.places)):
        if given:
            has.add(need)
    return Options(
        url=asked.url, key=key, model=asked.model, has=frozenset(has), patience_s=asked.patience_s, idle_ms=asked.idle_ms,
        session_s=asked.session_s, places=asked.places,
    )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description="How a server keeps to the OpenAI Realtime protocol.")
    needs = ", ".join(Need)
    parser.add_argument("--url", help="ws://host:port/v1/realtime")
    parser.add_argument("--key-env", metavar="NAME", help="the environment variable that holds the key")
    parser.add_argument("--model", help="goes into the address")
    parser.add_argument("--only", metavar="WORD,...", help="checks with one of these in their name")
    parser.add_argument("--without", default="", metavar="NEED,...", help=f"skip what needs this: {needs}")
    parser.add_argument("--having", default="", metavar="NEED,...", help="the server was made for this too")
    parser.add_argument("--report", type=Path, help="write a markdown report here")
    parser.add_argument("--json", type=Path, help="write a JSON report here")
    parser.add_argument("--patience-s", type=float, default=90.0, help="give up waiting for one event after this")
    parser.add_argument("--idle-ms", type=int, default=5000, help="the idle timeout to try")
    parser.add_argument("--session-s", type=float, help="how long sessions of this server are, when they are short")
    parser.add_argument("--places", type=int, help="how many sessions this server takes at once, when nobody else is there")
    parser.add_argument("--list", action="store_true", help="name the checks and their rules")
    return parser


def _tell(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
