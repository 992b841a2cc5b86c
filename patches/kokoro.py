"""Which of Kokoro's two patches a device needs: see kokoro_disable_complex.py and kokoro_real_magnitude.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from patches import kokoro_disable_complex, kokoro_real_magnitude
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    import torch

PATCHES = {"disable_complex": kokoro_disable_complex.apply, "real_imag": kokoro_real_magnitude.apply}
CHOICES = ("auto", "none", *PATCHES)
BLACKWELL = 12
"""Major compute capability of sm_120 (RTX 50) and sm_121 (DGX Spark)."""


def apply(model: Any, choice: str, device: torch.device) -> str:
    """Changes a `KModel` before it is used; answers which patch that was. Raises `EngineFailed` for one that there is not."""
    if choice not in CHOICES:
        raise EngineFailed(f"there is no patch {choice!r} of Kokoro; there are {', '.join(CHOICES)}")
    chosen = for_device(device) if choice == "auto" else choice
    if chosen != "none":
        PATCHES[chosen](model)
    return chosen


def for_device(device: torch.device) -> str:
    import torch

    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] == BLACKWELL:
        return "disable_complex"
    return "none"
