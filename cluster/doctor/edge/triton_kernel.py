"""The smallest kernel of Triton. In a file of its own, because Triton reads its source and importing needs Triton."""

from typing import Any

import torch
import triton
import triton.language as tl

BLOCK = 128


@triton.jit
def _add_one(given: Any, out: Any, block: tl.constexpr) -> None:
    at = tl.arange(0, block)
    tl.store(out + at, tl.load(given + at) + 1)


def add_one(given: torch.Tensor) -> torch.Tensor:
    """Of `BLOCK` numbers on the GPU."""
    out = torch.empty_like(given)
    _add_one[(1,)](given, out, BLOCK)
    return out
