"""What the declarations promise."""

import json
import re
import struct
import tarfile
from pathlib import Path

import pytest

from serve_app import models
from serve_app.artifacts import DECLARED, SILERO, ArtifactFile, Joined, RegistryFile, RepositoryFile
from serve_app.cache import sha256_of
from serve_app.models import Store

EVERY_FILE = [pytest.param(file, id=f"{artifact.name}/{file.name}") for artifact in DECLARED for file in artifact.files]


def test_names_are_those_that_engines_ask_for() -> None:
    assert {artifact.name for artifact in models.catalogue()} == {
        "silero-vad",
        "smart-turn-v3.2",
        "moonshine-tiny-en",
        "whisper-tiny-en",
        "whisper-base",
        "smollm2-135m-instruct",
        "kokoro-82m-int8",
        "kokoro-82m-torch",
        "kokoro-voices",
        "asr-tiny-en",
    }


@pytest.mark.parametrize("file", EVERY_FILE)
def test_every_file_has_a_hash_a_size_and_a_verified_source_first(file: ArtifactFile) -> None:
    assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert file.size > 0
    assert isinstance(file.sources[0], RegistryFile | Joined | RepositoryFile)


def test_no_two_files_are_declared_with_one_hash() -> None:
    hashes = [file.sha256 for artifact in DECLARED for file in artifact.files]
    assert len(set(hashes)) == len(hashes)


def test_there_are_28_english_voices() -> None:
    (voices,) = (artifact for artifact in DECLARED if artifact.name == "kokoro-voices")
    assert len(voices.files) == 28
    assert all(re.fullmatch(r"[ab][fm]_[a-z]+\.bin", file.name) for file in voices.files)


@pytest.mark.registry
def test_the_smallest_artifact_really_comes_from_the_registry(tmp_path: Path) -> None:
    folder = Store(tmp_path, (SILERO,)).ensure("silero-vad", progress=False)
    (file,) = SILERO.files
    assert sha256_of(folder / file.name) == file.sha256
    assert (folder / file.name).stat().st_size == file.size


@pytest.mark.weights
def test_the_language_model_is_plain_safetensors_with_its_chat_template() -> None:
    folder = models.ensure("smollm2-135m-instruct")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert "quantization_config" not in config
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()
    with (folder / "model.safetensors").open("rb") as weights:
        (length,) = struct.unpack("<Q", weights.read(8))
        header = json.loads(weights.read(length))
    del header["__metadata__"]
    assert {tensor["dtype"] for tensor in header.values()} == {"BF16"}
    assert header["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]


def test_the_model_that_is_made_here_tells_nothing_of_the_machine_that_made_it() -> None:
    with tarfile.open(models.ensure("asr-tiny-en") / "asr-tiny-en.nemo") as archive:
        members = archive.getmembers()
        readable = [member for member in members if member.name.endswith((".yaml", ".model", ".txt"))]
        texts = [archive.extractfile(member).read() for member in readable]  # type: ignore[union-attr]
    assert {(member.uid, member.gid, member.uname, member.gname, member.mtime) for member in members} == {(0, 0, "", "", 0)}
    assert len(texts) >= 3
    for text in texts:
        assert not re.search(rb"(?<![\w.])/[a-z]+/[\w.-]+/", text)
