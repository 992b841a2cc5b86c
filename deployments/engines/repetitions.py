"""A model that has lost the thread writes the same thing for ever; what nobody says so often is written once."""

import re
import zlib
from functools import cache

LONGEST_UNIT = 20
"""Characters of what is repeated, and `MOST` times: the limits that Qwen3-ASR's own clean-up uses (github.com/QwenLM/Qwen3-ASR,
qwen_asr/inference/utils.py)."""
MOST = 20


def cleaned(text: str, most: int = MOST, longest_unit: int = LONGEST_UNIT) -> str:
    """What stands `most` times or more in a row stands there once."""
    return _repeated(most, longest_unit).sub(r"\1", text)


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it; above 2.4 a transcript repeats itself (Radford et al. 2022, arXiv 2212.04356, section 4.5)."""
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


@cache
def _repeated(most: int, longest_unit: int) -> re.Pattern[str]:
    return re.compile(rf"(.{{1,{longest_unit}}}?)\1{{{most - 1},}}", re.DOTALL)
