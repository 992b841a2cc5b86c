"""What a node's Ray is started with: its command line and its environment. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cluster import interfaces, machine, ports
from cluster.interfaces import Interface
from cluster.machine import Machine
from cluster.node_state import MARK, NodeState
from patches import haproxy_splice
from serve_app.errors import SettingsError

OBJECT_STORE_BYTES = 100 * 1024 * 1024
"""The least sensible: audio and text go by value, nothing by reference."""
LONGEST_SOCKET = 107
"""Bytes in the path of a Unix socket (sun_path, less its end)."""
RAYS_SOCKET = "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"

HEALTH = {
    # A node that answers nothing counts as dead after a bit over 4 s (measured); with Ray's defaults that takes a minute.
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    # A gateway behind a cut link: HAProxy tries the other after 1 s, not 5. Connecting takes the kernel of the other box, not the gateway.
    "RAY_SERVE_HAPROXY_TIMEOUT_CONNECT_S": "1",
}
HEAD_AWAY_S = 600
"""How long a node goes on with its sessions without its head, before its Ray gives up."""


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the cluster, and its part in it."""

    head: str
    """Ray's address, host:port."""
    link: Interface
    """The inner link; its first address is the node's."""
    others: tuple[Interface, ...]
    machine: Machine
    state: NodeState
    size: "Size"
    is_head: bool = False

    @property
    def address(self) -> str:
        return self.link.addresses[0]


@dataclass(frozen=True, slots=True)
class Size:
    """What the node offers to Ray. None: what the machine has."""

    gpus: int | None = None
    cpus: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    dashboard: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """What the head knows and the others learn from it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """The same on all nodes."""
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of the `head` and of a node that did `join`, for placement."""
    versions: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    """Ray's id of the head's cluster; another one when the head has begun anew."""

    def differences(self, here: Mapping[str, str]) -> list[str]:
        other = {name: version for name, version in self.versions.items() if here.get(name) != version}
        return [f"{name} is {here.get(name)} here and {version} at the head" for name, version in other.items()]


def environment(node: Node, shared: Shared, given: Mapping[str, str]) -> dict[str, str]:
    """`given`: the environment of this process, which wins."""
    haproxy = node.state.haproxy
    wanted = {
        **shared.environment,
        **HEALTH,
        **interfaces.environment(node.others, node.link),
        **machine.environment(node.machine),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(node.state.token),
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(HEAD_AWAY_S),
        # On SIGTERM Ray (2.60) would drain the node once more, and wait up to 30 s for that: what leaves in order has been drained by then.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # Each node's own: whoever writes there has HAProxy's admin socket.
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        **haproxy_splice.environment(),
    }
    if node.is_head:
        # What a head that died knew is what the next one goes on with: without it all nodes would begin anew, and lose their sessions.
        wanted |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(node.state.gcs / shared.versions["ray"])}
    ours = {"RAY_ADDRESS": node.head, MARK: node.state.mark}
    return {**wanted, **given, **ours}


def ray_command(node: Node, shared: Shared, ray: str) -> list[str]:
    """`ray`: the path of Ray's command."""
    size = node.size
    gpus = len(node.machine.gpus) if size.gpus is None else size.gpus
    role = shared.labels.get("head" if node.is_head else "join", {})
    labels = ",".join(f"{name}={value}" for name, value in {**role, **size.labels}.items())
    own = (
        ["--head", "--no-monitor", f"--include-dashboard={json.dumps(size.dashboard)}", "--dashboard-host=127.0.0.1"]
        if node.is_head
        else [f"--address={node.head}"]
    )
    return [
        ray,
        "start",
        *own,
        "--block",
        "--disable-usage-stats",
        "--include-log-monitor=false",  # it sends what workers print to drivers, of which there are none
        f"--node-ip-address={node.address}",
        f"--num-gpus={gpus}",
        f"--num-cpus={max(2, node.machine.cpus) if size.cpus is None else size.cpus}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--temp-dir={node.state.ray}",
        *([f"--labels={labels}"] if labels else []),
        *ports.ray_arguments(node.is_head),
    ]


def check(node: Node) -> None:
    """Raises `SettingsError` for what Ray would only say in a log."""
    if len(f"{node.state.ray}{RAYS_SOCKET}") > LONGEST_SOCKET:
        room = LONGEST_SOCKET - len(RAYS_SOCKET) - len("/ray")
        raise SettingsError(f"--state {node.state.folder} is too long for the sockets that Ray makes there: {room} characters at most")


def labels_of(words: Sequence[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    if wrong := [word for word, (name, equals, value) in zip(words, pairs, strict=True) if not (name and equals and value)]:
        raise SettingsError(f"{wrong[0]} is no label: write name=value")
    return {name: value for name, _, value in pairs}


def default_folder(given: Mapping[str, str], home: Path) -> Path:
    """systemd's folder, or the user's."""
    if folder := given.get("STATE_DIRECTORY"):
        return Path(folder.split(":")[0])
    return Path(given.get("XDG_STATE_HOME") or home / ".local" / "state") / "sparkvox"
