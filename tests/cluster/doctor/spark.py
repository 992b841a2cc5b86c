"""Facts of a DGX Spark FROM THE RESEARCH, NOT RECORDED BY US: nobody of this project has had one in hand.

Each value says where it is reported: N, S, K, Q, H as in docs/engines.md, § the section, l. the line. "ours" are values of this
project's own lock file or settings, "public" comes from public notes on stacked Sparks of 2026, and "usual" is what such a machine has
without anybody reporting it.
"""

from typing import Any

from cluster.doctor.facts import Facts

GIB = 2**30

SPARK: dict[str, Any] = {
    "machine": {
        "node": "spark-1",
        "architecture": "aarch64",  # K §1 l.17
        "system": "Ubuntu 24.04 LTS",  # usual: DGX OS is made of it
        "kernel": "6.11.0-nvidia",  # usual
        "python": "3.12.3",  # K §4.4 l.197: --python 3.12
        "product": "NVIDIA_DGX_Spark",  # usual
        "gathered_s": 1_780_000_000.0,
    },
    # K §1 l.19: 128GB unified. Swap off and memory told by PSI: what N §7 l.273 and our guard want.
    "memory": {"total": 119 * GIB, "available": 110 * GIB, "swap_total": 0, "swap_used": 0, "pressure": True},
    # S §1 l.14, l.16: compute capability 12.1, driver 580.126.09; N §3 l.88: "NVIDIA GB10". NVML does not tell a memory of its own
    # (measured elsewhere: Not Supported).
    "gpus": [{"name": "NVIDIA GB10", "capability": "12.1", "driver": "580.126.09", "memory": None}],
    "gpu_device": True,
    "packages": {
        "installed": {
            # ours: requirements/spark.lock
            "torch": {"version": "2.13.0+cu130", "tags": ["cp312-cp312-manylinux_2_28_aarch64"], "cudart": [13]},
            "triton": {"version": "3.7.1", "tags": ["cp312-cp312-manylinux_2_28_aarch64"]},
            "vllm": {"version": "0.32.0", "tags": ["cp38-abi3-manylinux_2_35_aarch64"], "cudart": [13]},
            "nemo-toolkit": {"version": "3.0.0", "tags": ["py3-none-any"]},
            "kokoro": {"version": "0.9.4", "tags": ["py3-none-any"]},  # K §1 l.7
            "ray": {"version": "2.60.0", "tags": ["cp312-cp312-manylinux2014_aarch64"]},
            "flashinfer-python": {"version": "0.7.0.post1", "tags": ["py3-none-any"]},
            "transformers": {"version": "5.19.0", "tags": ["py3-none-any"]},
            "sparkvox": {"version": "0.1.0", "tags": ["py3-none-any"]},
        },
        "cudart": [13],  # S §11 "CUDA ABI mismatch": only libcudart.so.13
    },
    # K §6 l.346: sm_120 runs on sm_121; K §4.4: builds for cu130 have it.
    "torch": {
        "version": "2.13.0+cu130",
        "cuda": "13.0",
        "available": True,
        "architectures": ["sm_80", "sm_90", "sm_100", "sm_110", "sm_120", "compute_120"],
    },
    # The first five were seen to work there with cu130 (Q §18 sheet l.771-778); complex ones are K §2.1, healthy here.
    "operations": {
        name: {"works": True}
        for name in (
            *("complex abs", "complex angle", "complex exp", "stft", "stft and istft"),
            *("bfloat16 matrix product", "attention (SDPA)"),
        )
    },
    "nvrtc": [75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121],  # ours: what NVRTC 13.0.88 of the lock answers, on x86-64
    "nvcc": "13.0",  # K §1 l.18
    "ptxas": {
        "path": "/usr/local/cuda/bin/ptxas",  # K §4.4 l.204
        "version": "13.0",
        "variable": "TRITON_PTXAS_BLACKWELL_PATH",  # ours: what Triton 3.7.1 reads for this chip
        "takes": {"works": True},
    },
    "trials": {
        "triton": {"works": True},
        "nccl": {"works": True},
        "phonemes": {"works": True},  # K §2.3: espeak-ng runs on the CPU and does not touch CUDA
        "audio files": {"works": True},
        "ctranslate2 on the GPU": {"works": False, "reason": "get_cuda_device_count() is 0"},  # S §1 l.11
    },
    "network": {
        "interfaces": [
            # H §1.3 l.49-51: ConnectX-7, 200 Gb/s, two QSFP ports; names of the twins: public.
            {"name": "enp1s0f0np0", "driver": "mlx5_core", "up": False, "mtu": 1500},
            {"name": "enp1s0f1np1", "driver": "mlx5_core", "up": True, "speed": 200_000, "mtu": 9000, "addresses": ["10.10.10.1"]},
            {"name": "enP2p1s0f0np0", "driver": "mlx5_core", "up": False, "mtu": 1500},
            {"name": "enP2p1s0f1np1", "driver": "mlx5_core", "up": True, "speed": 200_000, "mtu": 9000},
            {"name": "enP7s7", "driver": "r8127", "up": True, "speed": 10_000, "mtu": 1500, "addresses": ["192.168.1.21"]},  # H §1.4 l.60
        ],
        "rdma": [
            {"name": "rocep1s0f0", "interface": "enp1s0f0np0", "active": False},
            {"name": "rocep1s0f1", "interface": "enp1s0f1np1", "active": True},
            {"name": "roceP2p1s0f0", "interface": "enP2p1s0f0np0", "active": False},
            {"name": "roceP2p1s0f1", "interface": "enP2p1s0f1np1", "active": True},
        ],
        "listening": {22: "sshd", 8000: "haproxy", 6379: "gcs_server"},
        "locked_memory": None,
    },
    "ray": {
        "running": True,
        "nodes": 2,
        # K §4.4 l.200-204 and N, appendix l.651-655; the monitor and NCCL: what `sparkvox node` sets.
        "environment": {
            "RAY_memory_monitor_refresh_ms": "0",
            "TORCH_CUDA_ARCH_LIST": "12.1a",
            "NCCL_IB_HCA": "rocep1s0f1,roceP2p1s0f1",
        },
        "token": {"fingerprint": "0badcafe", "readable_by_others": False},
    },
    "clock": {"synchronised": True, "offset_s": 0.0, "uncertain_s": 0.001},
    "disk": {"cache": "/home/nvidia/.cache/sparkvox", "free": 800 * 10**9, "kernels": 436 * 10**6},  # N §7 l.276
    "chosen": {
        "profile": "spark",
        "engines": {"vad": "silero", "turn": "smart-turn", "stt": "nemo-rnnt", "llm": "vllm", "tts": "kokoro-torch"},
        "options": {"llm": {"kv_cache_bytes": "8589934592"}},
        "gpu": True,
        "nodes": 2,
    },
}


def spark(**changes: Any) -> Facts:
    """A healthy one of two, but for the changes: `memory__swap_total=...` for the value at memory.swap_total. A dict is added to."""
    facts = Facts.model_validate(SPARK).model_dump()
    for path, value in changes.items():
        *folders, name = path.split("__")
        at = facts
        for folder in folders:
            at = at[folder]
        at[name] = {**at[name], **value} if isinstance(value, dict) and isinstance(at.get(name), dict) else value
    return Facts.model_validate(facts)


def second(**changes: Any) -> Facts:
    """The other of the two."""
    there = [link | {"addresses": ["10.10.10.2"]} if link.get("addresses") == ["10.10.10.1"] else link for link in LINKS]
    return spark(**{"machine__node": "spark-2", "network__interfaces": there} | changes)


LINKS: list[dict[str, Any]] = SPARK["network"]["interfaces"]


def links(**changes: Any) -> list[dict[str, Any]]:
    """The interfaces, those with a cable changed."""
    return [link | changes if link["up"] and link["driver"] == "mlx5_core" else link for link in LINKS]
