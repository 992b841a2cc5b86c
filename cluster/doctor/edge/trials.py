"""Things done to see whether they work, each in a process of its own: one that crashes or hangs tells just that.

    python -m cluster.doctor.edge.trial_programs NAME [ARGUMENT] → one line of JSON
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from cluster.doctor.facts import Ptxas, Torch, Trial

PROGRAMS = "cluster.doctor.edge.trial_programs"
LONGEST_S = 180.0
IMPORTED = ("torchvision", "torchaudio", "torchcodec")
"""Modules that may be here and not be importable."""


def tried(name: str, *arguments: str) -> tuple[Trial, dict[str, Any]]:
    """Whether the program ended well, and what it found."""
    command = [sys.executable, "-m", PROGRAMS, name, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        return Trial(works=False, reason=f"no answer within {LONGEST_S:.0f} s"), {}
    if done.returncode < 0:
        return Trial(works=False, reason=f"ended by signal {-done.returncode}"), {}
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return Trial(works=False, reason=_last_line(done.stderr)), {}
    return Trial(works=found.pop("works"), reason=found.pop("reason")), found


def torch() -> Torch | None:
    if find_spec("torch") is None:
        return None
    trial, found = tried("torch")
    return Torch(**found, reason=trial.reason) if found else Torch(version="", reason=trial.reason)


def operations() -> dict[str, Trial]:
    trial, found = tried("operations")
    return {name: Trial.model_validate(one) for name, one in found.items()} or {"PyTorch on the GPU": trial}


def nvrtc() -> tuple[int, ...] | None:
    _, found = tried("nvrtc")
    return tuple(found["architectures"]) if found else None


def ptxas(capability: str) -> Ptxas | None:
    trial, found = tried("ptxas", capability)
    return Ptxas(takes=trial, **found) if found else None


def for_every_machine() -> dict[str, Trial]:
    names = {name: name for name in ("phonemes", "audio files")}
    names |= {name: "importing" for name in IMPORTED if find_spec(name) is not None}
    return {name: tried(program, name)[0] for name, program in names.items()}


def for_a_gpu() -> dict[str, Trial]:
    names = ["triton", "nccl", *(["ctranslate2 on the GPU"] if find_spec("ctranslate2") else [])]
    return {name: tried(name)[0] for name in names}


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason given")
