"""How far a download is: a bar on a terminal, a line every few seconds elsewhere, nothing when it was not asked for."""

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

logger = logging.getLogger(__name__)

LINE_EVERY_S = 5.0


class Progress:
    """Nothing is shown. Also the base of the two that show something."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def start(self, done: int, total: int | None) -> None:
        """`done` bytes are here already, `total` are wanted (None: unknown). Called again when the download is resumed."""

    def advance(self, size: int) -> None:
        """`size` more bytes are here."""

    def close(self) -> None: ...


class Bar(Progress):
    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None

    def start(self, done: int, total: int | None) -> None:
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(desc=self._label, initial=done, total=total, unit="B", unit_scale=True, unit_divisor=1000)

    def advance(self, size: int) -> None:
        self._bar.update(size)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class Lines(Progress):
    def __init__(self, label: str, now: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._now = now
        self._done = 0
        self._total: int | None = None
        self._next_line = 0.0

    def start(self, done: int, total: int | None) -> None:
        self._done, self._total = done, total
        self._next_line = self._now() + LINE_EVERY_S
        logger.info("%s: %s", self._label, megabytes(total) if total is not None else "size unknown")

    def advance(self, size: int) -> None:
        self._done += size
        if self._now() >= self._next_line:
            self._next_line = self._now() + LINE_EVERY_S
            of = f" of {megabytes(self._total)}" if self._total is not None else ""
            logger.info("%s: %s%s", self._label, megabytes(self._done), of)


def shown(label: str, wanted: bool = True) -> Progress:
    if not wanted:
        return Progress()
    return Bar(label) if sys.stderr.isatty() else Lines(label)


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
