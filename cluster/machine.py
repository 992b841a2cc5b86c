"""What a node must know of the machine that it runs on, read without importing torch."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path

UNIFIED = ("GB10", "Thor", "Orin")
"""In the driver's name of a GPU that shares the memory of the CPU."""


@dataclass(frozen=True, slots=True)
class Machine:
    gpus: tuple[str, ...]
    """Their names, as the driver gives them."""
    cpus: int
    cuda: str | None
    """The folder of the CUDA toolkit."""

    @property
    def unified_memory(self) -> bool:
        return any(mark in gpu for gpu in self.gpus for mark in UNIFIED)


def this_machine(root: Path = Path("/")) -> Machine:
    cuda = root / "usr" / "local" / "cuda"
    return Machine(tuple(_gpus(root)), os.cpu_count() or 1, f"/{cuda.relative_to(root)}" if cuda.exists() else None)


def environment(machine: Machine) -> dict[str, str]:
    """Of the notes on GB10 (research of March 2026): what is compiled there must be for sm_121, which the toolkit of the system knows.

    Triton (3.7.1) reads the path of ptxas for chips from sm_100 on from another variable than for older ones (its `get_ptxas`); the notes
    name the older. Where nothing is at that path it takes its own.
    """
    if not machine.unified_memory:
        return {}
    wanted = {
        # Ray counts page cache and the GPU's share as used and kills workers that load weights, at 95 % of memory.
        "RAY_memory_monitor_refresh_ms": "0",
    }
    if any("GB10" in gpu for gpu in machine.gpus):
        wanted["TORCH_CUDA_ARCH_LIST"] = "12.1a"
        if machine.cuda is not None:
            wanted["TRITON_PTXAS_BLACKWELL_PATH"] = f"{machine.cuda}/bin/ptxas"
    return wanted


def _gpus(root: Path) -> list[str]:
    """One for each GPU that the driver shows; in a container there may be only the device files."""
    informed = sorted((root / "proc" / "driver" / "nvidia" / "gpus").glob("*/information"))
    names = [_model(path.read_text(errors="replace")) for path in informed]
    return names or [path.name for path in sorted((root / "dev").glob("nvidia[0-9]*"))]


def _model(information: str) -> str:
    lines = [line.partition(":")[2].strip() for line in information.splitlines() if line.startswith("Model:")]
    return lines[0] if lines else "NVIDIA GPU"


def versions() -> dict[str, str]:
    """What must be equal on all nodes: Ray refuses others, and pickles what it sends."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"python": python, **{name: importlib.metadata.version(name) for name in ("ray", "sparkvox")}}
