"""The one folder that keeps model files, and how it knows that they are still what was checked.

An artifact's folder holds a stamp: size, modification time and hash of each file as they were when it was checked. A file that still has
the recorded size and time is taken as it is; any other is hashed again. A folder appears under its name in one rename, complete.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STAMP = ".stamp.json"
CACHE_VARIABLE = "SPARKVOX_CACHE"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`SPARKVOX_CACHE`, else sparkvox in the user's cache folder (XDG base directory specification)."""
    if given := environment.get(CACHE_VARIABLE):
        return Path(given).expanduser().absolute()
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparkvox"


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_stamp(folder: Path, declaration: str, hashes: Mapping[str, str | None]) -> None:
    """Records the folder's files. `declaration` names what they were made from; a hash of None is not known and not asked for again."""
    files = {name: {**_state(folder / name), "sha256": digest} for name, digest in hashes.items()}
    partial = folder / (STAMP + ".new")
    partial.write_text(json.dumps({"declaration": declaration, "files": files}, indent=1))
    os.replace(partial, folder / STAMP)


def intact(folder: Path, declaration: str, rehash: bool = True) -> bool:
    """Whether the folder holds what was checked. Without `rehash`, a file whose time differs counts as damaged."""
    stamp = _read_stamp(folder)
    if stamp is None or stamp["declaration"] != declaration:
        return False
    moved = [name for name, recorded in stamp["files"].items() if not _as_recorded(folder / name, recorded)]
    if not moved:
        return True
    if not rehash or not all(_same_hash(folder / name, stamp["files"][name]["sha256"]) for name in moved):
        return False
    write_stamp(folder, declaration, {name: recorded["sha256"] for name, recorded in stamp["files"].items()})
    return True


def put_in_place(staged: Path, final: Path) -> None:
    """Renames `staged` to `final`. A process that has files of an older `final` open keeps them."""
    old = staged.with_name(staged.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        os.replace(final, old)
    os.replace(staged, final)
    shutil.rmtree(old, ignore_errors=True)


def _read_stamp(folder: Path) -> dict[str, Any] | None:
    try:
        stamp: dict[str, Any] = json.loads((folder / STAMP).read_text())
    except (OSError, ValueError):
        return None
    return stamp


def _state(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _as_recorded(path: Path, recorded: Mapping[str, Any]) -> bool:
    return path.is_file() and _state(path) == {"size": recorded["size"], "mtime_ns": recorded["mtime_ns"]}


def _same_hash(path: Path, digest: str | None) -> bool:
    return digest is not None and path.is_file() and sha256_of(path) == digest
