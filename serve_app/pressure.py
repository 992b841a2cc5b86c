"""When a machine's memory runs short: what is given up, in which order, and when it is taken up again. Pure: readings and a time in, a
level out.

A machine whose CPU and GPU share one memory does not fail an allocation when it is over-committed: it stops answering. So load is shed
before that:

1. Short of memory (`low`): one step at once, and another each `step_s` for as long as it lasts.
2. Very short (`critical`): one step with each reading.
3. Easy again, for `calm_s` without a break: one step back. In between, nothing changes.

Two signs count. What is available (MemAvailable) is what the kernel would give without swapping, page cache included: an ordinarily full
machine has plenty of it. The stall (PSI, full, 10 s) is the part of the time in which all work stood still for want of memory.
"""

from dataclasses import dataclass
from enum import IntEnum

GB = 10**9


class Level(IntEnum):
    """What is given up; each holds for those above it too."""

    NORMAL = 0
    NO_NEW_SESSIONS = 1
    NO_SPECULATION = 2
    LARGEST_CACHE = 3
    """The language model's: prefixes of conversations, and what torch keeps beside them."""
    ALL_CACHES = 4


@dataclass(frozen=True, slots=True)
class Reading:
    total_bytes: int
    available_bytes: int
    stalled: float = 0.0
    """Part of the last ten seconds, 0 to 1."""
    swap_bytes: int = 0
    """Of swap space there is."""


@dataclass(frozen=True, slots=True)
class Limits:
    low_bytes: int | None = None
    """Available. None: 3 % of the machine's memory, 4 GB at most."""
    stalled: float = 0.1
    step_s: float = 2.0
    calm_s: float = 10.0

    def low(self, total_bytes: int) -> int:
        return min(4 * GB, total_bytes * 3 // 100) if self.low_bytes is None else self.low_bytes


class Pressure:
    """Of one machine."""

    def __init__(self, limits: Limits) -> None:
        self.level = Level.NORMAL
        self.why = ""
        """What was seen when the level last rose."""
        self._limits = limits
        self._stepped_at: float | None = None
        self._easy_since: float | None = None

    def read(self, reading: Reading, now: float) -> Level:
        if self._is_short(reading, 1.0):
            self._easy_since = None
            self._rise(reading, now)
        elif not self._is_easy(reading):
            self._easy_since = None
        else:
            self._ease(now)
        return self.level

    def _rise(self, reading: Reading, now: float) -> None:
        due = self._stepped_at is None or now - self._stepped_at >= self._limits.step_s
        if self.level is not max(Level) and (due or self._is_short(reading, 0.5)):
            self.level = Level(self.level + 1)
            self.why = self._sentence(reading)
            self._stepped_at = now

    def _ease(self, now: float) -> None:
        self._easy_since = now if self._easy_since is None else self._easy_since
        if self.level is Level.NORMAL or now - self._easy_since < self._limits.calm_s:
            return
        self.level = Level(self.level - 1)
        self._easy_since = now
        if self.level is Level.NORMAL:
            self._stepped_at = None

    def _is_short(self, reading: Reading, share: float) -> bool:
        """`share` 1: low; 0.5: critical, with half as much available or twice the stall."""
        low = self._limits.low(reading.total_bytes)
        return reading.available_bytes < low * share or reading.stalled >= self._limits.stalled / share

    def _is_easy(self, reading: Reading) -> bool:
        """Well away from the limits, so that it does not go to and fro."""
        low = self._limits.low(reading.total_bytes)
        return reading.available_bytes >= low * 1.5 and reading.stalled < self._limits.stalled * 0.5

    def _sentence(self, reading: Reading) -> str:
        low = self._limits.low(reading.total_bytes)
        if reading.available_bytes < low:
            return f"{reading.available_bytes / GB:.1f} of {reading.total_bytes / GB:.1f} GB are available, less than {low / GB:.1f}"
        return f"for {reading.stalled:.0%} of the last 10 s all work stood still for want of memory"


class Shedding:
    """What is given up now, for those who must know at once: the worst of the machines that were heard of."""

    def __init__(self) -> None:
        self.level = Level.NORMAL
        self.why = ""

    @property
    def takes_sessions(self) -> bool:
        return self.level < Level.NO_NEW_SESSIONS

    @property
    def speculates(self) -> bool:
        return self.level < Level.NO_SPECULATION
