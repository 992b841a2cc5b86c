"""What each profile and each topology sets: plain data, merged under what the user sets (serve_app/settings.py).

A profile says what runs; a topology how it is spread over nodes. What a topology says of models holds on Sparks only, so that each can be
tried with the profiles `cpu` and `fake`.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any


class Profile(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    SPARK = "spark"
    TINY_SPARK = "tiny-spark"
    FAKE = "fake"

    @property
    def topology(self) -> "TopologyName":
        """Where none is named."""
        return TopologyName.ONE_SPARK if self is Profile.SPARK else TopologyName.LAPTOP


class TopologyName(StrEnum):
    LAPTOP = "laptop"
    ONE_SPARK = "one_spark"
    TWO_SPARKS = "two_sparks"
    TWO_SPARKS_SPLIT = "two_sparks_split"
    TWO_SPARKS_TP = "two_sparks_tp"

    @property
    def several(self) -> bool:
        """Whether there is more than one node."""
        return self not in (TopologyName.LAPTOP, TopologyName.ONE_SPARK)

    @property
    def profile(self) -> Profile:
        """Where none is named."""
        return Profile.AUTO if self is TopologyName.LAPTOP else Profile.SPARK


def defaults(profile: Profile, topology: TopologyName) -> Iterator[Mapping[str, Any]]:
    """What holds under the user's settings, the weakest first."""
    yield PROFILES[profile]
    yield LAYOUTS[topology]
    if profile is Profile.SPARK:
        yield SPARK_MODELS.get(topology, {})


# The parts of a profile; what it leaves out has its default above. The logical cores of all deployments together fit a machine with two.
_CPU: dict[str, Any] = {
    "vad": {"engine": "silero"},
    "turn": {"engine": "smart-turn"},
    "stt": {"engine": "moonshine", "num_cpus": 0.3, "partials_at_once": 2},
    "llm": {"engine": "vllm", "model": "smollm2-135m-instruct", "num_cpus": 0.8, "max_ongoing": 64},
    "tts": {"engine": "kokoro-onnx", "voice": "af_heart", "num_cpus": 0.5},
    # One session: nobody else waits. A long utterance or clause takes seconds here without any queue.
    "session": {"eager_sessions": 1, "eager_wait_s": 2.0},
}

# What each has of the GPU and how large the cache is, the memory plan says (cluster/plan.py). The model: 9 billion parameters as NVFP4,
# whose card warns that keys and values as FP8 ruin it, so they stay as the model has them. Not run on a Spark.
_SPARK: dict[str, Any] = {
    "vad": {"engine": "silero"},
    "turn": {"engine": "smart-turn"},
    "stt": {"engine": "nemo-rnnt", "options": {"model": "nvidia/nemotron-speech-streaming-en-0.6b"}, "num_cpus": 2},
    "llm": {
        "engine": "vllm",
        "model": "ig1/Qwen3.5-9B-NVFP4",
        "options": {
            "max_model_len": 32768,
            "max_num_seqs": 32,
            "engine_args": {"language_model_only": True},
        },
        "num_cpus": 2,
    },
    "tts": {
        "engine": "kokoro-torch",
        "options": {"model": "hexgrad/Kokoro-82M"},
        "voice": "af_heart",
        "num_cpus": 2,
    },
    # The first compilation takes over an hour (source N §7 of docs/engines.md); `sparkvox warm` does it beforehand.
    "models": {"warm_s": 7200.0},
}

# The Spark's own engines with small models on the CPU: the code that loads and steps there is run here.
_TINY_SPARK: dict[str, Any] = {
    **_CPU,
    "stt": {"engine": "nemo-rnnt", "options": {"model": "asr-tiny-en", "device": "cpu"}, "num_cpus": 0.3},
    "tts": {"engine": "kokoro-torch", "options": {"device": "cpu"}, "voice": "af_heart", "num_cpus": 0.5},
}

_FAKE: dict[str, Any] = {
    "vad": {"engine": "fake"},
    "turn": {"engine": "fake"},
    "stt": {"engine": "fake", "num_cpus": 0.1},
    "llm": {"engine": "fake", "num_cpus": 0.1},
    "tts": {"engine": "fake", "voice": "af_heart", "num_cpus": 0.1},
    "gateway": {"num_cpus": 0.1},
    # Its voice is a tone, as its clients' speech is.
    "session": {"echo": False},
}

SPARK_PACKAGES = ("vllm", "nemo_toolkit", "kokoro")
"""What profile `spark` needs beside what profile `cpu` has; `auto` takes it only where they are."""

PROFILES = {Profile.CPU: _CPU, Profile.SPARK: _SPARK, Profile.TINY_SPARK: _TINY_SPARK, Profile.FAKE: _FAKE}

ROLE = "sparkvox-role"
"""The label that says what a node is preferred for (`ray start --labels sparkvox-role=speech`)."""

_ON_BOTH: dict[str, Any] = {"replicas": 2, "max_replicas_per_node": 1}
_SPEECH: dict[str, Any] = {"prefer": {ROLE: "speech"}}

# On both nodes each replica has its own, and where a node is lost nothing is loaded beside what the other runs already: its second replica
# waits for the node's return. Else both would stay on one node for good, as Serve moves nothing back.
LAYOUTS: dict[TopologyName, dict[str, Any]] = {
    TopologyName.LAPTOP: {},
    TopologyName.ONE_SPARK: {},
    TopologyName.TWO_SPARKS: {"gateway": _ON_BOTH, "stt": _ON_BOTH, "llm": _ON_BOTH, "tts": _ON_BOTH, "session": {"copies": 2}},
    TopologyName.TWO_SPARKS_SPLIT: {"gateway": _SPEECH, "stt": _SPEECH, "llm": {"prefer": {ROLE: "language"}}, "tts": _SPEECH},
    TopologyName.TWO_SPARKS_TP: {
        "gateway": _SPEECH,
        "stt": _SPEECH,
        "llm": {"num_cpus": 1, "bundles": [{"CPU": 2}, {"CPU": 1}], "bundle_labels": [{ROLE: "!speech"}, {}]},
        "tts": _SPEECH,
    },
}
"""What runs where. Roles are preferences: with a node lost, its part runs on the other if there is room. Not so the first half of a model
over both: it cannot do without either, and beside it runs what watches its node's memory, as the gateway does on the other."""

# Marlin: sm_121 has no tcgen05, and the kernels that vLLM 0.18 chose for it failed (community guide to NVFP4 on the Spark, March 2026);
# NVIDIA's own guide for Nemotron 3 Super on the Spark sets it too. The state of the Mamba layers stays float32, as that guide says.
NEMOTRON_ARGUMENTS: dict[str, Any] = {
    "linear_backend": "marlin",
    "moe_backend": "marlin",
    "mamba_ssm_cache_dtype": "float32",
    "trust_remote_code": True,
}

# Both models are on NVIDIA's list for as many Sparks as they have here. Not run on Sparks.
SPARK_MODELS: dict[TopologyName, dict[str, Any]] = {
    TopologyName.TWO_SPARKS_SPLIT: {
        "llm": {
            "model": "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4",
            "options": {"max_model_len": 32768, "max_num_seqs": 64, "engine_args": NEMOTRON_ARGUMENTS},
        },
    },
    TopologyName.TWO_SPARKS_TP: {
        "llm": {
            "model": "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4",
            "options": {"max_model_len": 32768, "max_num_seqs": 16, "engine_args": NEMOTRON_ARGUMENTS},
        },
    },
}
"""The language models that a topology is for, where they are not the profile's."""
