"""What this machine has, for a plan that is made on it."""

from pathlib import Path

import psutil


def memory_bytes() -> int:
    return int(psutil.virtual_memory().total)


def weights_on_disk(model: str) -> int | None:
    """Bytes of a model that is a folder here; None for any other."""
    folder = Path(model).expanduser()
    if not model or not folder.is_dir():
        return None
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) or None
