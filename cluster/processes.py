"""The processes of one start of a node: all that carry its mark in their environment, however Ray has rearranged them."""

import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from cluster.node_state import MARK

GRACE_S = 5.0


def marked(mark: str, proc: Path = Path("/proc")) -> Iterator[int]:
    """This process is none of them."""
    own = str(psutil.Process().pid)
    line = f"{MARK}={mark}".encode()
    for folder in proc.iterdir():
        if folder.name.isdigit() and folder.name != own and line in _environment(folder):
            yield int(folder.name)


def end(mark: str) -> int:
    """Ends what is left of a start; how many processes those were. A worker may start another while it goes, hence the rounds."""
    ended = 0
    until = time.monotonic() + GRACE_S
    while (left := [one for pid in marked(mark) if (one := _process(pid))]) and time.monotonic() < until:
        for process in left:
            _kill(process)
        ended += len(psutil.wait_procs(left, timeout=GRACE_S)[0])
    return ended


def is_node(pid: int) -> bool:
    """Whether that process is a node of ours, and not another that got its number."""
    process = _process(pid)
    try:
        return process is not None and "node" in process.cmdline()
    except psutil.Error:
        return False


def _environment(folder: Path) -> list[bytes]:
    try:
        return (folder / "environ").read_bytes().split(b"\0")
    except OSError:  # ended meanwhile, or another user's
        return []


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def titled(mark: str, title: str) -> list[int]:
    """Those of the start whose command line begins so."""
    found = []
    for pid in marked(mark):
        try:
            if Path(f"/proc/{pid}/cmdline").read_text(errors="replace").startswith(title):
                found.append(pid)
        except OSError:  # ended meanwhile
            continue
    return found
