"""Model files: `ensure` gives the folder that holds them, fetched and checked on the first call, without the network on every later one.

A name is one of three things, looked at in this order: a declared artifact (serve_app/artifacts.py), a folder that exists (used as it
is), or a model of the hub (`organisation/model`). Two processes may ask for the same at once: one fetches, the other waits and finds it.
"""

import hashlib
import logging
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from serve_app import hub, licences
from serve_app.artifacts import DECLARED, Artifact
from serve_app.cache import cache_folder, intact, put_in_place, sha256_of, write_stamp
from serve_app.errors import ArtifactMissing
from serve_app.fetching import Fetcher
from serve_app.registries import PipAndNpm, Registries

logger = logging.getLogger(__name__)


class Store:
    """The artifacts of one catalogue in one cache folder."""

    def __init__(self, folder: Path, artifacts: tuple[Artifact, ...] = DECLARED, registries: Registries | None = None) -> None:
        self._folder = folder
        self._artifacts = {artifact.name: artifact for artifact in artifacts}
        self._registries = registries or PipAndNpm()

    def ensure(self, name: str, progress: bool = True) -> Path:
        """The folder with the artifact's files, checked. Raises `ArtifactMissing`, `LicenceNotAccepted` or `ArtifactDamaged`."""
        if (artifact := self._artifacts.get(name)) is not None:
            return self._ensure_declared(artifact, progress)
        if Path(name).expanduser().is_dir():
            return Path(name).expanduser().absolute()
        if hub.is_repository(name):
            return hub.ensure(name, self._folder, progress)
        known = ", ".join(self._artifacts)
        raise ArtifactMissing(f"{name!r} is neither a folder, nor a hub model (organisation/model), nor one of {known}")

    def present(self, name: str) -> bool:
        """Whether `ensure` would need neither the network nor time."""
        if (artifact := self._artifacts.get(name)) is not None:
            return intact(self._folder / name, _declaration(artifact), rehash=False)
        return Path(name).expanduser().is_dir() or (hub.is_repository(name) and hub.present(name, self._folder))

    def _ensure_declared(self, artifact: Artifact, progress: bool) -> Path:
        folder = self._folder / artifact.name
        if intact(folder, _declaration(artifact), rehash=False):
            return folder
        with _lock(self._folder, artifact.name):
            if not intact(folder, _declaration(artifact)):
                self._fetch(artifact, folder, progress)
        return folder

    def _fetch(self, artifact: Artifact, folder: Path, progress: bool) -> None:
        if folder.exists():
            logger.warning("%s is not as it was checked, or its declaration is another now: it is fetched again", folder)
            shutil.rmtree(folder)
        licences.show(artifact.name, artifact.licence)
        staged = self._folder / ".staging" / artifact.name
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(parents=True)
        try:
            with Fetcher(self._folder, self._registries, progress) as fetcher:
                for file in artifact.files:
                    fetcher.fetch(file, staged / file.name)
            ready = _prepare(artifact, staged)
            hashes = {str(path.relative_to(ready)): sha256_of(path) for path in sorted(ready.rglob("*")) if path.is_file()}
            write_stamp(ready, _declaration(artifact), hashes)
            put_in_place(ready, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def ensure(name: str, progress: bool = True) -> Path:
    """The folder that holds the model `name`, fetched first where need be.

    `progress` shows a bar, or lines in the log where there is no terminal. Raises `ArtifactMissing` when no source could give a file and
    `ArtifactDamaged`, with the file's name, when what they gave has another hash than declared.
    """
    return Store(cache_folder()).ensure(name, progress)


def present(name: str) -> bool:
    """Whether `ensure(name)` would need neither the network nor time."""
    return Store(cache_folder()).present(name)


def catalogue() -> tuple[Artifact, ...]:
    """Every declared artifact."""
    return DECLARED


def _lock(folder: Path, name: str) -> FileLock:
    locks = folder / ".locks"
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / f"{name}.lock")


def _declaration(artifact: Artifact) -> str:
    """Changes when a declared hash, a file's name or the way of preparing changes; not when a source does."""
    parts = [f"{file.name} {file.sha256}" for file in artifact.files] + [f"{artifact.prepare} {artifact.revision}"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _prepare(artifact: Artifact, staged: Path) -> Path:
    """Runs the artifact's preparation in a process of its own, so that the memory that it takes is given back."""
    if artifact.prepare is None:
        return staged
    prepared = staged / ".prepared"
    logger.info("%s is prepared, once", artifact.name)
    done = subprocess.run([sys.executable, "-m", artifact.prepare, str(staged), str(prepared)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        raise ArtifactMissing(f"{artifact.name} could not be prepared: {reason[-1]}")
    return prepared
