import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "cluster" / "systemd").glob("*.service"))
PLACE = "/opt/sparkvox/.venv/bin/sparkvox"


def settings(unit: Path) -> dict[str, str]:
    lines = [line for line in unit.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_both_boxes_have_a_unit() -> None:
    assert [unit.stem for unit in UNITS] == ["sparkvox-head", "sparkvox-node"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    """With a command that exists: systemd looks for it."""
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(PLACE, shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, complaints) == (0, [])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_starts_a_node_and_lets_it_end_in_order(unit: Path) -> None:
    said = settings(unit)
    assert said["ExecStart"].startswith(f"{PLACE} node {'head' if 'head' in unit.stem else 'join'} ")
    assert (said["KillMode"], said["Restart"], said["PrivateTmp"]) == ("mixed", "on-failure", "true")
    assert said["StateDirectoryMode"] == "0700"


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_no_secret_stands_on_a_command_line(unit: Path) -> None:
    assert not [word for word in ("KEY", "TOKEN", "token=") if word in settings(unit)["ExecStart"]]
