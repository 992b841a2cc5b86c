"""What the GPU can do, tried: kernels that are compiled on the machine are what breaks on sm_121."""

from cluster.doctor.facts import Facts
from cluster.doctor.rules.packages import SETUP, numbers
from cluster.doctor.rules.rule import GPU, SEVERAL, SM_12, SM_121, UNIFIED, Level, Rule, Unknown, chip, failing, installed, runs

COMPLEX = ("complex abs", "complex angle", "complex exp")
"""Operations that PyTorch compiles by its Jiterator when they are first used."""
NVCC = {"sm_121": (12, 9), "sm_120": (12, 8)}
"""The first nvcc that knows the chip (CUDA Toolkit release notes)."""


def _nvrtc(facts: Facts) -> str | None:
    if facts.nvrtc is None:
        raise Unknown("what NVRTC compiles for")
    number = int(chip(facts).removeprefix("sm_"))
    newest = max(facts.nvrtc, default=0)
    return None if number in facts.nvrtc else f"the NVRTC beside PyTorch compiles for up to sm_{newest}, and not for {chip(facts)}"


def _tried(facts: Facts, names: tuple[str, ...] | None) -> str | None:
    if not facts.operations:
        raise Unknown("what the GPU computes")
    chosen = {name: trial for name, trial in facts.operations.items() if (name in COMPLEX) == (names is COMPLEX)}
    told = [f"{name}: {trial.reason}" for name, trial in chosen.items() if not trial.works]
    return "; ".join(told) or None


def _unpatched(facts: Facts) -> str | None:
    patch = facts.chosen.options.get("tts", {}).get("patch", "auto") if facts.chosen else "auto"
    wrong = _tried(facts, COMPLEX)
    return f"{wrong}, and tts.options.patch is none" if wrong and patch == "none" else None


def _ptxas(facts: Facts) -> str | None:
    if facts.ptxas is None:
        raise Unknown("the ptxas that Triton takes")
    taken = facts.ptxas
    return None if taken.takes.works else f"{taken.path} ({taken.version}) refuses {chip(facts)}: {taken.takes.reason}"


def _mend_ptxas(facts: Facts) -> str:
    variable = facts.ptxas.variable if facts.ptxas else "TRITON_PTXAS_BLACKWELL_PATH"
    return f"export {variable}=/usr/local/cuda/bin/ptxas, also in what starts Ray"


def _nvcc(facts: Facts) -> str | None:
    if "flashinfer-jit-cache" in facts.packages.installed:
        return None
    if facts.nvcc is None:
        return "there is no nvcc"
    first = NVCC.get(chip(facts), (0, 0))
    return f"nvcc {facts.nvcc} does not know {chip(facts)}" if numbers(facts.nvcc)[:2] < first else None


def _arch_list(facts: Facts) -> str | None:
    given = facts.ray.environment.get("TORCH_CUDA_ARCH_LIST") or facts.environment.get("TORCH_CUDA_ARCH_LIST")
    return f"TORCH_CUDA_ARCH_LIST is {given!r}" if given and "12." not in given else None


def _cuda_graphs(facts: Facts) -> str | None:
    given = facts.chosen.options.get("stt", {}).get("cuda_graphs", "") if facts.chosen else ""
    return "stt.options.decoding.cuda_graphs is on" if given.lower() == "true" else None


def _kernels(facts: Facts) -> str | None:
    if facts.disk is None:
        raise Unknown("the kernel caches")
    return "no kernel is cached for the installed versions" if facts.disk.kernels == 0 else None


RULES = (
    Rule(
        "NVRTC",
        Level.LOOK,
        _nvrtc,
        why="what is compiled on the card fails with `invalid value for --gpu-architecture` (K §1); Kokoro is patched where it must be",
        mend=SETUP + ", whose PyTorch brings an NVRTC of CUDA 13",
        concerns=(GPU, SM_12),
    ),
    Rule(
        "Jiterator",
        Level.LOOK,
        lambda facts: _tried(facts, COMPLEX),
        why="PyTorch compiles these on the card: the operations that broke Kokoro on a Spark (K §2). Kokoro is patched (patches/README.md)",
        mend=SETUP + "; leave tts.options.patch at auto meanwhile",
        concerns=(GPU,),
    ),
    Rule(
        "Kokoro's patch",
        Level.WRONG,
        _unpatched,
        why="Kokoro's first sentence would fail (K §1)",
        mend="tts.options.patch=auto",
        concerns=(GPU, runs("tts", "kokoro-torch")),
    ),
    Rule(
        "operations",
        Level.WRONG,
        lambda facts: _tried(facts, None),
        why="models need these; here they gave an error, or another result than on the CPU: so early vLLM wrote garbage (Q §18.1)",
        mend=SETUP + ", then `.venv/bin/python -m patches.torch_capabilities cuda`",
        concerns=(GPU,),
    ),
    Rule(
        "ptxas",
        Level.WRONG,
        _ptxas,
        why="Triton assembles every kernel with it: vLLM and torch.compile fail with `sm_121a is not defined for option gpu-name`",
        mend=_mend_ptxas,
        concerns=(GPU,),
    ),
    Rule(
        "Triton",
        Level.WRONG,
        lambda facts: failing(facts, "triton"),
        why="vLLM's kernels are written in it (K §5 Q3, Q §18.6)",
        mend="mend what `ptxas` says first, then " + SETUP,
        concerns=(GPU,),
    ),
    Rule(
        "nvcc",
        Level.LOOK,
        _nvcc,
        why="FlashInfer compiles attention kernels with it, unless flashinfer-jit-cache has them ready",
        mend="sudo apt install cuda-toolkit-13-0 && export CUDA_HOME=/usr/local/cuda, also in what starts Ray",
        concerns=(GPU, installed("flashinfer-python")),
    ),
    Rule(
        "architectures to compile for",
        Level.LOOK,
        _arch_list,
        why="extensions would be compiled for another chip than this one",
        mend="export TORCH_CUDA_ARCH_LIST=12.1a, or unset it",
        concerns=(GPU, SM_12),
    ),
    Rule(
        "graphs of the decoder",
        Level.LOOK,
        _cuda_graphs,
        why="NeMo's RNNT decoder was used on a Spark without CUDA graphs only (Q §19.9)",
        mend="leave stt.options.decoding.cuda_graphs away",
        concerns=(GPU, SM_121, runs("stt", "nemo-rnnt", "nemo-offline")),
    ),
    Rule(
        "kernel caches",
        Level.LOOK,
        _kernels,
        why="the first start compiles for over an hour, some 42 kernels (N §7), while nobody is served",
        mend="sparkvox warm",
        concerns=(UNIFIED,),
    ),
    Rule(
        "NCCL",
        Level.WRONG,
        lambda facts: failing(facts, "nccl"),
        why="a model that is spread over two nodes adds up its halves with it",
        mend=SETUP + "; NCCL_DEBUG=INFO shows what it tries",
        concerns=(GPU, SEVERAL),
    ),
)
