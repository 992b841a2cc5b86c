"""The programs of trials.py: each does one thing, in a process that may die of it, and writes what it found as one line of JSON."""

import ctypes
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PTX = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry nothing() { ret; }\n"
"""The smallest program: what is asked is whether the chip's name is known."""
ARCHITECTURE_SPECIFIC = 90
"""From here on Triton compiles for sm_90a and the like (its make_cubin)."""


def torch_(*_: str) -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {"version": torch.__version__, "cuda": torch.version.cuda, "available": torch.cuda.is_available()}
    flags = torch._C._cuda_getArchFlags() if torch.version.cuda else None
    found["architectures"] = flags.split() if flags else []
    found["reason"] = "" if found["available"] or torch.version.cuda is None else _reason(lambda: torch.zeros(1).cuda())
    return found


def operations(*_: str) -> dict[str, Any]:
    from patches.torch_capabilities import report

    return {one.name: {"works": one.works, "reason": one.reason} for one in report("cuda")}


def nvrtc(*_: str) -> dict[str, Any]:
    """What the NVRTC that PyTorch loads compiles for; asking needs no GPU."""
    import torch

    root = Path(torch.__file__).parent.parent / "nvidia"
    # libnvrtc.alt.so is another build of the same.
    path = next((str(path) for path in sorted(root.rglob("libnvrtc.so.*"))), f"libnvrtc.so.{(torch.version.cuda or '13').split('.')[0]}")
    library = ctypes.CDLL(path)
    count = ctypes.c_int()
    library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    numbers = (ctypes.c_int * count.value)()
    library.nvrtcGetSupportedArchs(numbers)
    return {"architectures": list(numbers)}


def ptxas(capability: str) -> dict[str, Any]:
    from triton import knobs
    from triton.backends.nvidia import compiler

    number = int(capability.replace(".", ""))
    tool = compiler.get_ptxas(number)
    blackwell = getattr(knobs.nvidia, "ptxas_blackwell", None)
    variable = "TRITON_PTXAS_BLACKWELL_PATH" if blackwell and blackwell.path == tool.path else "TRITON_PTXAS_PATH"
    chip = f"sm_{number}{'a' * (number >= ARCHITECTURE_SPECIFIC)}"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "nothing.ptx"
        source.write_text(PTX)
        command = [tool.path, f"--gpu-name={chip}", str(source), "-o", f"{folder}/out"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = (done.stderr.strip().splitlines() or [""])[0]
    return {"path": tool.path, "version": tool.version, "variable": variable, "works": done.returncode == 0, "reason": said}


def triton(*_: str) -> dict[str, Any]:
    import torch

    from cluster.doctor.edge.triton_kernel import add_one

    given = torch.arange(128, device="cuda", dtype=torch.float32)
    got = add_one(given)
    return {"works": bool((got == given + 1).all()), "reason": "a kernel that adds one gave another sum"}


def nccl(*_: str) -> dict[str, Any]:
    """One rank adds up with itself: the library loads, finds its interfaces and has a kernel for the chip."""
    import torch
    from torch import distributed

    with tempfile.TemporaryDirectory() as folder:
        distributed.init_process_group("nccl", init_method=f"file://{folder}/rendezvous", world_size=1, rank=0)
        values = torch.ones(1024, device="cuda")
        distributed.all_reduce(values)
        total = float(values.sum())
        distributed.destroy_process_group()
    return {"works": total == 1024.0, "reason": f"the sum of 1024 ones is {total}"}


def phonemes(*_: str) -> dict[str, Any]:
    """espeak-ng by itself: misaki has it for words that it does not know."""
    from deployments.engines.phonemes import espeak

    said = "".join(word.phonemes for word in espeak(british=False)("zyzzyva"))
    return {"works": bool(said), "reason": "espeak-ng gave no phonemes"}


def audio_files(*_: str) -> dict[str, Any]:
    """A second of silence as AAC, written and read."""
    import av
    import numpy as np

    file = io.BytesIO()
    with av.open(file, "w", format="adts") as out:
        stream = out.add_stream("aac", rate=24_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 24_000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 24_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    file.seek(0)
    with av.open(file, "r") as back:
        samples = sum(int(frame.samples) for frame in back.decode(audio=0))
    return {"works": samples >= 24_000, "reason": f"{samples} samples came back of 24000"}


def importing(module: str) -> dict[str, Any]:
    importlib.import_module(module)
    return {}


def ctranslate2_(*_: str) -> dict[str, Any]:
    import ctranslate2

    count = ctranslate2.get_cuda_device_count()
    return {"works": count > 0, "reason": "get_cuda_device_count() is 0"}


PROGRAMS: dict[str, Callable[..., dict[str, Any]]] = {
    "torch": torch_,
    "operations": operations,
    "nvrtc": nvrtc,
    "ptxas": ptxas,
    "triton": triton,
    "nccl": nccl,
    "phonemes": phonemes,
    "audio files": audio_files,
    "importing": importing,
    "ctranslate2 on the GPU": ctranslate2_,
}


def main(name: str, *arguments: str) -> None:
    try:
        found = {"works": True, "reason": ""} | PROGRAMS[name](*arguments)
    except Exception as error:
        found = {"works": False, "reason": _first_line(error)}
    if found["works"] and name != "torch":
        found["reason"] = ""
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()
    # Libraries of CUDA may crash while they are taken down, when all is said.
    os._exit(0)


def _reason(work: Callable[[], Any]) -> str:
    try:
        work()
    except Exception as error:
        return _first_line(error)
    return ""


def _first_line(error: BaseException) -> str:
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])
