"""What is installed: wheels for another processor or another CUDA, versions that do not go together, what must not be here."""

from cluster.doctor.facts import Facts
from cluster.doctor.rules.rule import AARCH64, DRIVER, GPU, SM_12, Level, Rule, Unknown, failing, installed, runs

SETUP = "make setup PROFILE=spark"
"""Installs the lock file of the Spark: PyTorch and vLLM for CUDA 13."""
BUILT_FOR_CUDA = ("torchaudio", "torchvision", "torchcodec")
"""Packages of PyTorch that must have its build; this project needs none of them."""

NOT_FOR_AARCH64 = {
    "mamba-ssm": "does not compile there",
    "nvidia-eff": "is not made for it, so that NeMo models cannot be converted for Riva there",
    "s3tokenizer": "does not work there",
    "onnxruntime-gpu": "has no CUDA build for it",
    "tts": "(XTTS) does not work there",
    "f5-tts": "does not work there",
}
"""N §7, categories 1 and 3; ONNX Runtime: K §4.6."""
NEMO_NEEDS_OLD_TORCH = ((3, 0), (2, 10))
"""NeMo before 3.0 breaks on PyTorch from 2.10 on (N §6); 3.0 with 2.13 was seen to work on x86-64."""
CUDA_DRIVER = {13: 580, 12: 525}
"""CUDA's major version: the oldest driver (CUDA Toolkit release notes, table of driver versions)."""


def numbers(version: str) -> tuple[int, ...]:
    """2.13.0+cu130 → (2, 13, 0)."""
    parts = version.split("+")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def _foreign(facts: Facts) -> str | None:
    wrong = {name: wheel.foreign for name, wheel in facts.packages.installed.items() if wheel.foreign}
    listed = ", ".join(f"{name} ({made_for})" for name, made_for in sorted(wrong.items()))
    return f"made for another processor than this {facts.machine.architecture}: {listed}" if wrong else None


def _unmet(facts: Facts) -> str | None:
    told = [f"{package} wants {wanted}, and there is {here or 'none'}" for package, wanted, here in facts.packages.unmet]
    return "; ".join(told) or None


def _lacking(facts: Facts) -> str | None:
    if facts.chosen is None:
        raise Unknown("what is to run here")
    return "; ".join(f"{engine}: {lacks}" for engine, lacks in sorted(facts.chosen.lacking.items())) or None


def _torch_without_cuda(facts: Facts) -> str | None:
    if facts.torch is None:
        raise Unknown("PyTorch")
    return f"PyTorch {facts.torch.version} is built for the CPU alone" if facts.torch.cuda is None else None


def _torch_blind(facts: Facts) -> str | None:
    torch = facts.torch
    if torch is None:
        raise Unknown("PyTorch")
    if torch.cuda is None or torch.available:
        return None
    return f"PyTorch {torch.version} (CUDA {torch.cuda}) does not see the GPU: {torch.reason or 'no reason given'}"


def _torch_without_chip(facts: Facts) -> str | None:
    """sm_120 runs on sm_121 (K §6); PTX would be compiled by the driver."""
    torch = facts.torch
    if torch is None or (torch.cuda and not torch.architectures):
        raise Unknown("what PyTorch was built for")
    if torch.cuda is None:
        return None  # told by "torch for CUDA"
    if any(one.startswith(("sm_12", "compute_12")) for one in torch.architectures):
        return None
    return f"PyTorch {torch.version} was built for {', '.join(torch.architectures)}, and not for compute capability 12"


def _companions(facts: Facts) -> str | None:
    told = []
    for name in BUILT_FOR_CUDA:
        if name in facts.packages.installed and (reason := failing(facts, name)):
            told.append(f"{name} {facts.packages.installed[name].version} cannot be imported ({reason})")
    return "; ".join(told) or None


def _torchaudio_for_cpu(facts: Facts) -> str | None:
    version = facts.packages.installed["torchaudio"].version
    return f"torchaudio {version} is the CPU build" if version.endswith("+cpu") else None


def _cudart(facts: Facts) -> str | None:
    here = set(facts.packages.cudart)
    wanting = {name: set(wheel.cudart) - here for name, wheel in facts.packages.installed.items() if set(wheel.cudart) - here}
    told = [f"{name} wants libcudart.so.{'/'.join(map(str, sorted(versions)))}" for name, versions in sorted(wanting.items())]
    found = ", ".join(f"libcudart.so.{version}" for version in sorted(here)) or "none"
    return f"{', '.join(told)}, and there is {found}" if told else None


def _driver(facts: Facts) -> str | None:
    if facts.gpu is None:
        return "the driver's files are here, but nvidia-smi does not answer"
    if facts.torch is None:
        raise Unknown("the CUDA that PyTorch wants")
    if facts.torch.cuda is None:
        return None  # told by "torch for CUDA"
    oldest = CUDA_DRIVER.get(numbers(facts.torch.cuda)[0], 0)
    if numbers(facts.gpu.driver)[:1] >= (oldest,):
        return None
    return f"driver {facts.gpu.driver} is too old for CUDA {facts.torch.cuda}, which wants {oldest}"


def _nemo_torch(facts: Facts) -> str | None:
    nemo, torch = facts.packages.installed["nemo-toolkit"].version, facts.packages.installed.get("torch")
    first_nemo, first_torch = NEMO_NEEDS_OLD_TORCH
    if torch is None or numbers(nemo) >= first_nemo or numbers(torch.version) < first_torch:
        return None
    return f"NeMo {nemo} with PyTorch {torch.version}"


def _nemo_vllm(facts: Facts) -> str | None:
    plugins = facts.ray.environment.get("VLLM_PLUGINS") or facts.environment.get("VLLM_PLUGINS")
    return f"VLLM_PLUGINS is {plugins!r}" if plugins else None


def _flash_attention(facts: Facts) -> str | None:
    wheel = facts.packages.installed.get("flash-attn")
    return f"flash-attn {wheel.version} is installed" if wheel else None


def _not_for_aarch64(facts: Facts) -> str | None:
    told = [f"{name} {why}" for name, why in NOT_FOR_AARCH64.items() if name in facts.packages.installed]
    return "; ".join(told) or None


def _ctranslate2(facts: Facts) -> str | None:
    device = facts.chosen.options.get("stt", {}).get("device", "cpu") if facts.chosen else "cpu"
    reason = failing(facts, "ctranslate2 on the GPU")
    return f"stt.options.device is {device}, but CTranslate2 sees no GPU ({reason})" if reason and device != "cpu" else None


RULES = (
    Rule(
        "wheel architecture",
        Level.WRONG,
        _foreign,
        why="a library made for another processor cannot be loaded; it comes from a copied environment, or from a wheel without a tag",
        mend="rm -r .venv && make setup",
    ),
    Rule(
        "requirements",
        Level.WRONG,
        _unmet,
        why="the lock file holds versions that were seen to work together; vLLM, NeMo and PyTorch break with others (N §6)",
        mend="make setup",
    ),
    Rule(
        "engines",
        Level.WRONG,
        _lacking,
        why="an engine of these settings cannot be loaded",
        mend="make setup, with PROFILE=spark for the engines of the Spark; `sparkvox engines` lists them all",
    ),
    Rule(
        "driver",
        Level.WRONG,
        _driver,
        why="without a driver that fits, no library sees the GPU",
        mend="sudo apt update && sudo apt full-upgrade && sudo reboot; on DGX OS the driver comes with the system",
        concerns=(DRIVER,),
    ),
    Rule(
        "torch for CUDA",
        Level.WRONG,
        _torch_without_cuda,
        why="every model would run on the CPU, ten to fifty times slower (N §7); plain pip takes a CPU build on aarch64",
        mend=SETUP,
        concerns=(GPU,),
    ),
    Rule(
        "torch sees the GPU",
        Level.WRONG,
        _torch_blind,
        why="every model would run on the CPU, ten to fifty times slower (N §7)",
        mend="nvidia-smi, and where that answers: " + SETUP,
        concerns=(GPU,),
    ),
    Rule(
        "torch knows the chip",
        Level.WRONG,
        _torch_without_chip,
        why="there is no kernel for this GPU in it: the first operation fails; builds for CUDA 13 have sm_120, which runs on sm_121 (K §6)",
        mend=SETUP,
        concerns=(GPU, SM_12),
    ),
    Rule(
        "torch's companions",
        Level.WRONG,
        _companions,
        why="a torchvision, torchaudio or torchcodec of another build cannot be imported and takes transformers, and so vLLM, down with it",
        mend=".venv/bin/python -m pip uninstall -y torchvision torchaudio torchcodec",
    ),
    Rule(
        "torchaudio for CUDA",
        Level.LOOK,
        _torchaudio_for_cpu,
        why="what loads or transforms audio with it runs on the CPU, 10 to 50 times slower (N §7); nothing of this project does",
        mend=".venv/bin/python -m pip uninstall -y torchaudio",
        concerns=(GPU, installed("torchaudio")),
    ),
    Rule(
        "libcudart",
        Level.WRONG,
        _cudart,
        why="most packages are built for CUDA 12 and do not find libcudart.so.12 on a machine that has 13 (N §7, S §11)",
        mend=SETUP + "; a package that is not in its lock must be built for CUDA 13, or go",
        concerns=(GPU,),
    ),
    Rule(
        "NeMo with torch",
        Level.WRONG,
        _nemo_torch,
        why="NeMo before 3.0 breaks on PyTorch from 2.10 on, because arguments of Sampler are gone (N §6)",
        mend=SETUP,
        concerns=(installed("nemo-toolkit"),),
    ),
    Rule(
        "NeMo with vLLM",
        Level.WRONG,
        _nemo_vllm,
        why="NeMo registers a plugin that kills vLLM's worker at its start; an empty VLLM_PLUGINS, which is the default, leaves it out",
        mend="unset VLLM_PLUGINS, also in what starts Ray, and start Ray again",
        concerns=(installed("nemo-toolkit"),),
    ),
    Rule(
        "flash attention",
        Level.LOOK,
        _flash_attention,
        why="it has no kernels for compute capability 12 (Q §18.6), and PyTorch's own attention (SDPA) is the faster one there (N §7)",
        mend=".venv/bin/python -m pip uninstall -y flash-attn",
        concerns=(GPU, SM_12),
    ),
    Rule(
        "not for aarch64",
        Level.LOOK,
        _not_for_aarch64,
        why="these packages were reported not to work on a Spark (N §7, K §4.6); nothing of this project uses them",
        mend=".venv/bin/python -m pip uninstall -y PACKAGE",
        concerns=(AARCH64,),
    ),
    Rule(
        "CTranslate2",
        Level.LOOK,
        _ctranslate2,
        why="its aarch64 wheels are built without CUDA, and no setting changes that (S §2.1)",
        mend="stt.engine=whisper-torch, or stt.options.device=cpu",
        concerns=(GPU, runs("stt", "whisper")),
    ),
    Rule(
        "phonemes",
        Level.WRONG,
        lambda facts: failing(facts, "phonemes"),
        why="Kokoro speaks phonemes: espeak-ng makes those that misaki does not know",
        mend="make setup; where the library does not load: sudo apt install espeak-ng",
        concerns=(runs("tts", "kokoro-onnx", "kokoro-torch"),),
    ),
    Rule(
        "audio files",
        Level.WRONG,
        lambda facts: failing(facts, "audio files"),
        why="PyAV carries the ffmpeg that reads and writes mp3, opus and aac for the HTTP API; the program ffmpeg is not needed",
        mend="make setup",
    ),
)
