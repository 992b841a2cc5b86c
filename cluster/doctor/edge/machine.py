"""The machine itself: processor, memory, GPU, disk, clock."""

import os
import platform
import re
import shutil
import subprocess
import time
from pathlib import Path

import psutil

from cluster.doctor.facts import Clock, Disk, Gpu, Machine, Memory
from serve_app import kernel_caches
from serve_app.cache import cache_folder

ASK_S = 30.0
MIB = 2**20
GPU_FIELDS = "name,compute_cap,driver_version,memory.total"


def answer(*command: str) -> str | None:
    """What a program writes; None where it is not here, fails or does not end."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def machine() -> Machine:
    return Machine(
        node=platform.node(),
        architecture=platform.machine(),
        system=_system(),
        kernel=platform.release(),
        python=platform.python_version(),
        product=_line("/sys/class/dmi/id/product_name"),
        gathered_s=time.time(),
    )


def memory() -> Memory:
    now, swap = psutil.virtual_memory(), psutil.swap_memory()
    return Memory(
        total=now.total,
        available=now.available,
        swap_total=swap.total,
        swap_used=swap.used,
        pressure=Path("/proc/pressure/memory").exists(),
    )


def gpus() -> tuple[Gpu, ...]:
    lines = (answer("nvidia-smi", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits") or "").splitlines()
    return tuple(gpu for line in lines if (gpu := read_gpu(line)))


def read_gpu(line: str) -> Gpu | None:
    """A line of nvidia-smi. A GPU that shares the machine's memory says `[N/A]` or `Not Supported` for its own."""
    parts = [part.strip() for part in line.split(",")]
    if len(parts) != len(GPU_FIELDS.split(",")):
        return None
    name, capability, driver, size = parts
    return Gpu(name=name, capability=capability, driver=driver, memory=int(size) * MIB if size.isdigit() else None)


def nvcc() -> str | None:
    for program in (shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"):
        if program and (found := re.search(r"release (\d+\.\d+)", answer(program, "--version") or "")):
            return found[1]
    return None


def disk() -> Disk:
    folder = cache_folder()
    here = next(path for path in (folder, *folder.parents) if path.exists())
    kernels = [kernel_caches.measured(one) for one in kernel_caches.current(os.environ)]
    return Disk(cache=str(folder), free=shutil.disk_usage(here).free, kernels=sum(one.size for one in kernels))


def clock() -> Clock:
    told = answer("timedatectl", "show", "--property=NTPSynchronized", "--value")
    return Clock(synchronised={"yes": True, "no": False}.get(told or ""))


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
