"""C: what PyTorch can do on a device, found out by doing it: `python -m patches.torch_capabilities [DEVICE]`.

Why: whether A or B is needed depends on the chip, on PyTorch and on the NVRTC beside it; a wrong guess shows only at the first sentence.
Telling PyTorch that the chip is another one (`get_device_capability` replaced) does not help: the compiler on the card is asked from C++.
How: every operation that a voice engine's models depend on runs once on a small input and is compared with the same on the CPU.
Upstream: pytorch/pytorch#87595 and m-bain/whisperX#1326; cards of sm_121 are said to fail at "complex abs", "complex angle", "complex exp".
Versions: torch 2.13.0.
When it goes: with A and B.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 2e-2
"""Relative to the largest value: bfloat16 has 8 bits."""


@dataclass(frozen=True, slots=True)
class Capability:
    name: str
    works: bool
    reason: str = ""
    """The first line of the error, or how far off the result was."""


def report(device: str = "cpu") -> list[Capability]:
    """Every operation tried on `device`."""
    return [_tried(name, operation, device) for name, operation in OPERATIONS.items()]


def _tried(name: str, operation: Callable[[Any], Any], device: str) -> Capability:
    import torch

    torch.manual_seed(0)
    given = torch.randn(4, 64, 64)
    try:
        got, wanted = operation(given.to(device)).float().cpu(), operation(given).float()
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        return Capability(name, False, (str(error).strip().splitlines() or [type(error).__name__])[0])
    off = float((got - wanted).abs().max() / wanted.abs().max())
    return Capability(name, off < TOLERANCE, f"off by {off:.1e} of the largest value")


def _complex(given: Any) -> Any:
    import torch

    return torch.complex(given, given.flip(-1))


def _spectrum(given: Any) -> Any:
    import torch

    return torch.stft(given.flatten(1), 20, 5, 20, window=torch.hann_window(20, device=given.device), return_complex=True)


def _there_and_back(given: Any) -> Any:
    import torch

    return torch.istft(_spectrum(given), 20, 5, 20, window=torch.hann_window(20, device=given.device))


def _bfloat16_product(given: Any) -> Any:
    import torch

    return given.to(torch.bfloat16) @ given.to(torch.bfloat16)


def _attention(given: Any) -> Any:
    import torch

    half = given.to(torch.bfloat16)[None]
    return torch.nn.functional.scaled_dot_product_attention(half, half, half)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "complex abs": lambda given: _complex(given).abs(),
    "complex angle": lambda given: _complex(given).angle(),
    "complex exp": lambda given: _complex(given).exp().real,
    "stft": lambda given: _spectrum(given).real,
    "stft and istft": _there_and_back,
    "bfloat16 matrix product": _bfloat16_product,
    "attention (SDPA)": _attention,
}


def main(device: str | None = None) -> None:
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if chosen.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(chosen)
        what = f"{torch.cuda.get_device_name(chosen)}, sm_{major}{minor}, CUDA {torch.version.cuda}"
    else:
        what = chosen
    sys.stdout.write(f"PyTorch {torch.__version__} on {what}\n")
    for one in report(chosen):
        sys.stdout.write(f"{'works' if one.works else 'FAILS':6} {one.name:24} {one.reason}\n")


if __name__ == "__main__":
    main(*sys.argv[1:2])
