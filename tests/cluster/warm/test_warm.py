"""`sparkvox warm` as it is called."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.warm import command
from serve_app import kernel_caches
from serve_app.cli import main
from tests.cluster.warm.test_kernel_caches import folders, with_versions


@pytest.fixture(autouse=True)
def cache(tmp_path: Path) -> Iterator[Path]:
    """A folder of its own; what the command tells its processes is taken back."""
    before = dict(os.environ)
    os.environ["SPARKVOX_CACHE"] = str(tmp_path)
    for kind in kernel_caches.KINDS:
        os.environ.pop(kind.variable, None)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_engine_produces_output_and_what_is_said_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "profile=fake"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["vad", "turn", "tts", "stt", "llm"]
    # The fake speaks 0.06 s a character, and says how much it hears.
    assert "in 1.2 s of sound" in lines[3]
    assert lines[4].endswith("heard 'heard 1.20 seconds'")
    assert lines[5].endswith("wrote 'You said: The server is ready.'")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_engine_that_loads_but_gives_nothing_fails_and_the_others_are_warmed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "profile=fake", "tts.options.s_per_character=0"]) == 1
    said = capsys.readouterr().out
    assert "tts  fake           FAILED after" in said and "text-to-speech made 0.00 s of sound" in said
    assert "heard 'heard 1.00 seconds'" in said  # noise, because nothing was said
    assert "wrote" in said


def test_a_process_that_dies_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(command.sys, "executable", str(_python_that_dies(tmp_path)))
    found = command._in_a_process("tts", command.Settings.of({"profile": "fake"}), tmp_path / "speech", "tts")
    assert found == {"failed": "its process ended with 3: out of memory, said the driver"}


def _python_that_dies(folder: Path) -> Path:
    program = folder / "python"
    program.write_text("#!/bin/sh\necho 'out of memory, said the driver' >&2\nexit 3\n")
    program.chmod(0o755)
    return program


def test_engines_on_other_servers_and_over_several_nodes_are_left_out_with_the_reason() -> None:
    elsewhere = command.Settings.of({"profile": "fake", "llm.engine": "openai"})
    assert command._left_out("llm", elsewhere) == "runs on another server"
    spread = command.Settings.of({"profile": "spark", "llm.bundles": [{"GPU": 0.7}, {"GPU": 0.7}]})
    assert "several nodes" in command._left_out("llm", spread)
    assert command._left_out("tts", spread) == ""


def test_clean_removes_what_other_versions_have_left_and_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"SPARKVOX_CACHE": str(cache)}
    kept = []
    for version in ("3.6.0", "3.7.1"):
        with_versions(monkeypatch, triton=version)
        kept.append(folders(environment)["triton"])
        kept[-1].mkdir(parents=True)
        (kept[-1] / "kernel.cubin").write_bytes(bytes(2_000_000))
    (cache / "silero-vad").mkdir()
    assert main(["warm", "profile=fake", "--clean"]) == 0
    assert [path.exists() for path in kept] == [False, True]
    assert (cache / "silero-vad").exists()
    said = capsys.readouterr().out
    assert f"removed {kept[0]}: 1 files, 2 MB" in said
    assert "1 folder(s) of other versions, 2 MB, are gone" in said


def test_beside_a_server_nothing_is_warmed_where_the_gpu_shares_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    class Replica:
        info = {"cmdline": ["ray::ServeReplica:sparkvox:LanguageModel"]}

    monkeypatch.setattr("psutil.process_iter", lambda attributes: [Replica()])
    monkeypatch.setattr(command, "nvidia_gpu_visible", lambda: False)
    command._must_be_alone()
    monkeypatch.setattr(command, "nvidia_gpu_visible", lambda: True)
    with pytest.raises(command.MemoryTaken):
        command._must_be_alone()
