"""spaCy is imported without torch, and would import it by itself."""

import subprocess
import sys

SAYS = "import sys; print('torch' in sys.modules and sys.modules['torch'] is not None)"


def said(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def test_english_phonemes_need_no_torch() -> None:
    program = f"from deployments.engines.phonemes import english; print(english(False)('Hello there.')[1].phonemes); {SAYS}"
    assert said(program).splitlines() == ["ðˈɛɹ.", "False"]


def test_torch_can_be_imported_afterwards() -> None:
    program = "from deployments.engines.phonemes import english; english(False)('Hello.'); import torch; print(torch.ones(2).sum().item())"
    assert said(program) == "2.0"


def test_the_patch_is_still_needed() -> None:
    """Where this fails, take patches/thinc_torch.py out."""
    assert said(f"import spacy; {SAYS}") == "True"
