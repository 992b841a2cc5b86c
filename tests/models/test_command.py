"""`sparkvox models`."""

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app import models
from serve_app.cli import main


def test_every_artifact_is_listed_with_its_licence_and_whether_it_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARKVOX_CACHE", str(tmp_path))
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    for artifact in models.catalogue():
        (row,) = (line for line in listed.splitlines() if line.startswith(artifact.name + " "))
        assert artifact.licence in row
        assert row.split()[-1] == "no"
    assert str(tmp_path) in listed


def test_a_name_that_means_nothing_ends_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "nonsense"]) == 1
    assert capsys.readouterr().err.startswith("sparkvox: 'nonsense' is neither")


def test_listing_models_imports_neither_ray_nor_torch() -> None:
    script = "import sys; from serve_app.cli import main; main(['models']); sys.exit(bool({'ray', 'torch', 'vllm'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
