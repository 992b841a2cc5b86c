"""How far an engine is while it loads: compiling says nothing for an hour, but the caches grow."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from serve_app import kernel_caches

LINE_EVERY_S = 60.0
"""Where there is no terminal, whose line is written over each second."""
MB = 10**6


@dataclass(frozen=True, slots=True)
class Growth:
    """What the caches have got since a moment."""

    files: int
    size: int
    kinds: tuple[str, ...]
    """Each with its own growth; those that grew."""

    def __str__(self) -> str:
        return f"{self.files} files, {self.size / MB:.0f} MB"


class Caches:
    """What is in the caches of this machine's versions."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._before = self._now()

    def growth(self) -> Growth:
        pairs = [(before, now) for before, now in zip(self._before, self._now(), strict=True) if now.files != before.files]
        kinds = tuple(f"{now.kind} {now.files - before.files} files, {(now.size - before.size) / MB:.1f} MB" for before, now in pairs)
        return Growth(sum(now.files - before.files for before, now in pairs), sum(now.size - before.size for before, now in pairs), kinds)

    def total(self) -> Growth:
        now = self._now()
        return Growth(sum(one.files for one in now), sum(one.size for one in now), ())

    def _now(self) -> list[kernel_caches.Folder]:
        return [kernel_caches.measured(folder) for folder in kernel_caches.current(self._environment)]


def telling(label: str, caches: Caches) -> tuple[float, Callable[[float], None]]:
    """How often to tell, and what tells: it is given the seconds that have passed."""
    terminal = sys.stdout.isatty()

    def tell(passed_s: float) -> None:
        line = f"{label} {passed_s:.0f} s, {caches.growth()} compiled so far"
        if terminal:
            sys.stdout.write(f"\r\x1b[K{line[: os.get_terminal_size().columns - 1]}")
        else:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    return (1.0 if terminal else LINE_EVERY_S), tell


def tell_end(line: str) -> None:
    """In the place of what was told so far."""
    sys.stdout.write(f"\r\x1b[K{line}\n" if sys.stdout.isatty() else f"{line}\n")
    sys.stdout.flush()
