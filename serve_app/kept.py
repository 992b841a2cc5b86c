"""Copies of sessions, for clients that lose their connection and come back. Pure: the time is an argument.

A session is the one of its last connection: who takes it up counts its connections on, and what an earlier one still wants to keep is
refused. Copies of sessions that were not heard of for a while are forgotten; so are the longest unheard of when there is no more room.
"""

from dataclasses import dataclass, field, replace

MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copy:
    session_id: str
    owner: str
    """Who may take it up: what names the key that opened it."""
    connection: int = 1
    """Counts the connections of the session."""
    number: int = 0
    """Counts the copies."""
    data: bytes = field(default=b"", repr=False)
    """realtime/snapshot.py; empty for a session that begins."""


class KeptSessions:
    def __init__(self, keep_s: float, most_bytes: int = MOST_BYTES) -> None:
        """`keep_s`: how long after it was last heard of."""
        self._keep_s = keep_s
        self._most_bytes = most_bytes
        self._bytes = 0
        self._copies: dict[str, tuple[Copy, float]] = {}  # with the time of the last news, the oldest news first

    def __len__(self) -> int:
        return len(self._copies)

    @property
    def size(self) -> int:
        return self._bytes

    def keep(self, copy: Copy, now: float) -> bool:
        """False: another connection has taken the session up, or it is somebody else's."""
        self._forget_old(now)
        known = self._known(copy.session_id)
        if known is not None and (known.owner != copy.owner or known.connection > copy.connection):
            return False
        newer = known is None or (known.connection, known.number) <= (copy.connection, copy.number)
        self._put(copy if newer or known is None else known, now)
        return True

    def take(self, session_id: str, owner: str, now: float) -> Copy | None:
        """The session is its next connection's from now on. None: there is none of that name for this owner (any more)."""
        self._forget_old(now)
        known = self._known(session_id)
        if known is None or known.owner != owner:
            return None
        taken = replace(known, connection=known.connection + 1)
        self._put(taken, now)
        return taken

    def peek(self, session_id: str) -> bytes:
        known = self._known(session_id)
        return b"" if known is None else known.data

    def forget(self, copy: Copy) -> None:
        """The session has ended for good."""
        known = self._known(copy.session_id)
        if known is not None and known.owner == copy.owner and known.connection <= copy.connection:
            self._drop(copy.session_id)

    def _known(self, session_id: str) -> Copy | None:
        return self._copies[session_id][0] if session_id in self._copies else None

    def _put(self, copy: Copy, now: float) -> None:
        if copy.session_id in self._copies:
            self._drop(copy.session_id)
        self._copies[copy.session_id] = copy, now
        self._bytes += len(copy.data)
        while self._bytes > self._most_bytes and self._copies:
            self._drop(next(iter(self._copies)))

    def _drop(self, session_id: str) -> None:
        copy, _ = self._copies.pop(session_id)
        self._bytes -= len(copy.data)

    def _forget_old(self, now: float) -> None:
        while self._copies:
            session_id, (_, heard_of_at) = next(iter(self._copies.items()))
            if now - heard_of_at <= self._keep_s:
                return
            self._drop(session_id)
