"""On what a result was measured."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime


def about(module: str) -> dict[str, object]:
    """To be called at the start: the load average then is of what else the machine does."""
    return {
        "command": f"python -m {module} {shlex.join(sys.argv[1:])}".strip(),
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "load_average_before": round(os.getloadavg()[0], 1),
    }


def machine() -> str:
    """Processor, cores, memory and Python, as the machine itself says."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{_processor()}, {os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}"


def _processor() -> str:
    with open("/proc/cpuinfo") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()
