"""Whether the head that a node has joined is still there, or another one that began anew at its address.

Ray goes on without its head for `HEAD_AWAY_S`, in which the head may come back into its cluster. A head that ended in order, or lost what
it kept, begins another cluster; Ray does not look for that before the time is over. So the head's port is tried every few seconds, which
costs nothing, and only when it has been away the head is asked which cluster it has.
"""

import socket
import time
from collections.abc import Callable

from cluster.children import CallFailed

PERIOD_S = 2.0
CONNECT_S = 1.0


class NewHead(CallFailed):
    """This node's cluster is no more."""


class HeadWatch:
    def __init__(self, head: str, cluster: str, asked: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        """`head`: host:port. `cluster`: Ray's id of the one that was joined. `asked`: the id that the head has now; may raise
        `CallFailed`."""
        self._address = head
        self._cluster = cluster
        self._asked = asked
        self._clock = clock
        self._was_away = False
        self._next_at = clock()

    def look(self) -> None:
        """Often; waits for the head no longer than `CONNECT_S`, and for its answer only when it was away. Raises `NewHead`."""
        if self._clock() < self._next_at:
            return
        self._next_at = self._clock() + PERIOD_S
        if not reachable(self._address):
            self._was_away = True
        elif self._was_away:
            self._compare()

    def _compare(self) -> None:
        try:
            found = self._asked()
        except CallFailed:
            return
        if found != self._cluster:
            raise NewHead("The head has begun a new cluster.")
        self._was_away = False


def reachable(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError:
        return False
    return True
