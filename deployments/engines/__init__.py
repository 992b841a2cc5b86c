"""The engines by name. Nothing heavy is imported before an engine is made, and no weights are read before it is warmed.

To add one: write a file here whose class keeps the Protocol of its kind (serve_app/engines.py), name it below, and run the contract tests
(tests/engines/), which take every name from this table.
"""

import inspect
from importlib import import_module
from typing import Any

from serve_app.errors import SettingsError

ENGINES: dict[str, dict[str, str]] = {
    "voice_activity": {
        "silero": "deployments.engines.silero:Silero",
        "fake": "deployments.engines.fake:FakeVoiceActivity",
    },
    "turn_detector": {
        "smart-turn": "deployments.engines.smart_turn:SmartTurn",
        "fake": "deployments.engines.fake:FakeTurnDetector",
    },
    "recogniser": {
        "moonshine": "deployments.engines.moonshine:Moonshine",
        "nemo-rnnt": "deployments.engines.nemo_rnnt:NemoRnnt",
        "nemo-offline": "deployments.engines.nemo_offline:NemoOffline",
        "fake": "deployments.engines.fake:FakeRecogniser",
    },
    "language_model": {
        "vllm": "deployments.engines.vllm_engine:VllmLanguageModel",
        "fake": "deployments.engines.fake:FakeLanguageModel",
    },
    "text_to_speech": {
        "kokoro-onnx": "deployments.engines.kokoro_onnx:KokoroOnnx",
        "fake": "deployments.engines.fake:FakeTextToSpeech",
    },
}


def create(kind: str, name: str, **options: Any) -> Any:
    """The engine, not warmed. `options` are its constructor's. Raises `SettingsError` for a kind, a name or an option that does not
    exist."""
    if kind not in ENGINES:
        raise SettingsError(f"there is no kind of engine {kind!r}; there are {_listed(ENGINES)}")
    if name not in ENGINES[kind]:
        raise SettingsError(f"there is no {kind} engine {name!r}; there are {_listed(ENGINES[kind])}")
    module, _, class_name = ENGINES[kind][name].partition(":")
    engine = getattr(import_module(module), class_name)
    taken = inspect.signature(engine).parameters
    if unknown := [option for option in options if option not in taken]:
        raise SettingsError(f"the {kind} engine {name!r} has no option {_listed(unknown)}; it has {_listed(taken) or 'none'}")
    return engine(**options)


def _listed(names: Any) -> str:
    return ", ".join(names)
