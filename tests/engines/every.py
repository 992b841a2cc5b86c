"""Contract tests take every engine of a kind from the registry, so a new one cannot be left out."""

import asyncio
from functools import cache
from typing import Any

import pytest

from deployments.engines import ENGINES, create


def every(kind: str) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the names; all but the fake need weights."""
    return [pytest.param(name, marks=() if name == "fake" else pytest.mark.weights) for name in ENGINES[kind]]


@cache
def warmed(kind: str, name: str) -> Any:
    """One engine for the whole run, because loading weights takes seconds. Not for engines that are bound to an event loop."""
    engine = create(kind, name)
    asyncio.run(engine.warm())
    return engine
