"""What memory the processes of a server take, and whether it grows."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TypedDict

import numpy as np
import psutil

SETTLED = 1 / 3
"""Of the time: until then pools and caches fill."""


class Growth(TypedDict):
    """MiB; `an_hour` is the slope of the line through what was seen once all had settled."""

    first: float
    last: float
    an_hour: float


def memory_mib(root: psutil.Process) -> dict[str, float]:
    """Proportional (PSS) MiB of each kind of process below `root`, and of "all"."""
    kinds: Counter[str] = Counter()
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):  # ended meanwhile
            mib = process.memory_full_info().pss / 2**20
            kinds[kind_of(process.cmdline())] += mib
            kinds["all"] += mib
    return {kind: round(mib, 1) for kind, mib in kinds.items()}


def kind_of(command: Sequence[str]) -> str:
    """Ray's workers say in their title what they are, and which method they run; neither that nor their number matters."""
    words = " ".join(command).split()
    if not words:
        return "?"
    if words[0].startswith("ray::"):
        return words[0].removeprefix("ray::").partition(".")[0]
    scripts = [word for word in words if word.endswith(".py")] if "python" in words[0] else []
    return (scripts or words)[0].rpartition("/")[2]


def growth(kind: str, samples: Sequence[tuple[float, dict[str, float]]]) -> Growth | None:
    """None for what did not live throughout once all had settled."""
    settled = [(at, sample.get(kind)) for at, sample in samples if at >= SETTLED * samples[-1][0]]
    points = [(at, mib) for at, mib in settled if mib is not None]
    if len(points) < max(2, len(settled)):
        return None
    times, mibs = zip(*points, strict=True)
    slope = float(np.polyfit(times, mibs, 1)[0])
    return {"first": mibs[0], "last": mibs[-1], "an_hour": round(3600 * slope, 1)}
