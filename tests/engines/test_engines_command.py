"""`sparkvox engines`."""

import re
import subprocess
import sys

import pytest

from deployments.engines import ENGINES, Declared
from serve_app import engines_command
from serve_app.cli import main
from serve_app.engines_command import SETTINGS, lacks
from serve_app.settings import known_settings


def test_every_engine_is_listed_by_the_setting_that_chooses_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engines"]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [[SETTINGS[kind], name] for kind, names in ENGINES.items() for name in names]


def test_only_one_kind_is_listed_when_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    main(["engines", "turn_detector"])
    assert set(re.findall(r"^\w+\.engine", capsys.readouterr().out, re.MULTILINE)) == {"turn.engine"}


def test_the_settings_that_it_names_exist() -> None:
    assert set(SETTINGS.values()) <= set(known_settings())


def test_a_package_that_is_not_here_is_named_with_the_extra_that_brings_it() -> None:
    declared = Declared("module:Class", "MIT", ("json", "no_such_package", "nor_this_one"), extra="special")
    assert list(lacks(declared)) == ["no no_such_package, no nor_this_one: `scripts/setup auto special` adds it"]


@pytest.mark.parametrize(("visible", "lacking"), [(True, []), (False, ["no NVIDIA GPU"])])
def test_an_engine_for_a_gpu_lacks_it_where_there_is_none(visible: bool, lacking: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_command, "nvidia_gpu_visible", lambda: visible)
    assert list(lacks(Declared("module:Class", "MIT", gpu=True))) == lacking


def test_what_needs_nothing_lacks_nothing() -> None:
    assert list(lacks(ENGINES["recogniser"]["fake"])) == []


def test_what_is_missing_is_said_in_the_row_of_the_engine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(ENGINES["recogniser"], "future", Declared("module:Class", "CC0-1.0", ("no_such_package",), extra="special"))
    main(["engines", "recogniser"])
    (row,) = (line for line in capsys.readouterr().out.splitlines() if " future " in line)
    lacks_it = "no no_such_package: `scripts/setup auto special` adds it"
    assert re.split(r"\s{2,}", row.strip()) == ["stt.engine", "future", "CC0-1.0", "no", lacks_it]


def test_every_extra_of_the_table_is_one_of_the_project() -> None:
    import tomllib
    from pathlib import Path

    extras = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {declared.extra for names in ENGINES.values() for declared in names.values() if declared.extra}
    assert named <= set(extras)


def test_listing_engines_imports_none_of_their_libraries() -> None:
    heavy = "{'ray', 'torch', 'vllm', 'transformers', 'onnxruntime', 'misaki'}"
    script = f"import sys; from serve_app.cli import main; main(['engines']); sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0
