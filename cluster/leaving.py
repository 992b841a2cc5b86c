"""How a node leaves: what runs nowhere else is started elsewhere, and then everything on it is told to end.

Serve (2.60) starts another replica for each on a node that Ray drains. The old one it stops when that runs, or when the drain's deadline is
nearer than the deployment's graceful_shutdown_timeout_s: where the other node may have no second one it would stay until then, whether a
session lives there or not. So the drain begins without a deadline, and gets one that has passed as soon as nobody needs the node.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.children import POLL_S
from serve_app.errors import SparkvoxError

PREEMPTION = 2
"""Ray's reason of a drain that is never refused."""
NO_DEADLINE = 0
AT_ONCE = 1
"""A deadline long ago."""
STATE_ALIVE = 0
RUNNING = "RUNNING"


def leave(gcs: Any, address: str, within_s: float) -> bool:
    """Nothing new comes to the node at `address`. Returns when its replicas have been told to end, at the latest after `within_s`: they end
    when their sessions have, and nobody waits for that here. Whether there was such a node."""
    from serve_app.serving import start_ray

    node_id = _node_id(gcs, address)
    if node_id is None:
        return False
    start_ray()
    _drain(gcs, node_id, NO_DEADLINE)
    until = time.monotonic() + within_s
    while only_on(node_id, _details()) and time.monotonic() < until:
        time.sleep(POLL_S)
    _drain(gcs, node_id, AT_ONCE)
    return True


def only_on(node_id: str, details: Mapping[str, Any]) -> set[str]:
    """The deployments that run nowhere but there. `details`: `ServeInstanceDetails` as Serve's controller tells them."""
    deployments = [pair for application in details.get("applications", {}).values() for pair in application["deployments"].items()]
    return {name for name, deployment in deployments if _needs(node_id, deployment["replicas"])}


def _needs(node_id: str, replicas: Sequence[Mapping[str, Any]]) -> bool:
    elsewhere = any(replica["state"] == RUNNING and replica["node_id"] != node_id for replica in replicas)
    return not elsewhere and any(replica["node_id"] == node_id for replica in replicas)


def _details() -> dict[str, Any]:
    from ray.serve.context import _get_global_client  # which node a replica is on is told in public by the dashboard only

    client = _get_global_client(raise_if_no_controller_running=False)
    found: dict[str, Any] = {} if client is None else client.get_serve_details()
    return found


def _node_id(gcs: Any, address: str) -> str | None:
    alive = [one for one in gcs.get_all_node_info().items() if one[1].state == STATE_ALIVE]
    return next((node_id.hex() for node_id, node in alive if node.node_manager_address == address), None)


def _drain(gcs: Any, node_id: str, deadline_ms: int) -> None:
    accepted, why = gcs.drain_node(node_id, PREEMPTION, "it leaves", deadline_ms)
    if not accepted:
        raise SparkvoxError(f"the node may not leave: {why}")
