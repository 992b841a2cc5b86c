"""How a cluster is: nodes, what runs on each, calls under way, and the application. Asked through Ray and Serve by one process."""

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cluster.node_state import Running
from serve_app.errors import SparkvoxError
from serve_app.serving import APPLICATION, start_ray

ANSWER_S = 5.0
"""For a replica to tell; one that does not is counted as unknown."""
PREFIX = f"SERVE_REPLICA::{APPLICATION}#"
GATEWAY, HEARING = "Gateway", "SpeechToText"


@dataclass(frozen=True, slots=True)
class Replica:
    deployment: str
    node: str
    """Its id in Ray."""
    ongoing: int | None
    """Calls under way: of a gateway the open sockets, of speech-to-text the leases. None: it does not answer."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    address: str
    head: bool
    gpus: float
    gpus_free: float
    replicas: dict[str, int] = field(default_factory=dict)
    """How many of each deployment."""
    sessions: int = 0
    """Open connections at its gateways."""
    leases: int = 0
    """Sessions that its speech-to-text hears."""
    ongoing: int = 0
    """Calls under way that Serve knows: these and short ones."""


@dataclass(frozen=True, slots=True)
class Status:
    nodes: tuple[NodeStatus, ...]
    application: str
    deployments: dict[str, str]
    """What Serve says of each."""
    silent: int = 0
    """Replicas that do not answer."""


def show(running: Running, folder: Path, as_json: bool) -> int:
    """The exit code: 0 when the application runs on all that it wants."""
    os.environ |= {"RAY_ADDRESS": running.head, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    status = _asked()
    sys.stdout.write(f"{json.dumps(asdict(status))}\n" if as_json else text(status))
    return 0 if status.application == "RUNNING" else 1


def gathered(
    nodes: list[dict[str, Any]], free: Mapping[str, Mapping[str, float]], replicas: list[Replica], application: Any
) -> Status:
    """`nodes` as `ray.nodes()` tells them, `free` by node id, `application` as Serve tells it, or None."""
    alive = [node for node in nodes if node["Alive"]]
    deployments = {} if application is None else {name: str(one.status.value) for name, one in application.deployments.items()}
    return Status(
        nodes=tuple(_node(node, free.get(node["NodeID"], {}), replicas) for node in sorted(alive, key=lambda n: n["NodeManagerAddress"])),
        application="NOT DEPLOYED" if application is None else str(application.status.value),
        deployments=deployments,
        silent=sum(replica.ongoing is None for replica in replicas),
    )


def text(status: Status) -> str:
    lines = [f"application: {status.application}"]
    lines += [f"  {name}: {state}" for name, state in status.deployments.items() if state != "HEALTHY"]
    for node in status.nodes:
        runs = ", ".join(f"{count} {name}" if count > 1 else name for name, count in sorted(node.replicas.items())) or "nothing"
        gpus = f"{node.gpus - node.gpus_free:.2f} of {node.gpus:.0f} GPUs reserved"
        head = " (head)" if node.head else ""
        lines.append(f"node {node.address}{head}: {node.sessions} sessions, {node.leases} heard here, {gpus}; runs {runs}")
    if status.silent:
        lines.append(f"replicas that do not answer: {status.silent}")
    return "\n".join(lines) + "\n"


def _node(node: Mapping[str, Any], free: Mapping[str, float], replicas: list[Replica]) -> NodeStatus:
    here = [replica for replica in replicas if replica.node == node["NodeID"]]
    resources = node["Resources"]
    return NodeStatus(
        address=node["NodeManagerAddress"],
        head="node:__internal_head__" in resources,
        gpus=resources.get("GPU", 0.0),
        gpus_free=round(free.get("GPU", 0.0), 4),
        replicas=dict(Counter(replica.deployment for replica in here)),
        sessions=_ongoing(here, GATEWAY),
        leases=_ongoing(here, HEARING),
        ongoing=sum(replica.ongoing or 0 for replica in here),
    )


def _ongoing(replicas: list[Replica], deployment: str) -> int:
    return sum(replica.ongoing or 0 for replica in replicas if replica.deployment == deployment)


def _asked() -> Status:
    import ray
    from ray import serve
    from ray._private import state  # where actors are is told in public by the dashboard only

    try:
        start_ray()
        replicas = _replicas(state.actors())
        application = serve.status().applications.get(APPLICATION)
        return gathered(ray.nodes(), state.available_resources_per_node(), replicas, application)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise SparkvoxError(f"the head does not answer: {str(error).splitlines()[0]}") from error


def _replicas(actors: Mapping[str, Mapping[str, Any]]) -> list[Replica]:
    live = [actor for actor in actors.values() if actor["State"] == "ALIVE" and actor["Name"].startswith(PREFIX)]
    places = [(actor["Name"].removeprefix(PREFIX).split("#")[0], actor["Address"]["NodeID"]) for actor in live]
    counts = _counts([actor["Name"] for actor in live])
    return [Replica(deployment, node, count) for (deployment, node), count in zip(places, counts, strict=True)]


def _counts(names: list[str]) -> list[int | None]:
    import ray

    asked: list[Any] = []
    for name in names:
        try:
            asked.append(ray.get_actor(name, namespace="serve").get_num_ongoing_requests.remote())
        except ValueError:  # gone meanwhile
            asked.append(None)
    calls = [one for one in asked if one is not None]
    answered = ray.wait(calls, num_returns=len(calls), timeout=ANSWER_S)[0] if calls else []
    return [_got(one) if one in answered else None for one in asked]


def _got(answer: Any) -> int | None:
    import ray

    try:
        return int(ray.get(answer))
    except ray.exceptions.RayError:
        return None
