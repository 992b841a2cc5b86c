"""What a server and all that it has started take of the processor."""

from contextlib import suppress

import psutil


def cpu_s(root: psutil.Process) -> float:
    """Seconds of processor time so far, of those that live."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):  # ended meanwhile
            times = process.cpu_times()
            total += times.user + times.system
    return total


def started_server() -> psutil.Process:
    """The `sparkvox serve` that this process has started."""
    return next(child for child in psutil.Process().children() if "serve" in child.cmdline())
