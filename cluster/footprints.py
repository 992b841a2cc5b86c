"""What each engine and model takes of its node's memory, each figure with its source.

On a Spark the CPU and the GPU share one memory, so Python's own heap and a CUDA context count as much as weights do.

Sources: N is the research on NVIDIA's voice stack on the DGX Spark (March 2026), Q on Qwen3-ASR and Nemotron Speech, S on speech-to-text,
H on the hardware; "measured" was measured for this project on x86-64 without a GPU (proportional set size of the replica's processes
after the first output, Ray 2.60, vLLM 0.32, torch 2.13); an allowance is our own and was measured nowhere. Nothing here was measured by
us on a Spark: `sparkvox serve` says at each start what was planned and what was taken.
"""

import re
from dataclasses import dataclass

GB = 10**9
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one replica, in bytes; without what grows with sessions."""

    weights: int
    working: int
    """Activations, workspaces, CUDA context and graphs; the part of one node where a model has parts on several."""
    host: int
    """Of its processes beside: Python and libraries, twice where the weights are."""
    source: str

    @property
    def total(self) -> int:
        return self.weights + self.working + self.host


@dataclass(frozen=True, slots=True)
class LanguageWeights:
    """A language model, whatever serves it."""

    weights: int
    token: int
    """Bytes of keys and values for one token."""
    sequence: int
    """Bytes of recurrent state for one reply, however long."""
    source: str


LANGUAGE_MODELS: dict[str, LanguageWeights] = {
    "ig1/Qwen3.5-9B-NVFP4": LanguageWeights(
        7_550_000_000, 8 * 4 * 256 * 2 * 2, 24 * 32 * 128 * 128 * 4, "N 15 (7.55 GB); config: 8 layers of attention, 24 of state"
    ),
    "nvidia/Llama-3.1-8B-Instruct-NVFP4": LanguageWeights(
        6_000_000_000, 32 * 8 * 128 * 2 * 2, 0, "arithmetic: 7.0 billion at 4.5 bits, embeddings at 16; config: 32 layers, 8 heads"
    ),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4": LanguageWeights(
        20_000_000_000, 6 * 2 * 128 * 2 * 2, 23 * 64 * 64 * 128 * 4, "N 15 (about 20 GB); config: 6 layers of attention, 23 of state"
    ),
    "nvidia/Llama-3.3-70B-Instruct-NVFP4": LanguageWeights(
        40_000_000_000, 80 * 8 * 128 * 2 * 2, 0, "H 4.3 (about 40 GB); config: 80 layers, 8 heads"
    ),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4": LanguageWeights(
        74_600_000_000,
        8 * 2 * 128 * 2 * 2,
        40 * 128 * 64 * 128 * 4,
        "kubis.ai, topology benchmark on two Sparks, March 2026 (69.5 GiB); config: 8 layers of attention, 40 of state",
    ),
    "smollm2-135m-instruct": LanguageWeights(540_000_000, 30 * 3 * 64 * 2 * 4, 0, "135 million at 32 bits; config: 30 layers, 3 heads"),
}

BYTES_A_PARAMETER = {"nvfp4": 0.6, "fp4": 0.6, "awq": 0.6, "int4": 0.6, "q4": 0.6, "fp8": 1.05, "int8": 1.05}
"""Of a quantised model, its 16-bit part (embeddings, norms, some layers) not counted: `KEPT` is that. 0.6 lies above all five above."""
KEPT = 2_500_000_000
SIXTEEN_BITS = 2.0
UNKNOWN_TOKEN = 320 * 1024
"""Of a model that nobody looked up: as many as Llama 3.3 70B has, which is more than nearly all."""

VLLM_WORKING = 4 * GB
"""CUDA context, graphs, activations of 8192 tokens, kernels' workspaces: an allowance."""
VLLM_HOST = 2_600_000_000
"""Three processes: measured 3.3 GB with 0.54 GB of weights and half a GiB of cache, of which 0.2 GB are the cache's touched pages."""
VLLM_CPU_CACHE = 2**29
"""What the engine takes on the CPU where nothing is said (deployments/engines/vllm_engine.py)."""

CUDA = 500_000_000
"""A CUDA context and cuDNN's workspaces: an allowance."""
TORCH_HOST = 1 * GB
"""Python with torch and transformers: measured 0.8 GB with a CPU build, for Kokoro; CUDA's libraries: an allowance."""
NEMO_HOST = 1_200_000_000
"""Python with NeMo: measured 0.7 GB with a CPU build; CUDA's libraries: an allowance."""

SPEECH_TO_TEXT: dict[tuple[str, str], Footprint] = {
    ("moonshine", ""): Footprint(44_000_000, 50_000_000, 200_000_000, "measured: 0.25 GB"),
    ("nemo-rnnt", ""): Footprint(2_490_000_000, 610_000_000 + CUDA, NEMO_HOST, "Q, measured on a Spark: 2.49 GB allocated, 3.10 reserved"),
    ("nemo-rnnt", "asr-tiny-en"): Footprint(20_000_000, 50_000_000, 680_000_000, "measured: 0.72 GB"),
    ("nemo-offline", ""): Footprint(3_000_000_000, 1 * GB + CUDA, NEMO_HOST, "S 7 (2 to 3 GB)"),
    ("qwen3-asr", ""): Footprint(1_200_000_000, 1 * GB + CUDA, TORCH_HOST, "Q 11 (0.6B: 1.2 GB)"),
    ("qwen3-asr", "Qwen/Qwen3-ASR-1.7B-hf"): Footprint(3_400_000_000, 430_000_000 + CUDA, TORCH_HOST, "Q 11 and 17 (3.4, 3.83 seen)"),
    ("whisper", ""): Footprint(150_000_000, 200_000_000, 300_000_000, "base: 0.15 GB; the rest: allowance"),
    ("whisper-torch", ""): Footprint(3_000_000_000, 500_000_000 + CUDA, TORCH_HOST, "Q 16 (large-v3-turbo: about 3 GB)"),
}
"""By engine and model; an engine's entry without model holds for all others of its models."""

TEXT_TO_SPEECH: dict[tuple[str, str], Footprint] = {
    ("kokoro-onnx", ""): Footprint(92_000_000, 110_000_000, 600_000_000, "measured: 0.8 GB"),
    ("kokoro-torch", ""): Footprint(330_000_000, 170_000_000 + CUDA, TORCH_HOST, "N 15 (0.5 GB)"),
}

GATEWAY = Footprint(10_000_000, 0, 240_000_000, "measured: 0.21 GB with Silero and Smart Turn")
SESSION = 16 * MIB
"""One session in a gateway: 8 MiB of its items' sound (session.kept_audio_bytes) and as much again unsent."""

FAKE = Footprint(0, 0, 150_000_000, "measured: a replica without a model")
ENDPOINT = Footprint(0, 0, 200_000_000, "allowance: its model runs elsewhere")
UNKNOWN = Footprint(4 * GB, 1 * GB + CUDA, TORCH_HOST, "allowance for an engine that nobody measured: set its memory_bytes")

SYSTEM_ON_SPARK = 12 * GB
"""The system, Ray (0.8 GB, measured) and what a full memory needs to breathe. Two Sparks without a desktop had 101 to 102 GiB free for
CUDA after boot (GLM-5.3-Flash-EXL3-2x-DGX-Sparks, issue 47): 121 less 12 GB."""
SYSTEM_ON_CPU = 1_500_000_000
"""Ray and Serve (0.8 GB, measured) and some air. What else runs on the machine is its owner's."""

EXTRAS: dict[str, tuple[int, str]] = {
    "an extraction model of 27 billion parameters (NVFP4, 16 GB of cache)": (
        int(27 * GB * 0.6) + KEPT + 16 * GB + VLLM_WORKING + VLLM_HOST,
        "N 15 keeps room for qwen3.5:27b beside the voice stack",
    ),
    "WhisperX large-v3": (4_800_000_000 + TORCH_HOST, "N 10 (4.8 GB)"),
    "Magpie TTS at batch size 8": (10_870_000_000, "N 4 (10.87 GB)"),
}
"""What users of a Spark may want beside a voice server; `sparkvox plan` says whether it fits."""


def language_weights(model: str, on_disk: int | None = None) -> LanguageWeights:
    """`on_disk`: the size of its files, where they are here. Raises nothing: an unknown model is estimated by its name, and said so."""
    if model in LANGUAGE_MODELS:
        return LANGUAGE_MODELS[model]
    if on_disk is not None:
        return LanguageWeights(on_disk, UNKNOWN_TOKEN, 0, "the size of its files; its cache: allowance")
    if (billions := parameters(model)) is None:
        return LanguageWeights(16 * GB, UNKNOWN_TOKEN, 0, "its name says no size: allowance of 16 GB; set llm.memory_bytes")
    bits = next((value for name, value in BYTES_A_PARAMETER.items() if name in model.lower()), None)
    if bits is None:
        return LanguageWeights(int(billions * SIXTEEN_BITS * GB), UNKNOWN_TOKEN, 0, f"rule: {billions:g} billion at 16 bits")
    source = f"rule: {billions:g} billion x {bits:g} bytes + {KEPT / GB:g} GB kept at 16 bits"
    return LanguageWeights(int(billions * bits * GB) + KEPT, UNKNOWN_TOKEN, 0, source)


def parameters(model: str) -> float | None:
    """Billions, as names of models give them: the first number before a B, `70` of Llama-3.3-70B, not the active ones of A3B."""
    found = re.search(r"(?:^|[-_/:. x])(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", model)
    return float(found[1]) if found else None
