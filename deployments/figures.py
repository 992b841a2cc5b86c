"""What a replica tells Serve's autoscaling of itself, for the policies of cluster/scaling.py. Serve takes numbers only."""

import time
import zlib
from collections.abc import Iterator
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

    def __init__(self) -> None:
        self.live = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        self.live += 1
        try:
            yield
        finally:
            self.live -= 1


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
