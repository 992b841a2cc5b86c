"""How much one key may have, and all keys together. Every replica of the gateway counts for itself: with two of them a key may have
twice as much."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from serve_app.errors import SparkvoxError
from serve_app.measures import NOWHERE, REFUSALS, Sink

AUDIO_TOKENS_A_SECOND = 10
"""Of what a user says, as OpenAI counts it: `rate_limits.updated` has no other unit that fits audio."""


class LimitReached(SparkvoxError):
    """More than a limit allows, for now: it may be tried again later."""


@dataclass(frozen=True, slots=True)
class Limits:
    """None: as many as all together may have."""

    sessions: int | None = None
    """At once."""
    requests: int | None = None
    """Of the HTTP API, at once."""
    audio_s_a_minute: float | None = None
    """Seconds of audio in a minute, of sessions and files; all of a minute may come at once."""

    def over(self, defaults: "Limits") -> "Limits":
        """These, and where they say nothing, the defaults."""
        return Limits(**{one.name: _first(getattr(self, one.name), getattr(defaults, one.name)) for one in fields(Limits)})


class Bucket:
    """The audio that may still come: full at the beginning, and again after a minute of silence."""

    def __init__(self, s_a_minute: float, whose: str, now: float) -> None:
        self.s_a_minute = s_a_minute
        self._whose = whose
        self._left_s = s_a_minute
        self._at = now

    def left_s(self, now: float) -> float:
        self._left_s = min(self.s_a_minute, self._left_s + self.filled_in(now - self._at))
        self._at = now
        return self._left_s

    def filled_in(self, seconds: float) -> float:
        return seconds * self.s_a_minute / 60

    def check(self, seconds: float, now: float) -> None:
        """Raises `LimitReached`."""
        if seconds <= self.left_s(now):
            return
        said = f"{seconds:.1f} s of audio were not heard: {self._whose} may send {self.s_a_minute:g} s a minute."
        if seconds > self.s_a_minute:
            raise LimitReached(f"{said} Send less at once.")
        raise LimitReached(f"{said} There is room for it in {(seconds - self._left_s) * 60 / self.s_a_minute:.1f} s.")

    def take(self, seconds: float) -> None:
        self._left_s -= seconds


class Allowance:
    """What one caller may still send, by every bucket that holds for it; none: whatever it likes."""

    def __init__(
        self, buckets: tuple[Bucket, ...] = (), clock: Callable[[], float] = time.monotonic, sink: Sink = NOWHERE
    ) -> None:
        self._buckets = buckets
        self._clock = clock
        self._sink = sink

    def take(self, seconds: float) -> None:
        """All of it or nothing. Raises `LimitReached`."""
        now = self._clock()
        try:
            for bucket in self._buckets:
                bucket.check(seconds, now)
        except LimitReached:
            self._sink.count(REFUSALS, of="audio")
            raise
        for bucket in self._buckets:
            bucket.take(seconds)

    def rate_limits(self) -> list[dict[str, Any]]:
        """The one that is nearest, in the shape of `rate_limits.updated`; a token is 100 ms of audio."""
        if not self._buckets:
            return []
        now = self._clock()
        bucket = min(self._buckets, key=lambda one: one.left_s(now))
        left, most = bucket.left_s(now), bucket.s_a_minute
        counts = {"limit": int(most * AUDIO_TOKENS_A_SECOND), "remaining": int(left * AUDIO_TOKENS_A_SECOND)}
        return [{"name": "tokens", **counts, "reset_seconds": round((most - left) * 60 / most, 3)}]


class Allowances:
    """Of all callers of one replica."""

    def __init__(self, all_s_a_minute: float | None, clock: Callable[[], float] = time.monotonic, sink: Sink = NOWHERE) -> None:
        self._clock = clock
        self._sink = sink
        self._all = () if all_s_a_minute is None else (Bucket(all_s_a_minute, "all together", clock()),)
        self._each: dict[str, Bucket] = {}

    def of(self, holder: str, limits: Limits) -> Allowance:
        """`holder`: what tells one key from another; its buckets are kept."""
        if limits.audio_s_a_minute is None:
            return Allowance(self._all, self._clock, self._sink)
        if holder not in self._each:
            self._each[holder] = Bucket(limits.audio_s_a_minute, "this key", self._clock())
        return Allowance((self._each[holder], *self._all), self._clock, self._sink)


def _first(value: Any, default: Any) -> Any:
    return default if value is None else value
