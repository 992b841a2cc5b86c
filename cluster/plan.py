"""The memory budget: which replica goes to which node, how much of the GPU it reserves, how large each cache is, and whether all of it
fits. Pure: settings, nodes and their memory in, a plan out.

The same plan is printed by `sparkvox plan` and handed to Ray and vLLM (cluster/apply.py), so that they cannot disagree.

1. Replicas are placed largest first, with the smallest cache that each can start with: on nodes of their role, then where few of their kind
   are, then where most is free.
2. Caches then have what they want, but at most half of what is left: a node may have other work, and a cache is never the reason that
   something does not fit.
3. A replica's fraction of the GPU is its share of what the engines on a node may have, so fractions add up to 1 just when the bytes fit.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from cluster.demands import Demand, demands
from cluster.footprints import GB, MIB, SYSTEM_ON_CPU, SYSTEM_ON_SPARK
from cluster.topology import TOPOLOGIES, Node
from serve_app.settings import Settings

CACHE_STEP = 64 * MIB
FRACTIONS = 10_000
"""Ray counts fractions of a GPU in ten thousandths."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One replica, or one part of it, on one node."""

    demand: Demand
    cache: int = 0
    fraction: float = 0.0
    """Of the node's GPU."""

    @property
    def bytes(self) -> int:
        return self.demand.footprint.total + self.cache


@dataclass(slots=True)
class NodePlan:
    node: Node
    usable: int
    system: int
    """Kept for the system and Ray."""
    placed: list[Placed] = field(default_factory=list)

    @property
    def free(self) -> int:
        """Negative when it does not fit."""
        return self.usable - self.system - sum(one.bytes for one in self.placed)

    @property
    def gpu_room(self) -> int:
        """What engines on the GPU may have of it; never nothing, so that a share of it can be told."""
        return max(1, self.usable - self.system - sum(one.bytes for one in self.placed if not one.demand.gpu))

    def count(self, demand: Demand) -> int:
        return sum(one.demand is demand for one in self.placed)


@dataclass(frozen=True, slots=True)
class Refusal:
    demand: Demand
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    nodes: tuple[NodePlan, ...]
    refusals: tuple[Refusal, ...]

    @property
    def fits(self) -> bool:
        return not self.refusals

    def of(self, section: str) -> Placed:
        """The largest part of what the section of the settings has placed."""
        found = [one for node in self.nodes for one in node.placed if one.demand.section == section]
        return max(found, key=lambda one: one.fraction)


def plan(settings: Settings, machine_bytes: int, on_disk: int | None = None) -> Plan:
    """`machine_bytes`: of nodes whose memory the topology does not know. `on_disk`: the size of the language model's files, if here."""
    nodes = tuple(_empty(node, machine_bytes) for node in TOPOLOGIES[settings.topology].nodes)
    wanted = demands(settings, on_disk)
    everyone = [demand for demand in wanted for _ in range(demand.replicas)]
    waiting = [demand for demand in everyone if not _place(demand, nodes)]
    refusals = {demand.section: Refusal(demand, _why_not(demand, nodes)) for demand in waiting}
    for demand in wanted:
        if demand.cache is not None:
            _enlarge(demand, nodes)
    for demand in waiting:
        _force(demand, nodes)
    _reserve(nodes)
    return Plan(nodes, (*refusals.values(), *(_too_many_fractions(nodes) if not refusals else ())))


def _empty(node: Node, machine_bytes: int) -> NodePlan:
    return NodePlan(node, node.usable_bytes or machine_bytes, SYSTEM_ON_SPARK if node.gpu else SYSTEM_ON_CPU)


def _place(demand: Demand, nodes: Sequence[NodePlan]) -> bool:
    """Puts one replica where it is liked best. False where it does not fit."""
    fitting = [node for node in _open(demand, nodes) if node.free >= demand.least]
    if len(fitting) < demand.parts:
        return False
    for node in sorted(fitting, key=lambda node: _liking(demand, node))[: demand.parts]:
        node.placed.append(Placed(demand, demand.least - demand.footprint.total))
    return True


def _force(demand: Demand, nodes: Sequence[NodePlan]) -> None:
    """After all others, so that the picture shows by how much it does not fit."""
    for node in sorted(nodes, key=lambda node: -node.free)[: demand.parts]:
        node.placed.append(Placed(demand, demand.least - demand.footprint.total))


def _open(demand: Demand, nodes: Sequence[NodePlan]) -> list[NodePlan]:
    return [node for node in nodes if demand.per_node is None or node.count(demand) < demand.per_node]


def _liking(demand: Demand, node: NodePlan) -> tuple[bool, int, int]:
    return bool(demand.role) and node.node.role != demand.role, node.count(demand), -node.free


def _enlarge(demand: Demand, nodes: Sequence[NodePlan]) -> None:
    """One size for all replicas of the demand, since they have one setting."""
    hosts = [node for node in nodes if node.count(demand)]
    if demand.cache is None or demand.cache.given is not None or not hosts:
        return
    room = min(demand.cache.least + max(0, node.free) // 2 // node.count(demand) for node in hosts)
    size = max(demand.cache.least, min(demand.cache.wanted, room) // CACHE_STEP * CACHE_STEP)
    for node in hosts:
        node.placed = [replace(one, cache=size) if one.demand is demand else one for one in node.placed]


def _reserve(nodes: Sequence[NodePlan]) -> None:
    """Serve has one fraction for all replicas of a deployment: the largest that one needs."""
    fractions: dict[str, float] = {}
    for node in nodes:
        for one in node.placed:
            share = math.ceil(one.bytes / node.gpu_room * FRACTIONS) / FRACTIONS if one.demand.gpu else 0.0
            share = share if one.demand.fraction is None else one.demand.fraction
            fractions[one.demand.section] = max(share, fractions.get(one.demand.section, 0.0))
    for node in nodes:
        node.placed = [replace(one, fraction=fractions[one.demand.section]) for one in node.placed]


def _too_many_fractions(nodes: Sequence[NodePlan]) -> Iterator[Refusal]:
    """Where the user has set some: Ray would leave a replica waiting for ever."""
    for node in nodes:
        if node.node.gpu and sum(one.fraction for one in node.placed) > 1:
            shares = " + ".join(f"{one.demand.section} {one.fraction:g}" for one in node.placed if one.fraction)
            yield Refusal(node.placed[0].demand, f"{node.node.name} has one GPU, but its parts reserve {shares}: set smaller num_gpus")


def _why_not(demand: Demand, nodes: Sequence[NodePlan]) -> str:
    if demand.parts > len(nodes):
        return f"{demand.name} has {demand.parts} parts, each on a node of its own; the topology has {len(nodes)}"
    candidates = _open(demand, nodes)
    if not candidates:
        return f"{demand.name}: {demand.replicas} replicas, at most {demand.per_node} on a node; the topology has {len(nodes)}"
    return _arithmetic(demand, sorted(candidates, key=lambda node: -node.free)[demand.parts - 1])


def _arithmetic(demand: Demand, node: NodePlan) -> str:
    footprint, cache = demand.footprint, demand.least - demand.footprint.total
    parts = {"weights": footprint.weights, "working": footprint.working, "host": footprint.host, "cache": cache}
    needs = " + ".join(f"{name} {in_gb(size)}" for name, size in parts.items() if size)
    taken = "".join(f" - {one.demand.name} {in_gb(one.bytes)}" for one in node.placed)
    left = f"{in_gb(node.usable)} - system {in_gb(node.system)}{taken} = {in_gb(node.free)} GB"
    return (
        f"{demand.name} ({demand.engine}) does not fit {node.node.name}: it needs {needs} = {in_gb(demand.least)} GB, "
        f"and there are {left}: {in_gb(demand.least - node.free)} GB are missing"
    )


def in_gb(size: int) -> str:
    return f"{size / GB:.1f}"
