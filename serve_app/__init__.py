"""Sparkvox: a voice agent server.

`graph` builds the application from settings, `app` is it with the defaults. Both come when they are asked for, because they bring in Ray.
"""

from importlib import import_module
from typing import Any

__all__ = ["app", "graph"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    wiring = import_module("serve_app.wiring")
    return wiring.graph if name == "graph" else wiring.graph(wiring.Settings())
