"""`sparkvox node` before anything is started: what it refuses, and in which words."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.cli import main

INNER = ("--inner", "127.0.0.1")


@pytest.fixture
def folder() -> Iterator[Path]:
    """With a path short enough for sockets, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="sv", dir="/tmp") as path:
        yield Path(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """On standard error, in vain."""
    assert main(["node", *words]) == 1
    return capsys.readouterr().err


def test_a_cluster_without_a_key_is_refused(capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARKVOX_API_KEY", raising=False)
    assert "sparkvox keys new" in said(capsys, "head", "profile=fake", *INNER, "--state", str(folder))
    assert not list(folder.iterdir())


def test_an_unknown_setting_is_refused_by_its_name(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "stt.replica" in said(capsys, "head", "profile=fake", "stt.replica=2", *INNER, "--state", str(folder))


def test_a_node_without_the_token_is_told_where_it_comes_from(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "scp 10.0.0.1:" in said(capsys, "join", "10.0.0.1", *INNER, "--state", str(folder))


@pytest.mark.parametrize("action", ["status", "leave"])
def test_where_no_node_runs_that_is_said(action: str, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert "no node runs here" in said(capsys, action, "--state", str(folder))


def test_ports_are_told_as_a_table_or_a_firewall(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["node", "ports"]) == 0
    assert "| 6379 | gcs |" in capsys.readouterr().out
    assert main(["node", "ports", "--firewall", "enp1s0f1np1"]) == 0
    assert "table inet sparkvox" in capsys.readouterr().out
