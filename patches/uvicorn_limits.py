"""Longer websocket messages than uvicorn's default lets through.

Why: the protocol allows 15 MiB of audio in one append, 20 MiB as base64; uvicorn ends the connection beyond 16 MiB. Twice as much as is
allowed is let through, because it resets the connection when it stops reading, and a client that is still writing then never sees the code
1009; what is between the two is read to its end and answered (front.py).
How: Serve (2.60, serve/_private/http_util.py) makes its uvicorn.Config without these options and takes none from us, so the class that it
looks up is replaced by one with other defaults: in the gateway's replica before its port opens (HAProxy mode, where the replica is the
server), and in Serve's own proxy through `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`, which is called just before.
Compression goes too: base64 of speech hardly shrinks, and browsers would ask for it on every message.
Upstream: no issue found; `HTTPOptions` of Serve 2.60 has no field for it, though uvicorn has had `ws_max_size` since 0.14.
Versions: ray 2.60.0, uvicorn as locked.
When it goes: as soon as Serve's HTTPOptions carry `ws_max_size`; tests/patches/test_uvicorn_limits.py fails then.
"""

import os
from typing import Any

import uvicorn

MAX_MESSAGE_VARIABLE = "SPARKVOX_MAX_MESSAGE_BYTES"
CALLBACK = "patches.uvicorn_limits:in_proxy"


def raise_limits(max_message_bytes: int) -> None:
    """For every uvicorn server that this process starts from now on."""
    original = uvicorn.config.Config

    class RoomyConfig(original):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{"ws_max_size": 2 * max_message_bytes, "ws_per_message_deflate": False} | kwargs)

    uvicorn.Config = RoomyConfig  # type: ignore[misc]


def in_proxy() -> list[Any]:
    """Serve's hook; it asks for a list of middlewares."""
    if given := os.environ.get(MAX_MESSAGE_VARIABLE):
        raise_limits(int(given))
    return []
