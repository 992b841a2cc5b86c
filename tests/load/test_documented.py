"""The figures that the documents give of the benchmarks are those of the results that are kept, and these are of the code as it is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from load_tests.bench.spark_on_paper import ASSUMPTIONS, CASES, SERVING, Case, simulated
from load_tests.simulated_talk import Habits

ROOT = Path(__file__).parents[2]
PERFORMANCE = (ROOT / "docs/performance.md").read_text()
README = (ROOT / "README.md").read_text()


def result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "load_tests/results" / f"{name}.json").read_text())
    return found


PAPER, ECHO = result("spark-on-paper"), result("echo-cpu")


def as_stored(what: object) -> object:
    """JSON has no tuples."""
    return json.loads(json.dumps(what))


def test_the_spark_on_paper_assumes_what_the_code_does() -> None:
    assert PAPER["assumptions"] == as_stored([asdict(one) for one in ASSUMPTIONS])
    assert PAPER["habits"] == as_stored(asdict(Habits()))
    assert PAPER["serving"] == as_stored({name: asdict(one) for name, one in SERVING.items()})


@pytest.mark.parametrize(("case", "stored"), list(zip(CASES, PAPER["results"], strict=True)), ids=lambda one: getattr(one, "but", ""))
def test_a_session_alone_waits_on_paper_what_the_result_says(case: Case, stored: dict[str, Any]) -> None:
    assert (case.sparks, case.turns_are, case.but) == (stored["sparks"], stored["turns"], stored["but"])
    assert as_stored(asdict(simulated(case, 1, PAPER["minutes"]))) == stored["rows"][0]


@pytest.mark.parametrize("one", PAPER["assumptions"], ids=lambda one: one["what"])
def test_every_assumption_of_the_spark_on_paper_is_told_with_its_source(one: dict[str, Any]) -> None:
    value = f"{one['value']:.4g} {one['unit']}".strip()
    assert f"| {one['what']} | {value} | {one['source']} |" in PERFORMANCE


@pytest.mark.parametrize("one", PAPER["results"], ids=lambda one: f"{one['sparks']}, {one['turns']}, {one['but']}")
def test_what_sparks_carry_on_paper_is_told_as_it_came_out(one: dict[str, Any]) -> None:
    alone, most = one["rows"][0], one["carried"]
    wait = f"{alone['p50_s']:.2f} / {alone['p95_s']:.2f} s"
    assert f"| {one['sparks']} | {one['turns']} | {one['but']} | {wait} | {most['0.8']} | {most['1.0']} |" in PERFORMANCE


def test_how_well_the_paper_predicts_is_told_as_it_came_out() -> None:
    found = result("paper-check-cpu")
    told = " ".join(PERFORMANCE.split())
    paper, real = found["simulated"], found["real"]
    assert f"predicted to wait {paper['p50_s']:.3f} s at p50 and {paper['p95_s']:.3f} s at p95" in told
    assert f"and waited {real['p50_s']:.3f} and {real['p95_s']:.3f} s" in told


def test_the_readme_tells_what_one_and_two_sparks_carry_on_paper() -> None:
    one, two = (next(row for row in PAPER["results"] if row["sparks"] == name and row["turns"] == "eager") for name in ("one", "two"))
    assert f"{one['carried']['1.0']} sessions at a 95th percentile of 1 s, two carry {two['carried']['1.0']}" in README
    assert f"alone waits {one['rows'][0]['p95_s']:.2f} s" in README


def test_two_nodes_are_told_as_they_were_measured() -> None:
    found = result("two_nodes-paced")
    for row in found["rows"]:
        assert f"| {row['nodes']} | {row['sessions']} | {row['turns']} | {row['p50_s']:.2f} s | {row['p95_s']:.2f} s |" in PERFORMANCE
    low, high = found["between"]
    carried = f"one node carries {found['one_node']} sessions and two carry {found['two_nodes']}: a ratio of **{found['ratio']}**"
    assert carried in PERFORMANCE and f"between {low} and {high}" in PERFORMANCE
    assert f"{found['ratio']} times the sessions ({low} to {high})" in README


def test_callers_are_told_as_they_were_measured() -> None:
    for step in result("knee-cpu")["steps"]:
        waits = f"{step['p50'] / 1000:.1f} s | {step['p95'] / 1000:.1f} s"
        assert f"| {step['callers']} | {step['turns']} | {waits} |" in PERFORMANCE
    found = result("soak-cpu")
    memory = found["memory_mib"]["all"]
    turns, wait = f"{found['turns']} turns", f"{found['p50'] / 1000:.1f} s"
    assert found["failed"] == 0 and not any(found["left"].values())
    assert all(word in PERFORMANCE and word in README for word in (turns, wait))
    assert f"from {memory['first']:.0f} to {memory['last']:.0f} MiB" in PERFORMANCE
    assert f"({memory['first']:.0f} to {memory['last']:.0f} MiB)" in README


def test_what_a_pause_hides_is_told_as_it_was_measured() -> None:
    for row in result("eager-turns-cpu")["rows"]:
        if row["kind"] == "patient":
            continue
        hidden, drafted = row["hidden"], f"{row['drafted']} of {row['turns']}"
        told = f"{row['silence_ms'] / 1000:g} s | {drafted} | {hidden['p50']:.2f} ({hidden['from']:.2f} to {hidden['to']:.2f}) |"
        assert told in PERFORMANCE


def test_the_waits_beside_pipecat_are_told_as_they_were_measured() -> None:
    for row in result("beside-pipecat-cpu")["rows"]:
        side = {"pipecat": "pipecat"}.get(row["side"], f"the server, {row['side']} turns")
        waits = f"{row['wait']['p50']:.2f} | {row['wait']['p90']:.2f} | {row['ratio']:.2f}"
        assert f"| `{row['turn_taking']}` | {side} | {row['turns']} | {waits} |" in PERFORMANCE
        assert side != "the server, eager turns" or f"{row['ratio']:.2f}" in README


def test_echoes_are_told_as_they_were_counted() -> None:
    def rate(handling: str) -> tuple[int, float]:
        return sum(one[handling]["false"] for one in ECHO["alone"]), sum(one[handling]["answer_s"] for one in ECHO["alone"])

    def heard(handling: str) -> str:
        of = [one[handling] for one in ECHO["spoken_over"]]
        return f"{sum(one['interrupted'] for one in of)} of {sum(one['asked'] for one in of)}"

    (off, off_s), (on, on_s) = rate("off"), rate("sound and words")
    assert f"| off | {60 * off / off_s:.0f} a minute of answer ({off_s:.0f} s) | {heard('off')} |" in PERFORMANCE
    assert on == 0 and f"| on | none in {on_s:.0f} s of answer | {heard('sound and words')} |" in PERFORMANCE


def test_what_reading_ahead_saves_is_told_as_it_was_measured() -> None:
    for row in result("warm-cache-cpu")["rows"]:
        cold, warm, read = (row[name]["p50"] for name in ("cold_s", "warm_s", "read_s"))
        digits = 2 if cold < 2 else 1
        told = f"| {row['turns']} turns, {row['prompt_tokens']} tokens | {cold:.{digits}f} s | {warm:.2f} s | {read:.{digits}f} s |"
        assert told in PERFORMANCE
