"""What the kernel tells of this machine's memory, as a `Reading`.

MemAvailable, because on a Spark it falls with what the GPU takes too, where NVML says nothing and the sum of processes misses it
(Ray issue 66335).
"""

import re
from pathlib import Path

from serve_app.pressure import Reading


def read(proc: Path) -> Reading:
    """`proc` is /proc, or where a container sees its machine's. Raises `OSError` or `KeyError` where there is no such thing."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", (proc / "meminfo").read_text(), re.MULTILINE))
    kib = {name: int(sizes[name]) * 1024 for name in ("MemTotal", "MemAvailable", "SwapTotal")}
    return Reading(kib["MemTotal"], kib["MemAvailable"], _stalled(proc / "pressure" / "memory"), kib["SwapTotal"])


def _stalled(file: Path) -> float:
    """0 where the kernel does not measure it (before 4.20, or psi=0)."""
    try:
        found = re.search(r"^full avg10=([\d.]+)", file.read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return float(found[1]) / 100 if found else 0.0
