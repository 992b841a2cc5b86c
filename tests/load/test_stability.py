"""The table of stability: what a cell counts, and what is listed below it."""

from typing import Any

from load_tests.stability import LAST, table


def row(run: int, part: str = "web", condition: str = "alone", **failed: str) -> dict[str, Any]:
    return {"commit": "abc", "part": part, "condition": condition, "run": run, "failed": failed, "seconds": 10 * run, "load": 1.5}


def cells(rows: list[dict[str, Any]], part: str) -> list[str]:
    (line,) = [line for line in table(rows).splitlines() if line.startswith(f"| {part} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_failure_makes_a_cell_red_until_it_is_older_than_the_runs_that_count() -> None:
    failed, good = row(1, test="it broke"), [row(run) for run in range(2, LAST + 2)]
    assert cells([failed, *good[:-1]], "web")[1] == f"**red** {LAST - 1} of {LAST}"
    assert cells([failed, *good], "web")[1] == f"green {LAST} of {LAST}"
    assert "run 1: `test`: it broke" in table([failed, *good])


def test_what_was_not_run_is_said() -> None:
    assert cells([row(1)], "web")[1:] == ["green 1 of 1", "not run", "not run", "10", "1.5"]
    assert cells([row(1)], "e2e")[1:] == ["not run"] * 5
