"""A cluster of two nodes on this machine, and the doctor that asks both."""

import os
from collections.abc import Iterator

import pytest

from cluster.doctor.over_ray import ClusterSilent, facts_of_nodes
from serve_app import serving
from serve_app.settings import Settings

# Ray's own modules, at their import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def two_nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = dict(os.environ)
    serving.prepare(os.environ, Settings.of({"profile": "fake"}), "ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield
    finally:
        cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


def test_every_node_of_a_cluster_tells_its_facts_and_its_clock(two_nodes: None) -> None:
    nodes = facts_of_nodes(["profile=fake"])
    assert [facts.ray.nodes for facts in nodes] == [2, 2]
    for facts in nodes:
        assert facts.chosen is not None and facts.chosen.profile == "fake"
        # Both are this machine: their clocks are ours.
        assert facts.clock.offset_s is not None and abs(facts.clock.offset_s) <= facts.clock.uncertain_s + 0.001


def test_no_cluster_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:8149")
    with pytest.raises(ClusterSilent, match="cannot be asked"):
        facts_of_nodes(["profile=fake"])
