"""The engines by name. Nothing heavy is imported before an engine is made, and no weights are read before it is warmed.

To add one: write a file here whose class keeps the Protocol of its kind (serve_app/engines.py), name it below, and run the contract tests
(tests/engines/), which take every name from this table.
"""

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from serve_app.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Declared:
    """One line of the table: where an engine is, and what it needs. `sparkvox engines` tells it without importing any of it."""

    target: str
    """module:Class."""
    licence: str
    """Of the code and weights that it stands for; empty for our own code alone."""
    packages: tuple[str, ...] = ()
    """Modules that it imports when it is warmed."""
    extra: str = ""
    """The extra of this project that installs them; empty where the base installation has them."""
    gpu: bool = False
    """Whether it is of no use without an NVIDIA GPU."""
    server: bool = False
    """Whether its model runs on another server."""
    keeps_read: bool = False
    """Whether a language model keeps what it has read of a prompt, for the next one that begins alike."""


ENGINES: dict[str, dict[str, Declared]] = {
    "voice_activity": {
        "silero": Declared("deployments.engines.silero:Silero", "MIT", ("onnxruntime",)),
        "fake": Declared("deployments.engines.fake:FakeVoiceActivity", ""),
    },
    "turn_detector": {
        "smart-turn": Declared("deployments.engines.smart_turn:SmartTurn", "BSD-2-Clause", ("onnxruntime",)),
        "fake": Declared("deployments.engines.fake:FakeTurnDetector", ""),
    },
    "recogniser": {
        "moonshine": Declared("deployments.engines.moonshine:Moonshine", "MIT", ("onnxruntime",)),
        "whisper": Declared("deployments.engines.whisper_ct2:WhisperCt2", "MIT", ("faster_whisper",), "whisper"),
        "whisper-torch": Declared("deployments.engines.whisper_torch:WhisperTorch", "MIT", ("torch", "transformers")),
        "qwen3-asr": Declared("deployments.engines.qwen3_asr:Qwen3Asr", "Apache-2.0", ("torch", "transformers")),
        "nemo-rnnt": Declared("deployments.engines.nemo_rnnt:NemoRnnt", "Apache-2.0; the model's own", ("nemo",), "nemo"),
        "nemo-offline": Declared("deployments.engines.nemo_offline:NemoOffline", "Apache-2.0; the model's own", ("nemo",), "nemo"),
        "openai": Declared("deployments.engines.openai_stt:OpenAiTranscriber", "of its server", ("openai",), server=True),
        "openai-realtime": Declared("deployments.engines.realtime_stt:RealtimeTranscriber", "of its server", server=True),
        "riva": Declared("deployments.engines.riva:RivaTranscriber", "MIT; of its server", ("riva",), "riva", server=True),
        "fake": Declared("deployments.engines.fake:FakeRecogniser", ""),
    },
    "language_model": {
        "vllm": Declared("deployments.engines.vllm_engine:VllmLanguageModel", "Apache-2.0; the model's own", ("vllm",), keeps_read=True),
        "openai": Declared("deployments.engines.openai_llm:OpenAiLanguageModel", "of its server", ("openai",), server=True),
        "fake": Declared("deployments.engines.fake:FakeLanguageModel", ""),
    },
    "text_to_speech": {
        "kokoro-onnx": Declared("deployments.engines.kokoro_onnx:KokoroOnnx", "Apache-2.0", ("onnxruntime", "misaki")),
        "kokoro-torch": Declared("deployments.engines.kokoro_torch:KokoroTorch", "Apache-2.0", ("torch", "kokoro", "misaki"), "kokoro"),
        "openai": Declared("deployments.engines.openai_tts:OpenAiSpeech", "of its server", ("openai",), server=True),
        "riva": Declared("deployments.engines.riva:RivaSpeech", "MIT; of its server", ("riva",), "riva", server=True),
        "fake": Declared("deployments.engines.fake:FakeTextToSpeech", ""),
    },
}

ELSEWHERE = {name for kind in ENGINES.values() for name, declared in kind.items() if declared.server}
"""Engines whose model runs on another server: their `model` is a name there, and nothing is fetched for them."""


def create(kind: str, name: str, **options: Any) -> Any:
    """The engine, not warmed. `options` are its constructor's. Raises `SettingsError` for a kind, a name or an option that does not
    exist."""
    if kind not in ENGINES:
        raise SettingsError(f"there is no kind of engine {kind!r}; there are {_listed(ENGINES)}")
    if name not in ENGINES[kind]:
        raise SettingsError(f"there is no {kind} engine {name!r}; there are {_listed(ENGINES[kind])}")
    module, _, class_name = ENGINES[kind][name].target.partition(":")
    engine = getattr(import_module(module), class_name)
    taken = inspect.signature(engine).parameters
    if unknown := [option for option in options if option not in taken]:
        raise SettingsError(f"the {kind} engine {name!r} has no option {_listed(unknown)}; it has {_listed(taken) or 'none'}")
    return engine(**options)


def _listed(names: Any) -> str:
    return ", ".join(names)
