"""When something is due although nobody does anything: the end of a session at its longest, the silence after an answer that has lasted too
long, and the quiet moment at which a session leaves a server that is being taken away.

A moment is quiet when nobody speaks or is being answered, every transcript is there, no call waits for its result, and what was sent has
been played. It must last, because clients send what belongs together in several messages.
"""

from serve_app.core.playback import Playback

QUIET_S = 0.5
"""Between two messages of a client that belong together, a commit and the wish for a response, there may be a round trip."""
MOST_PROMPTS = 3
"""How often silence becomes a turn before the user says something again: after that nobody is taken to be there."""


class Moments:
    def __init__(self, playback: Playback, expires_at: float | None) -> None:
        self._playback = playback
        self._expires_at = expires_at
        self._leave_by: float | None = None
        self._answered_at: float | None = None  # if nobody has spoken since
        self._quiet_since: float | None = None
        self._prompts = 0
        """How often silence became a turn since the user last said something."""

    def prompted(self) -> None:
        """Silence has become a turn."""
        self._prompts += 1

    def said(self, now: float) -> None:
        """The user has said or typed something: silence counts from here, and may become a turn again."""
        self._prompts = 0
        if self._answered_at is not None:
            self._answered_at = max(self._answered_at, now)

    def happened(self, answered: bool, engaged: bool, quiet: bool, now: float) -> None:
        """After each event. `answered`: a response has ended with it; `engaged`: somebody speaks, or is being answered."""
        if engaged:
            self._answered_at = None
        elif answered:
            self._answered_at = now
        if not quiet:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now

    def leave(self, by: float) -> None:
        """At the next quiet moment, at the latest at `by`."""
        self._leave_by = by if self._leave_by is None else min(by, self._leave_by)

    def next(self, idle_timeout_s: float | None) -> float | None:
        """The first that is to come."""
        moments = (self._expires_at, self._leaves_at, self.idle_at(idle_timeout_s))
        return min((moment for moment in moments if moment is not None), default=None)

    def idle_at(self, timeout_s: float | None) -> float | None:
        """When the silence after an answer has lasted too long, counted from the end of its playback. None where nobody seems to be there:
        `MOST_PROMPTS` silences in a row were turns already."""
        if timeout_s is None or self._answered_at is None or self._prompts >= MOST_PROMPTS:
            return None
        return max(self._answered_at, self._playback.ends_at) + timeout_s

    def expired(self, now: float) -> bool:
        """Once."""
        if self._expires_at is None or now < self._expires_at:
            return False
        self._expires_at = None
        return True

    def left(self, now: float) -> bool:
        """Once."""
        if self._leaves_at is None or now < self._leaves_at:
            return False
        self._leave_by = None
        return True

    @property
    def _leaves_at(self) -> float | None:
        if self._leave_by is None or self._quiet_since is None:
            return self._leave_by
        return min(self._leave_by, max(self._quiet_since, self._playback.ends_at) + QUIET_S)
