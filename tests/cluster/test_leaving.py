"""Which deployments keep a node that wants to leave."""

from typing import Any

from cluster.leaving import only_on


def details(**deployments: list[tuple[str | None, str]]) -> dict[str, Any]:
    """As Serve's controller tells them: node and state of each replica."""
    told = {
        name: {"replicas": [{"node_id": node, "state": state} for node, state in replicas]} for name, replicas in deployments.items()
    }
    return {"applications": {"sparkvox": {"deployments": told}}}


def test_nobody_needs_a_node_whose_parts_run_elsewhere_too() -> None:
    both = details(Gateway=[("a", "RUNNING"), ("b", "PENDING_MIGRATION")], Sessions=[("a", "RUNNING"), ("b", "PENDING_MIGRATION")])
    assert only_on("b", both) == set()


def test_a_part_that_runs_nowhere_else_keeps_the_node_until_it_does() -> None:
    before = details(Gateway=[("a", "RUNNING")], LanguageModel=[("b", "PENDING_MIGRATION"), ("a", "STARTING")])
    assert only_on("b", before) == {"LanguageModel"}
    assert only_on("b", details(LanguageModel=[("b", "PENDING_MIGRATION"), ("a", "RUNNING")])) == set()


def test_a_replica_that_waits_for_a_place_runs_nowhere() -> None:
    assert only_on("b", details(SpeechToText=[("b", "PENDING_MIGRATION"), (None, "STARTING")])) == {"SpeechToText"}


def test_what_does_not_run_on_the_node_does_not_keep_it() -> None:
    assert only_on("b", details(SpeechToText=[("a", "STARTING")])) == set()


def test_without_an_application_nothing_keeps_the_node() -> None:
    assert only_on("b", {}) == set()
