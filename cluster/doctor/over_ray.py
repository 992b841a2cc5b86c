"""The facts of every node of a running cluster, each gathered there by a task of Ray; with how far its clock is from ours.

In a process of its own, because a cluster that is ill may not answer: `python -m cluster.doctor.over_ray NAME=VALUE…` writes a JSON list.
The clock of a node is read between two readings of ours; half the way there and back is what stays uncertain (Cristian, 1989).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.doctor.edge.gather import gather
from cluster.doctor.facts import Clock, Facts
from cluster.node_start import default_folder
from cluster.node_state import read_note
from cluster.processes import is_node
from serve_app.errors import SparkvoxError
from serve_app.settings import Settings

LONGEST_S = 420.0
"""Nodes gather at the same time; each runs trials of up to some minutes."""
JOIN_S = 60
"""Ray tries for ever to join a cluster whose head is gone."""
REACH_S = 5.0
READINGS = 5


class ClusterSilent(SparkvoxError):
    """Ray runs here, and did not let its nodes be asked."""


def facts_of_nodes(words: Sequence[str]) -> list[Facts]:
    """Raises `ClusterSilent`."""
    command = [sys.executable, "-m", "cluster.doctor.over_ray", *words]
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, timeout=LONGEST_S, check=True)
    except subprocess.TimeoutExpired as error:
        raise ClusterSilent(f"the nodes of the cluster did not answer within {LONGEST_S:.0f} s") from error
    except subprocess.CalledProcessError as error:
        if error.returncode == -signal.SIGALRM:
            raise ClusterSilent(f"Ray did not let us into the cluster within {JOIN_S} s") from error
        said = error.stderr.strip().splitlines() or ["no reason given"]
        raise ClusterSilent(f"the cluster cannot be asked: {said[-1]}") from error
    return [Facts.model_validate(one) for one in json.loads(done.stdout.strip().splitlines()[-1])]


def _environment() -> dict[str, str]:
    """Of the user; where `sparkvox node` runs, with its address and its token."""
    environment = dict(os.environ)
    folder = default_folder(environment, Path.home())
    if "RAY_ADDRESS" not in environment and (running := read_note(folder)) is not None and is_node(running.pid):
        environment |= {"RAY_ADDRESS": running.head, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    return environment


def main(words: Sequence[str]) -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "auto")
    _reach(address)
    signal.alarm(JOIN_S)
    ray.init(address, log_to_driver=False, logging_level="ERROR")
    signal.alarm(0)
    pairs = dict(word.split("=", 1) for word in words)
    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
    gathering = [_on(node, _gathered).remote(pairs, len(nodes)) for node in nodes]
    found = [json.loads(one) for one in ray.get(gathering)]
    clocks = [_clock(_on(node, time.time)) for node in nodes]
    for one, clock in zip(found, clocks, strict=True):
        one["clock"] |= {"offset_s": clock.offset_s, "uncertain_s": clock.uncertain_s}
    sys.stdout.write(f"{json.dumps(found)}\n")


def _reach(address: str) -> None:
    """Raises `OSError`."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), REACH_S).close()


def _gathered(pairs: dict[str, Any], nodes: int) -> str:
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        # Ray hides the GPUs from a task that asks for none, and trials inherit it.
        del os.environ["CUDA_VISIBLE_DEVICES"]
    facts = gather(Settings.of(pairs))
    return facts.model_copy(update={"ray": facts.ray.model_copy(update={"nodes": nodes})}).model_dump_json()


def _on(node: str, function: Any) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(lambda *arguments: function(*arguments)).options(num_cpus=0, scheduling_strategy=here)


def _clock(remote: Any) -> Clock:
    """The reading that was quickest there and back; the first starts a process."""
    import ray

    readings = []
    for _ in range(READINGS):
        before = time.time()
        there: float = ray.get(remote.remote())
        after = time.time()
        readings.append(((after - before) / 2, there - (before + after) / 2))
    uncertain_s, offset_s = min(readings)
    return Clock(offset_s=offset_s, uncertain_s=uncertain_s)


if __name__ == "__main__":
    main(sys.argv[1:])
