"""Contract tests take every engine of a kind from the registry, so a new one cannot be left out."""

import asyncio
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deployments.engines import ENGINES, create
from serve_app.engines_command import lacks

QWEN3_ASR = str(Path(__file__).parents[1] / "qwen3_asr")
"""A model of our own; see scripts/make_test_qwen3_asr.py."""

SMALL: dict[str, dict[str, Any]] = {
    "whisper": {"threads": 1},
    "whisper-torch": {"model": "whisper-tiny-en", "threads": 1},
    "qwen3-asr": {"model": QWEN3_ASR},
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
