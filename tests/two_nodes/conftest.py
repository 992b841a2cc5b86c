"""One cluster of two nodes on this machine, with Serve, for the whole folder, because its start takes most of the time. Each node has a
GPU in name only; the tests' own process is on the head."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from serve_app import serving
from serve_app.profiles import ROLE
from tests.deployments.conftest import FAKE

HEAD, OTHER = "speech", "language"
"""Their roles."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Ray's ids, and where they are reached."""

    head: str
    other: str
    ray: str
    """The cluster's address."""
    server: str
    """Of Serve's proxy, on the head."""


@pytest.fixture(scope="package")
def nodes() -> Iterator[Nodes]:
    before = dict(os.environ)
    serving.prepare(os.environ, FAKE, serving.best_proxy())
    try:
        yield from _nodes()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _nodes() -> Iterator[Nodes]:
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    node: dict[str, Any] = {"num_cpus": 2, "num_gpus": 1, "object_store_memory": serving.OBJECT_STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "labels": {ROLE: HEAD}, "include_dashboard": False})
    try:
        other = cluster.add_node(**node, labels={ROLE: OTHER})
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.wait_for_nodes()
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        yield Nodes(cluster.head_node.node_id, other.node_id, cluster.address, f"127.0.0.1:{port}")
        serve.shutdown()
    finally:
        ray.shutdown()
        cluster.shutdown()
