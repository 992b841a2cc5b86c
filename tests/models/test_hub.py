"""A bigger model can be named where a hub is in reach; where none is, the message says what to do."""

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from serve_app.errors import ArtifactMissing
from serve_app.models import Store
from tests.models.archive_server import NoRegistry


def snapshot_of_two_files(repo: str, local_dir: Path) -> str:
    (local_dir / ".cache").mkdir(parents=True)
    (local_dir / "config.json").write_text(repo)
    (local_dir / "model.safetensors").write_bytes(b"weights")
    return str(local_dir)


def no_hub(*_: object, **__: object) -> str:
    raise OSError("name or service not known")


def free_licence(name: str) -> SimpleNamespace:
    return SimpleNamespace(card_data={"license": "mit"})


def test_a_hub_model_is_kept_in_the_cache_and_used_without_the_hub_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, (), NoRegistry())
    monkeypatch.setattr(huggingface_hub, "model_info", free_licence)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_of_two_files)
    assert not store.present("org/model")
    folder = store.ensure("org/model")
    assert folder.is_relative_to(tmp_path)
    assert (folder / "config.json").read_text() == "org/model"
    monkeypatch.setattr(huggingface_hub, "model_info", no_hub)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_hub)
    assert store.present("org/model")
    assert store.ensure("org/model") == folder


@pytest.mark.parametrize("information", [no_hub, free_licence])
def test_without_a_hub_the_message_says_what_to_do(information: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "model_info", information)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", no_hub)
    with pytest.raises(ArtifactMissing, match="org/model.*name or service not known.*path of its folder"):
        Store(tmp_path, (), NoRegistry()).ensure("org/model")
