"""Every port of the cluster: who listens, who has business there, and how far it can be kept from the rest.

Ray's own ports are random unless they are told; here each has its number, so that a firewall can know them. Seen on Ray 2.60: GCS, raylet
and the workers listen on all addresses whatever `--node-ip-address` says: for those, the token and the firewall keep others out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Reach(StrEnum):
    MACHINE = "this machine"
    INNER = "inner link"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Port:
    name: str
    first: int
    last: int
    listens: str
    """The process."""
    needed_by: str
    needed: Reach
    """From where somebody has business there."""
    bound: Reach
    """From where it can be reached when nothing filters."""

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    @property
    def numbers(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def _one(number: int) -> tuple[int, int]:
    return number, number


HTTP = Port("http", *_one(8000), "HAProxy, or Serve's proxy", "clients", Reach.OUTSIDE, Reach.OUTSIDE)
"""Bound to what `--host` says."""
GCS = Port("gcs", *_one(6379), "gcs_server (head)", "the other node", Reach.INNER, Reach.OUTSIDE)
NODE_MANAGER = Port("node-manager", *_one(6380), "raylet", "the other node", Reach.INNER, Reach.OUTSIDE)
OBJECT_MANAGER = Port("object-manager", *_one(6381), "raylet", "the other node", Reach.INNER, Reach.OUTSIDE)
RUNTIME_ENV_AGENT = Port("runtime-env-agent", *_one(6382), "Ray's agent", "its raylet", Reach.MACHINE, Reach.INNER)
AGENT_HTTP = Port("agent-http", *_one(6383), "Ray's agent", "the dashboard", Reach.INNER, Reach.INNER)
AGENT_GRPC = Port("agent-grpc", *_one(6384), "Ray's agent", "the other node", Reach.INNER, Reach.OUTSIDE)
METRICS = Port("metrics", *_one(6385), "Ray's agent", "Prometheus", Reach.INNER, Reach.OUTSIDE)
DASHBOARD = Port("dashboard", *_one(8265), "Ray's dashboard (head)", "you, on the head", Reach.MACHINE, Reach.MACHINE)
CLIENT = Port("ray-client", *_one(10001), "Ray's client server (head)", "nobody of ours", Reach.MACHINE, Reach.INNER)
WORKERS = Port("workers", 20_000, 20_999, "Ray's workers", "the other node", Reach.INNER, Reach.OUTSIDE)
REPLICAS = Port("gateways", 30_000, 31_000, "gateway replicas", "HAProxy of both nodes", Reach.INNER, Reach.OUTSIDE)
EPHEMERAL = Port("calls", 32_768, 60_999, "sockets of the engines, Serve's calls", "the other node", Reach.INNER, Reach.OUTSIDE)
"""Taken from the kernel's range. The engines listen on the inner address only, and ask for a token; Serve's do on all."""

PORTS = (
    HTTP,
    GCS,
    NODE_MANAGER,
    OBJECT_MANAGER,
    RUNTIME_ENV_AGENT,
    AGENT_HTTP,
    AGENT_GRPC,
    METRICS,
    DASHBOARD,
    CLIENT,
    WORKERS,
    REPLICAS,
    EPHEMERAL,
    Port("haproxy-stats", *_one(8404), "HAProxy", "you, on the node", Reach.MACHINE, Reach.OUTSIDE),
    Port("haproxy-metrics", *_one(9101), "HAProxy", "Prometheus", Reach.INNER, Reach.OUTSIDE),
    Port("fallback-proxy", *_one(8500), "Serve's own proxy (head)", "HAProxy of both nodes", Reach.INNER, Reach.OUTSIDE),
    Port("autoscaler-metrics", *_one(44_217), "Ray's monitor (head)", "Prometheus", Reach.INNER, Reach.OUTSIDE),
    Port("dashboard-metrics", *_one(44_227), "Ray's dashboard (head)", "Prometheus", Reach.INNER, Reach.OUTSIDE),
)


def named(number: int) -> Port | None:
    """What listens there; the narrowest where ranges overlap."""
    return min((port for port in PORTS if number in port), key=lambda port: port.last - port.first, default=None)


def ray_arguments(head: bool) -> Iterator[str]:
    """What `ray start` must be told, so that it takes no other."""
    told = {
        "--node-manager-port": NODE_MANAGER.first,
        "--object-manager-port": OBJECT_MANAGER.first,
        "--runtime-env-agent-port": RUNTIME_ENV_AGENT.first,
        "--dashboard-agent-listen-port": AGENT_HTTP.first,
        "--dashboard-agent-grpc-port": AGENT_GRPC.first,
        "--metrics-export-port": METRICS.first,
        "--min-worker-port": WORKERS.first,
        "--max-worker-port": WORKERS.last,
    }
    if head:
        told |= {"--port": GCS.first, "--dashboard-port": DASHBOARD.first, "--ray-client-server-port": CLIENT.first}
    for name, number in told.items():
        yield f"{name}={number}"


def table() -> str:
    """As Markdown."""
    head = ("port", "name", "who listens", "who needs it", "from where", "reachable from")
    rows = [(p.numbers, p.name, p.listens, p.needed_by, p.needed, p.bound) for p in _sorted()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def firewall(inner: str) -> str:
    """An nftables table that shuts from all but this machine and the interface `inner` what the outside has no business with.

    It drops what is ours to protect and nothing else: ssh and the rest of the machine are left as they are.
    """
    shut = ", ".join(port.numbers for port in _sorted() if port.needed is not Reach.OUTSIDE and not _in_ephemeral(port))
    lines = [
        "table inet sparkvox {",
        "    chain input {",
        "        type filter hook input priority filter - 10; policy accept;",
        "        ct state established,related accept",
        f'        iifname {{ "lo", "{inner}" }} accept',
        f"        tcp dport {{ {shut} }} drop",
        f"        tcp dport {EPHEMERAL.numbers} drop  # the engines and Serve's calls listen there",
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _sorted() -> list[Port]:
    return sorted(PORTS, key=lambda port: port.first)


def _in_ephemeral(port: Port) -> bool:
    """nftables takes no overlapping ranges."""
    return port.first in EPHEMERAL
