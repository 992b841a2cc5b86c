"""spaCy without torch, in a process that has no other use for torch.

Why: thinc, which spaCy's models run on, imports torch wherever it is installed, though the small English model of misaki runs on numpy
alone. That costs text-to-speech 170 MiB and some seconds of its start.
How: `import torch` fails while spaCy is imported, as it does where torch is not installed; thinc then goes without. Where torch is loaded
already nothing is gained, and where spacy-curated-transformers is installed its import would fail: then nothing is done.
Upstream: explosion/thinc, thinc/compat.py, which tries the import and takes its failure for an answer; there is no switch for it.
Versions: thinc 8.3, spaCy 3.8, spacy-curated-transformers absent (pyproject.toml).
When it goes: when `import spacy` leaves torch alone (tests/patches/test_thinc_torch.py).
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def left_out() -> Iterator[None]:
    """Make `import torch` fail within the block, for the whole process. Use it only where no other thread imports torch meanwhile."""
    if "torch" in sys.modules or "thinc" in sys.modules or importlib.util.find_spec("spacy_curated_transformers"):
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # how Python is told that there is none
    try:
        yield
    finally:
        del sys.modules["torch"]
