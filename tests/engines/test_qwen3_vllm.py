"""Qwen3-ASR in the real vLLM.

vLLM's module of this model imports torchvision, which the environment does not have: the registry's wheel is built for CUDA, and beside a
CPU torch its import ends at the operators that it registers. Without those, which no speech model calls, it can be imported. So the wheel
is unpacked beside the environment, that one module emptied, and the test run in a process that finds it there.
"""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TORCHVISION = "torchvision==0.28.0"
"""The one for torch 2.13.0."""
TEST = "tests/engines/test_qwen3_asr.py::test_vllm_writes_what_torch_writes"
LIMIT_S = 900
"""Only to fail instead of hanging."""


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), TORCHVISION]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "torchvision" / "_meta_registrations.py").write_text("")
    return tmp_path


@pytest.mark.registry
@pytest.mark.weights
@pytest.mark.skipif(find_spec("vllm") is None, reason="vllm is not installed")
@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is here: the test itself runs")
def test_vllm_writes_what_torch_writes(beside: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(beside), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ran.returncode == 0 and "1 passed" in ran.stdout, ran.stdout[-4000:] + ran.stderr[-4000:]
