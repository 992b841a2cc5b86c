"""A replica learns that it is being taken away, and its open websockets are let go by their sessions, not cut.

Why: Serve (2.60) calls nothing of the user's before it waits for the calls in progress, and a session is a call that may take an hour; of
calls over sockets of their own it knows nothing. And where the replica is its own HTTP server (HAProxy mode) uvicorn closes every websocket
as soon as it is told to stop, in mid-word.
How: `on_shutdown` puts a call before Serve's own shutdown of the replica in this process; `let_sockets_end` replaces the websocket class
that uvicorn picks by one that leaves an open socket to its application when the server stops.
Upstream: no issue found; `record_autoscaling_stats`, `check_health` and `__del__` are the only hooks of a replica in Ray 2.60, and
uvicorn has no option for it (0.54).
Versions: ray 2.60.0, uvicorn as locked.
When it goes: as soon as Serve has a hook for the beginning of a replica's shutdown; tests/patches/test_serve_drain.py fails then.
"""

import logging
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from ray.serve._private.replica import Replica
from uvicorn.protocols.websockets import auto
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

log = logging.getLogger(__name__)


def on_shutdown(call: Callable[[], object]) -> None:
    """`call` is made on Serve's event loop, which need not be the caller's, before anything else of the replica's shutdown; where it gives
    something to wait for, the rest comes afterwards. Serve kills the replica `graceful_shutdown_timeout_s` after it was told to end."""
    original = Replica._perform_graceful_shutdown

    async def told_first(self: Any) -> None:
        try:
            told = call()
            if isawaitable(told):
                await told
        except Exception:
            log.exception("the replica is ended without what was to be done before")
        await original(self)

    Replica._perform_graceful_shutdown = told_first


class PatientSockets(WebSocketsSansIOProtocol):
    def shutdown(self) -> None:
        """Of the server. It waits until its connections are closed, and Serve for no longer than graceful_shutdown_timeout_s."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()


def let_sockets_end() -> None:
    """For every uvicorn server that this process starts from now on."""
    auto.AutoWebSocketsProtocol = PatientSockets
