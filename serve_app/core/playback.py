"""How far the client has played what it was sent, as far as the server can know: a listener plays in real time and starts at once."""


class Playback:
    """One session's loudspeaker. Times are the conversation's clock, in seconds."""

    def __init__(self) -> None:
        self._ends_at = float("-inf")

    def sent(self, duration_s: float, now: float) -> None:
        """Audio was handed to the client: it plays after what is still playing, or at once."""
        self._ends_at = max(self._ends_at, now) + duration_s

    def ahead_s(self, now: float) -> float:
        """Seconds of audio that the client has and has not played."""
        return max(0.0, self._ends_at - now)

    @property
    def ends_at(self) -> float:
        """When the client will have played everything; long ago if it was sent nothing."""
        return self._ends_at

    def flush(self, now: float) -> None:
        """The client threw away what it had not played."""
        self._ends_at = min(self._ends_at, now)
