"""Contract tests take every engine of a kind from the registry, so a new one cannot be left out."""

import asyncio
from functools import cache
from typing import Any

import pytest

from deployments.engines import ENGINES, create
from serve_app.engines_command import lacks

SMALL: dict[str, dict[str, Any]] = {
    "whisper": {"threads": 1},
    "whisper-torch": {"model": "whisper-tiny-en", "threads": 1},
}
"""Options with which an engine runs on any machine."""


def every(kind: str) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the names; all but the fake need weights. One that cannot run here is skipped with what
    it lacks."""
    return [pytest.param(name, marks=() if name == "fake" else _marks(kind, name)) for name in ENGINES[kind]]


def _marks(kind: str, name: str) -> list[Any]:
    lacking = "; ".join(lacks(ENGINES[kind][name]))
    return [pytest.mark.weights, pytest.mark.skipif(bool(lacking), reason=f"{name}: {lacking}")]


@cache
def warmed(kind: str, name: str) -> Any:
    """One engine for the whole run, because loading weights takes seconds. Not for engines that are bound to an event loop."""
    engine = create(kind, name, **SMALL.get(name, {}))
    asyncio.run(engine.warm())
    return engine
