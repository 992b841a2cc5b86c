"""A licence is shown before anything is fetched; one that binds more than it seems needs a yes."""

import logging
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from serve_app import licences, models_command
from serve_app.artifacts import Artifact
from serve_app.cli import main
from serve_app.licences import ACCEPTED_VARIABLE, LicenceNotAccepted, restriction
from serve_app.models import Store
from serve_app.settings import Settings
from tests.models.archive_server import NoRegistry
from tests.models.test_hub import snapshot_of_two_files


@pytest.fixture(autouse=True)
def nothing_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCEPTED_VARIABLE, "")


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the hub says of every model."""
    told = {"license": "apache-2.0"}
    monkeypatch.setattr(huggingface_hub, "model_info", lambda name: SimpleNamespace(card_data=told))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_of_two_files)
    return told


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "cc-by-nc-sa-4.0", "AGPL-3.0-or-later", "some-research-license", "Non-Commercial"])
def test_agpl_and_what_is_not_for_commerce_needs_a_yes(licence: str) -> None:
    assert restriction(licence)


@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "cc-by-4.0", "llama3.1", "nvidia-open-model-license", "BSD-2-Clause", "lgpl-3.0"])
def test_others_do_not(licence: str) -> None:
    assert restriction(licence) == ""


def test_the_licence_is_shown_before_the_model_is_fetched(tmp_path: Path, card: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Store(tmp_path, (), NoRegistry()).ensure("org/model")
    assert "org/model is fetched; its licence: apache-2.0" in caplog.text


def test_a_licence_with_a_name_of_its_own_is_shown_by_it(tmp_path: Path, card: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    card |= {"license": "other", "license_name": "their-own"}
    with caplog.at_level(logging.INFO):
        Store(tmp_path, (), NoRegistry()).ensure("org/model")
    assert "its licence: their-own" in caplog.text


def test_without_a_yes_nothing_is_fetched_and_the_way_is_said(tmp_path: Path, card: dict[str, str]) -> None:
    card["license"] = "cc-by-nc-4.0"
    with pytest.raises(LicenceNotAccepted, match="org/model is under cc-by-nc-4.0, which forbids commercial use.*accept_licences"):
        Store(tmp_path, (), NoRegistry()).ensure("org/model")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_yes_to_another_licence_is_none(tmp_path: Path, card: dict[str, str]) -> None:
    card["license"] = "cc-by-nc-4.0"
    licences.accept(["agpl-3.0"])
    with pytest.raises(LicenceNotAccepted):
        Store(tmp_path, (), NoRegistry()).ensure("org/model")


def test_with_a_yes_it_is_fetched(tmp_path: Path, card: dict[str, str]) -> None:
    card["license"] = "cc-by-nc-4.0"
    licences.accept(["CC-BY-NC-4.0"])
    assert (Store(tmp_path, (), NoRegistry()).ensure("org/model") / "model.safetensors").exists()


def test_a_declared_artifact_is_asked_for_too(tmp_path: Path) -> None:
    store = Store(tmp_path, (Artifact("parrot", "a voice", "AGPL-3.0-only", ()),), NoRegistry())
    with pytest.raises(LicenceNotAccepted, match="parrot is under AGPL-3.0-only"):
        store.ensure("parrot")


def test_the_yes_is_a_setting() -> None:
    assert Settings.of({"profile": "fake", "models.accept_licences": "a,b"}).models.accept_licences == ("a", "b")


def test_the_command_takes_the_yes(card: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card["license"] = "cc-by-nc-4.0"
    monkeypatch.setenv("SPARKVOX_CACHE", str(tmp_path))
    assert main(["models", "fetch", "org/model"]) == 1
    assert main(["models", "fetch", "org/model", "--accept-licence", "cc-by-nc-4.0"]) == 0


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 1)])
def test_on_a_terminal_it_asks(
    answer: str, code: int, card: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card["license"] = "cc-by-nc-4.0"
    monkeypatch.setenv("SPARKVOX_CACHE", str(tmp_path))
    monkeypatch.setattr(models_command.sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda: answer)
    assert main(["models", "fetch", "org/model"]) == code
    assert "Fetch it?" in capsys.readouterr().err
