"""Work that was lost with the replica that did it: whether it is begun again, and after what pause. Pure: the time is an argument."""

from dataclasses import dataclass

FIRST_PAUSE_S = 0.1
"""Doubled with each loss: a router may still know the dead replica."""
LONGEST_PAUSE_S = 2.0
MOST = 2
"""What was lost a third time may be what kills its replicas."""
WITHIN_S = 20.0
"""After so much time a listener has given up; work that was silent until its deadline is not begun again either."""


@dataclass(slots=True)
class Retries:
    """Of one piece of work."""

    began_at: float
    most: int | None = MOST
    """None: as long as there is time."""
    within_s: float = WITHIN_S
    losses: int = 0

    def again_in(self, now: float) -> float | None:
        """It was lost, `now`: seconds to wait before it is begun again; None: it has failed."""
        self.losses += 1
        if (self.most is not None and self.losses > self.most) or now - self.began_at >= self.within_s:
            return None
        return self.pause_s

    @property
    def pause_s(self) -> float:
        """After so many losses."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.losses - 1, 16))
