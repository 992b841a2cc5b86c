"""How many sessions are carried at a wait, from waits that were measured at several numbers of sessions.

The 95th percentile of some dozens of turns is noisy, and cannot fall when sessions are added: between the measured numbers lies the line
that never falls and is nearest to them (isotonic regression, each point with the weight of its turns).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

PERCENTILE = 95
RESAMPLED = 500


@dataclass(frozen=True, slots=True)
class Load:
    sessions: int
    waits_s: tuple[float, ...]


def carried(loads: Sequence[Load], wait_s: float) -> float | None:
    """The sessions at which the 95th percentile of the wait exceeds `wait_s`. None: outside of what was measured."""
    return at_wait([(load.sessions, p95) for load, p95 in zip(loads, rising(loads), strict=True)], wait_s)


def rising(loads: Sequence[Load]) -> list[float]:
    found = [float(np.percentile(load.waits_s, PERCENTILE)) for load in loads]
    return [float(value) for value in isotonic_regression(found, weights=[len(load.waits_s) for load in loads]).x]


def at_wait(points: Sequence[tuple[float, float]], wait_s: float) -> float | None:
    """The sessions at which the wait is first exceeded, on a straight line between points. None: outside of what was measured."""
    for (few, low), (many, high) in itertools.pairwise(points):
        if low <= wait_s < high:
            return round(few + (many - few) * (wait_s - low) / (high - low), 2)
    return None


def ratio_between(one: Sequence[Load], two: Sequence[Load], wait_s: float) -> tuple[float, float] | None:
    """In nine of ten resamplings of the turns the ratio of what `two` and `one` carry lies between these (bootstrap). Turns of a session
    are not quite independent, so the truth is a little wider. None: too often outside of what was measured."""
    chance = np.random.default_rng(1)
    ratios = []
    for _ in range(RESAMPLED):
        few, many = (carried([_again(load, chance) for load in loads], wait_s) for loads in (one, two))
        if few is not None and many is not None:
            ratios.append(many / few)
    if len(ratios) < RESAMPLED // 2:
        return None
    low, high = np.percentile(ratios, (5, 95))
    return round(float(low), 2), round(float(high), 2)


def _again(load: Load, chance: np.random.Generator) -> Load:
    return Load(load.sessions, tuple(chance.choice(load.waits_s, len(load.waits_s))))
