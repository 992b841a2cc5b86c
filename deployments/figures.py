"""What a replica tells Serve's autoscaling of itself, for the policies of cluster/scaling.py. Serve takes numbers only."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

HEAD = "node:__internal_head__"
"""A resource that only Ray's head node has."""


class Figures:
    """Of a replica that holds sessions."""

    def __init__(self) -> None:
        import ray

        node_id = ray.get_runtime_context().get_node_id()
        self._place = {
            "node": float(zlib.crc32(node_id.encode())),
            "head": float(any(node["NodeID"] == node_id and HEAD in node["Resources"] for node in ray.nodes())),
            "started_at": time.time(),
        }

    def of(self, sessions: int) -> dict[str, float]:
        return {"sessions": float(sessions), **self._place}


class Calls:
    """How many are under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.live = 0
        self._clock = clock
        self._asked_at = self._counted_at = clock()
        self._call_seconds = 0.0

    @contextmanager
    def one(self) -> Iterator[None]:
        self._count(+1)
        try:
            yield
        finally:
            self._count(-1)

    def mean(self) -> float:
        """Since it was asked last. A call that was over between two looks has counted too."""
        self._count(0)
        passed_s = self._counted_at - self._asked_at
        mean = self._call_seconds / passed_s if passed_s > 0 else float(self.live)
        self._asked_at, self._call_seconds = self._counted_at, 0.0
        return mean

    def _count(self, more: int) -> None:
        now = self._clock()
        self._call_seconds += self.live * (now - self._counted_at)
        self._counted_at = now
        self.live += more


class Waiting:
    """The tokens of prompts whose answer has not begun, about: English has some four characters in a token."""

    CHARACTERS = 4

    def __init__(self) -> None:
        self.tokens = 0

    def begins(self, characters: int) -> int:
        """Returns what `ends` takes."""
        tokens = 1 + characters // self.CHARACTERS
        self.tokens += tokens
        return tokens

    def ends(self, tokens: int) -> None:
        self.tokens -= tokens
