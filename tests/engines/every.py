"""Contract tests take every engine of a kind from the registry, so a new one cannot be left out."""

import asyncio
from functools import cache
from typing import Any

import pytest

from deployments.engines import ENGINES, create


def every(kind: str) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the names; all but the fake need weights."""
    return [pytest.param(name, marks=() if name == "fake" else pytest.mark.weights) for name in ENGINES[kind]]


_TINY = {"model": "asr-tiny-en", "device": "cpu"}
SMALL: dict[str, dict[str, Any]] = {"nemo-rnnt": _TINY, "nemo-offline": _TINY}
"""Options under which an engine that is meant for more can be tested on any machine."""


def warmed(kind: str, name: str, **options: Any) -> Any:
    """One engine for the whole run, because loading weights takes seconds. Not for engines that are bound to an event loop."""
    return _warmed(kind, name, **{**SMALL.get(name, {}), **options})


@cache
def _warmed(kind: str, name: str, **options: Any) -> Any:
    engine = create(kind, name, **options)
    asyncio.run(engine.warm())
    return engine
