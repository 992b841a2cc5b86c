"""Which model files the engines of the settings will ask for, so that they are here, and checked, before a replica waits for them."""

import os
from collections.abc import Iterable

from deployments.engines import ELSEWHERE
from serve_app import licences, models
from serve_app.cache import CACHE_VARIABLE
from serve_app.engine_settings import EngineChoice
from serve_app.settings import Settings

WEIGHTS = {
    "silero": ("silero-vad",),
    "smart-turn": ("smart-turn-v3.2",),
    "moonshine": ("moonshine-tiny-en",),
    "kokoro-onnx": ("kokoro-82m-int8", "kokoro-voices"),
    "kokoro-torch": ("kokoro-voices",),
}
"""What each engine will ask for when it is warmed; one that is not here fetches it then."""
MODELS = {
    "whisper": "whisper-tiny-en",
    "whisper-torch": "whisper-base",
    "qwen3-asr": "Qwen/Qwen3-ASR-0.6B-hf",
    "nemo-rnnt": "nvidia/nemotron-speech-streaming-en-0.6b",
    "nemo-offline": "nvidia/parakeet-tdt-0.6b-v2",
    "kokoro-torch": "kokoro-82m-torch",
}
"""The same for engines whose option `model` may name another."""


def fetch(settings: Settings, names: Iterable[str] | None = None) -> None:
    """All weights that the settings need, or those of the names alone, checked, before a replica waits for them."""
    if settings.models.cache is not None:
        os.environ[CACHE_VARIABLE] = str(settings.models.cache)
    licences.accept(settings.models.accept_licences)
    for name in every(settings) if names is None else names:
        models.ensure(name)


def every(settings: Settings) -> list[str]:
    """The names of all weights that the settings need."""
    chosen = (settings.vad, settings.turn, settings.stt, *settings.stt.routes.values(), settings.llm, settings.tts)
    names = [artifact for choice in chosen for artifact in weights(choice)]
    return [*names, settings.llm.model] if settings.llm.model and settings.llm.engine not in ELSEWHERE else names


def weights(choice: EngineChoice) -> tuple[str, ...]:
    """The names of what the engine will ask for: its own, and the model that its options name. A path to a file is nothing to fetch."""
    model = str(choice.options.get("model", MODELS.get(choice.engine, "")))
    named = (model,) if choice.engine in MODELS and not model.endswith(".nemo") else ()
    return (*WEIGHTS.get(choice.engine, ()), *named)
