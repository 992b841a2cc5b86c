"""The suite against a server whose engines are fakes: each check is a test."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import obedient, report
from tests.conformance.__main__ import GIVEN, main, run
from tests.conformance.every import CHECKS
from tests.conformance.invariants import Rule
from tests.conformance.suite import Check, Need, Options, Suite
from tests.fake_server import serving

ELSEWHERE = {Need.KEY, Need.SHORT_SESSION, Need.PLACES}
"""What needs a server of its own: the last tests here."""
HERE = [one for one in CHECKS if not ELSEWHERE & set(one.needs)]


def options(url: str, *has: Need, **changed: object) -> Options:
    address = url.replace("http", "ws", 1) + "v1/realtime"
    return dataclasses.replace(Options(address, has=GIVEN | {*has}, patience_s=60, idle_ms=300), **changed)


def named(name: str) -> Check:
    return next(one for one in CHECKS if one.name == name)


@pytest.fixture(scope="module", params=[True, False], ids=["echo", "no echo"])
def suite(request: pytest.FixtureRequest) -> Iterator[Suite]:
    """With the canceller of the default settings, and without it as the profile without weights has it."""
    with serving(max_sessions=16, engines=obedient.engines(), session={"echo": request.param}) as url:
        yield Suite(options(url, Need.FAILING))


@pytest.mark.parametrize("one", HERE, ids=lambda one: one.name)
async def test_it_holds(suite: Suite, one: Check) -> None:
    result = await suite.run(one)
    if result.outcome == "skipped":
        pytest.skip(result.why)
    row = report.row_of(result)
    assert result.outcome == "passed", "\n".join([row.rule, row.why, *row.trace])
    assert not result.breaches, [breach for _, breach in result.breaches.values()]


async def test_every_message_fits_the_schema_of_the_javascript_client(suite: Suite, node: str) -> None:
    rows = await run(suite.options, HERE)
    assert {row.name: row.why for row in rows if row.outcome == "failed"} == {}
    assert rows[-1].rule == Rule.AGENTS_JS and rows[-1].outcome == "passed"


def test_the_command_writes_its_reports(suite: Suite, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, data = tmp_path / "report.md", tmp_path / "report.json"
    files = ["--report", str(table), "--json", str(data)]
    asked = ["--url", suite.options.url, "--only", "items.delete,errors.not JSON", *files]
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "passed   items.delete-is-told" in told and "2 checks" not in told
    assert "| errors.not JSON | " in table.read_text()
    checks = {one["name"]: one["outcome"] for one in json.loads(data.read_text())["checks"]}
    assert checks["items.delete-is-told"] == checks["errors.not JSON"] == checks["always.event-ids"] == "passed"


def test_the_command_names_its_checks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "items.delete-is-told: delete is answered with deleted" in capsys.readouterr().out


async def test_a_session_that_expires_is_told_so() -> None:
    with serving(engines=obedient.engines(), session={"max_s": 0.3}) as url:
        result = await Suite(options(url, Need.SHORT_SESSION, session_s=0.3)).run(named("access.a-session-expires"))
    assert result.outcome == "passed", result.why


async def test_a_server_that_is_full_says_so() -> None:
    with serving(max_sessions=2, engines=obedient.engines()) as url:
        asked = options(url, Need.PLACES, places=2)
        result = await Suite(asked).run(named("access.overload-is-told-so-that-clients-retry"))
    assert result.outcome == "passed", result.why


async def test_what_a_server_cannot_do_is_skipped_with_a_reason(suite: Suite) -> None:
    result = await Suite(dataclasses.replace(suite.options, has=frozenset())).run(named("turns.audio-is-sound"))
    assert (result.outcome, result.why) == ("skipped", "needs speech")
