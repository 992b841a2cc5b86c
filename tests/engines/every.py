"""Contract tests take every engine of a kind from the registry, so a new one cannot be left out."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deployments.engines import ELSEWHERE, ENGINES, create
from serve_app.engines_command import lacks

QWEN3_ASR = str(Path(__file__).parents[1] / "qwen3_asr")
"""A model of our own; see scripts/make_test_qwen3_asr.py."""

_NEMO = {"model": "asr-tiny-en", "device": "cpu"}
SMALL: dict[str, dict[str, Any]] = {
    "nemo-rnnt": _NEMO,
    "nemo-offline": _NEMO,
    "whisper": {"threads": 1},
    "whisper-torch": {"model": "whisper-tiny-en", "threads": 1},
    "qwen3-asr": {"model": QWEN3_ASR},
}
"""Options with which an engine runs on any machine."""


def every(kind: str, but: Collection[str] = ()) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`: the names. `but`: those of which this cannot be wanted. One that cannot run here is
    skipped with what it lacks."""
    return [pytest.param(name, marks=_marks(kind, name)) for name in ENGINES[kind] if name not in but]


def _marks(kind: str, name: str) -> list[Any]:
    lacking = "; ".join(lacks(ENGINES[kind][name]))
    needs = [] if name == "fake" or name in ELSEWHERE else [pytest.mark.weights]
    return [*needs, pytest.mark.skipif(bool(lacking), reason=f"{name}: {lacking}")]


def options_for(kind: str, name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where an engine whose model runs elsewhere finds the server that tests start for it (conftest.py)."""
    if name not in ELSEWHERE:
        return {}
    if name == "riva":
        spoken = {"voices": ("af_heart", "af_bella"), "ssml": True} if kind == "text_to_speech" else {}
        return {"address": request.getfixturevalue("riva_address"), **spoken}
    return {"base_url": request.getfixturevalue("own_endpoint"), "model": "small"}


@asynccontextmanager
async def at_hand(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """The engine that `request` is parametrised with, warmed. One that talks to a server is bound to an event loop: it is made afresh."""
    name: str = request.param
    if name not in ELSEWHERE:
        yield await asyncio.to_thread(warmed, kind, name)
        return
    engine = create(kind, name, **options_for(kind, name, request))
    try:
        await engine.warm()
        yield engine
    finally:
        await engine.close()


def warmed(kind: str, name: str, **options: Any) -> Any:
    """One engine for the whole run, because loading weights takes seconds. Not for engines that are bound to an event loop."""
    return _warmed(kind, name, json.dumps({**SMALL.get(name, {}), **options}, sort_keys=True))


@cache
def _warmed(kind: str, name: str, options: str) -> Any:
    engine = create(kind, name, **json.loads(options))
    asyncio.run(engine.warm())
    return engine
