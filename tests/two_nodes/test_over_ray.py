"""A cluster of two nodes on this machine, and the doctor that asks both."""

import pytest

from cluster.doctor.over_ray import ClusterSilent, facts_of_nodes
from tests.two_nodes.conftest import Nodes

# Ray's own modules, at their import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_every_node_of_a_cluster_tells_its_facts_and_its_clock(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nodes.ray)
    told = facts_of_nodes(["profile=fake"])
    assert [facts.ray.nodes for facts in told] == [2, 2]
    for facts in told:
        assert facts.chosen is not None and facts.chosen.profile == "fake"
        # Both are this machine: their clocks are ours.
        assert facts.clock.offset_s is not None and abs(facts.clock.offset_s) <= facts.clock.uncertain_s + 0.001


def test_no_cluster_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:8149")
    with pytest.raises(ClusterSilent, match="cannot be asked"):
        facts_of_nodes(["profile=fake"])
