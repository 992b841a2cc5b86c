"""A download that breaks off goes on where it broke."""

from pathlib import Path

import pytest

from serve_app.download import ATTEMPTS, download
from serve_app.errors import ArtifactMissing
from serve_app.progress import Progress
from tests.models.archive_server import ArchiveServer

CONTENT = bytes(range(256)) * 1000


class Counted(Progress):
    def __init__(self) -> None:
        self.done = 0
        self.total: int | None = None

    def start(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total

    def advance(self, size: int) -> None:
        self.done += size


def test_a_broken_download_asks_only_for_what_is_missing(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["a"] = CONTENT
    server.breaks_after = [1000, 70_000]
    download(f"{server.url}/a", tmp_path / "a", Progress())
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", "bytes=71000-"]


def test_a_later_call_takes_up_what_an_earlier_one_left(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["a"] = CONTENT
    server.breaks_after = [5000] + [0] * ATTEMPTS
    with pytest.raises(ArtifactMissing, match="closed early"):
        download(f"{server.url}/a", tmp_path / "a", Progress())
    assert not (tmp_path / "a").exists()
    server.ranges.clear()
    download(f"{server.url}/a", tmp_path / "a", Progress())
    assert server.ranges == ["bytes=5000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_once_more(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["a"] = CONTENT
    server.knows_ranges = False
    server.breaks_after = [1000]
    download(f"{server.url}/a", tmp_path / "a", Progress())
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(CONTENT + b"more")
    download(f"{server.url}/a", tmp_path / "a", Progress())
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_pauses_grow_until_it_is_given_up(tmp_path: Path) -> None:
    pauses: list[float] = []
    with pytest.raises(ArtifactMissing, match="cannot be reached"):
        # Port 9 (discard) is served by nobody on a loopback.
        download("http://127.0.0.1:9/a", tmp_path / "a", Progress(), pauses.append)
    assert pauses == sorted(pauses)
    assert len(pauses) == ATTEMPTS - 1


def test_a_refusal_is_not_tried_again_and_keeps_the_password_out_of_the_message(server: ArchiveServer, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="404") as caught:
        download(f"{server.url}/nothing?token=secret", tmp_path / "a", Progress())
    assert "secret" not in str(caught.value)


def test_progress_counts_what_was_there_before(server: ArchiveServer, tmp_path: Path) -> None:
    server.archives["a"] = CONTENT
    (tmp_path / "a.part").write_bytes(CONTENT[:1234])
    progress = Counted()
    download(f"{server.url}/a", tmp_path / "a", progress)
    assert progress.done == progress.total == len(CONTENT)


def test_a_file_of_a_local_index_is_copied(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(CONTENT)
    download((tmp_path / "a b").as_uri(), tmp_path / "copy", Progress())
    assert (tmp_path / "copy").read_bytes() == CONTENT
