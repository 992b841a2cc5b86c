"""A cluster of two nodes on this machine, with Serve; the tests' own process is on the head."""

import os
from collections.abc import Iterator

import pytest

from serve_app import serving
from tests.deployments.conftest import FAKE


@pytest.fixture(scope="package")
def nodes() -> Iterator[tuple[str, str]]:
    """The ids of the head and of the other node."""
    before = dict(os.environ)
    serving.prepare(os.environ, FAKE, "ray")
    try:
        yield from _nodes()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _nodes() -> Iterator[tuple[str, str]]:
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    resources = {"num_cpus": 2, "object_store_memory": serving.OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**resources, "include_dashboard": False})
    try:
        other = cluster.add_node(**resources)
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.wait_for_nodes()
        serve.start(proxy_location="Disabled")
        yield cluster.head_node.node_id, other.node_id
        serve.shutdown()
    finally:
        ray.shutdown()
        cluster.shutdown()
