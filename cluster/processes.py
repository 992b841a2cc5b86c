"""The processes of one start of a node, however Ray has rearranged them.

Each carries the node's mark in its environment, or has a file below the folder of Ray's logs open to write: some processes of Ray give
themselves a title, and write it over their environment. Whoever reads a log is none of them.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from cluster.node_state import MARK

GRACE_S = 5.0
PROC = Path("/proc")


def ours(mark: str, logs: Path) -> Iterator[int]:
    """This process is none of them."""
    for folder in PROC.iterdir():
        if folder.name.isdigit() and folder.name != str(os.getpid()) and _is_ours(folder, mark, logs):
            yield int(folder.name)


def titled(mark: str, logs: Path, title: str) -> list[int]:
    """Those of them whose command line begins so."""
    named = [folder for folder in PROC.iterdir() if folder.name.isdigit() and _text(folder / "cmdline").startswith(title)]
    return [int(folder.name) for folder in named if _is_ours(folder, mark, logs)]


def end(mark: str, logs: Path) -> int:
    """Ends what is left of a start; how many processes those were. A worker may start another while it goes, hence the rounds."""
    ended = 0
    until = time.monotonic() + GRACE_S
    while (left := [one for pid in ours(mark, logs) if (one := _process(pid))]) and time.monotonic() < until:
        for process in left:
            _kill(process)
        ended += len(psutil.wait_procs(left, timeout=GRACE_S)[0])
    return ended


def is_node(pid: int) -> bool:
    """Whether that process is a node of ours, and not another that got its number."""
    words = _text(PROC / str(pid) / "cmdline").split("\0")
    return "node" in words and not {"head", "join"}.isdisjoint(words)


def _is_ours(folder: Path, mark: str, logs: Path) -> bool:
    return f"{MARK}={mark}".encode() in _environment(folder) or _writes_below(folder, logs)


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or another user's
        return []


def _writes_below(folder: Path, logs: Path) -> bool:
    try:
        below = [file.name for file in (folder / "fd").iterdir() if Path(os.readlink(file)).is_relative_to(logs)]
        return any(_open_to_write(folder / "fdinfo" / name) for name in below)
    except OSError:
        return False


def _open_to_write(about: Path) -> bool:
    """`flags` are octal there (proc(5))."""
    flags = [line.split()[1] for line in about.read_text().splitlines() if line.startswith("flags:")]
    return bool(int(flags[0], 8) & os.O_ACCMODE)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _process(pid: int) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
