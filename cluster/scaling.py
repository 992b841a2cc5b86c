"""How many replicas there should be: sessions drive what holds sessions, calls and the tokens that wait drive what works for a moment.

Serve (2.60) stops replicas in an order of its own (`DeploymentScheduler._get_replicas_to_stop`): those that do not run yet, then those away
from the head node, on a node the newest first; it does not look whether one holds live calls. So one fewer is wanted only when every
replica that may be the next to go is empty. What comes to it in the seconds until Serve acts is not lost: a replica that is taken away lets
its sessions go at a quiet moment.

The functions are pure; the classes are what Serve's controller calls with what the replicas record (deployments/figures.py). The module
imports nothing of ours, because Serve pickles it by value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

FULL = 0.7
"""Of the room in all replicas; another one takes its time to come."""


@dataclass(frozen=True)
class Held:
    """What one replica holds."""

    sessions: float
    node: float
    """A number that names it."""
    head: bool
    started_at: float


def next_to_go(replicas: Sequence[Held]) -> list[Held]:
    """Of the running ones those that Serve may stop first. On which of several other nodes is not known here."""
    newest: dict[float, Held] = {}
    for one in sorted(replicas, key=lambda one: one.started_at):
        newest[one.node] = one
    return [one for one in newest.values() if not one.head] or list(newest.values())


def for_sessions(replicas: Sequence[Held], unknown: int, target: int, room: int) -> int:
    """`unknown`: running replicas that have told nothing yet; `target`: how many there should have been until now; `room`: sessions in one
    replica. Never fewer than live sessions need, and never one fewer while the one that would go holds any."""
    needed = max(1, math.ceil(sum(one.sessions for one in replicas) / (FULL * room)))
    running = len(replicas) + unknown
    if needed >= target:
        return needed
    if running < target:
        return max(needed, running)
    if unknown or running > target or any(one.sessions for one in next_to_go(replicas)):
        return target
    return max(needed, target - 1)


def for_work(calls: float, calls_each: float, tokens: float = 0.0, tokens_each: float = math.inf) -> int:
    """`calls`: under way and waiting; `tokens`: of prompts that wait for their first answer. A replica that is
    stopped ends its calls first, so that any may go."""
    return max(1, math.ceil(calls / calls_each), math.ceil(tokens / tokens_each))


class BySessions:
    def __init__(self, room: int) -> None:
        self._room = room

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        figures = [_latest(ctx.raw_metrics or {}, replica) for replica in ctx.running_replicas]
        told = [
            Held(one["sessions"], one["node"], bool(one["head"]), one["started_at"])
            for one in figures
            if {"sessions", "node", "head", "started_at"} <= one.keys()
        ]
        return for_sessions(told, len(figures) - len(told), ctx.target_num_replicas, self._room), {}


class ByWork:
    def __init__(self, calls: float, tokens: float = math.inf) -> None:
        """`calls`, `tokens`: what one replica should have at most."""
        self._calls = calls
        self._tokens = tokens

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        """Serve sees none of the calls: they come over sockets."""
        metrics = ctx.raw_metrics or {}
        waiting = sum(_latest(metrics, replica).get("waiting_tokens", 0.0) for replica in ctx.running_replicas)
        calls = sum(_mean(metrics.get("calls", {}).get(replica, ())) for replica in ctx.running_replicas)
        return for_work(calls, self._calls, waiting, self._tokens), {}


def _mean(series: Sequence[Any]) -> float:
    """Over the time that Serve looks back: a call lasts less than that."""
    return sum(point.value for point in series) / len(series) if series else 0.0


def _latest(metrics: dict[str, dict[Any, Any]], replica: Any) -> dict[str, float]:
    return {name: series[replica][-1].value for name, series in metrics.items() if series.get(replica)}
