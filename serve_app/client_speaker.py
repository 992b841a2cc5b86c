"""Where a client plays answers: the interface, and a speaker for those who have none."""

from collections import deque
from typing import Protocol

from serve_app.engines import Pcm

WIRE_RATE = 24_000
"""Samples a second of the protocol's audio/pcm."""


class Speaker(Protocol):
    """Where answers are played. `now` is in seconds of any steady clock."""

    def play(self, item_id: str, pcm: Pcm, now: float) -> None:
        """Takes the samples at once and plays them after what it has."""

    def stop(self, now: float) -> dict[str, int]:
        """Silence at once. Returns how many samples were played of each item since the last stop."""

    def left_s(self, now: float) -> float:
        """Seconds until all is played."""


class VirtualSpeaker:
    """Plays to nobody, as fast as a real one would."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, int]] = deque()
        self._played: dict[str, int] = {}
        self._at = 0.0

    def play(self, item_id: str, pcm: Pcm, now: float) -> None:
        self._advance(now)
        self._queue.append((item_id, len(pcm)))
        self._played.setdefault(item_id, 0)

    def stop(self, now: float) -> dict[str, int]:
        self._advance(now)
        self._queue.clear()
        played, self._played = self._played, {}
        return played

    def left_s(self, now: float) -> float:
        self._advance(now)
        return sum(samples for _, samples in self._queue) / WIRE_RATE

    def _advance(self, now: float) -> None:
        budget = round((now - self._at) * WIRE_RATE)
        self._at = now
        while budget > 0 and self._queue:
            item_id, samples = self._queue.popleft()
            count = min(samples, budget)
            budget -= count
            self._played[item_id] += count
            if count < samples:
                self._queue.appendleft((item_id, samples - count))
