"""What `sparkvox warm` says while something compiles."""

from pathlib import Path

import pytest

from cluster.warm import command, watching
from cluster.warm.watching import Caches, telling
from serve_app import kernel_caches
from serve_app.settings import Settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"SPARKVOX_CACHE": str(tmp_path)}


def compiled(environment: dict[str, str], kind: str, size: int) -> None:
    (folder,) = (one.path for one in kernel_caches.current(environment) if one.kind == kind)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{size}.cubin").write_bytes(bytes(size))


def test_growth_is_what_came_since_the_start_by_kind(environment: dict[str, str]) -> None:
    compiled(environment, "triton", 5_000_000)
    caches = Caches(environment)
    assert str(caches.growth()) == "0 files, 0 MB" and caches.growth().kinds == ()
    compiled(environment, "triton", 2_000_000)
    compiled(environment, "vllm", 1_500_000)
    grown = caches.growth()
    assert (grown.files, grown.size) == (2, 3_500_000)
    assert grown.kinds == ("triton 1 files, 2.0 MB", "vllm 1 files, 1.5 MB")
    assert (caches.total().files, caches.total().size) == (3, 8_500_000)


def test_where_there_is_no_terminal_a_line_a_minute_says_how_far_it_is(
    environment: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    every_s, tell = telling("llm  vllm", Caches(environment))
    compiled(environment, "triton", 2_000_000)
    tell(3600.0)
    assert every_s == 60.0
    assert capsys.readouterr().out == "llm  vllm 3600 s, 1 files, 2 MB compiled so far\n"


def test_on_a_terminal_one_line_is_written_over_each_second(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watching.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(watching.os, "get_terminal_size", lambda: watching.os.terminal_size((20, 24)))
    every_s, tell = telling("llm", Caches(environment))
    tell(1.0)
    tell(2.0)
    assert every_s == 1.0
    assert capsys.readouterr().out.split("\r\x1b[K") == ["", "llm 1 s, 0 files, 0", "llm 2 s, 0 files, 0"]


def test_an_engine_that_still_loads_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The engine is ready once that was said."""
    said = tmp_path / "said"
    monkeypatch.setattr(command, "telling", lambda label, caches: (0.01, lambda passed_s: said.write_text(label)))
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\ntimeout 60 sh -c 'until [ -s {said} ]; do :; done' || exit 1\necho '{{\"told\": \"ready\"}}'\n")
    python.chmod(0o755)
    monkeypatch.setattr(command.sys, "executable", str(python))
    assert command._in_a_process("tts", Settings.of({"profile": "fake"}), tmp_path / "speech", "tts fake") == {"told": "ready"}
    assert said.read_text() == "tts fake"
