"""`sparkvox warm`: every engine of some settings, one after the other, each in a process of its own that gives its memory back."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cluster.apply import planned
from cluster.here import memory_bytes, weights_on_disk
from cluster.plan import plan
from cluster.warm.one import SECTIONS
from cluster.warm.watching import MB, Caches, tell_end, telling
from deployments.engines import ELSEWHERE
from serve_app import kernel_caches
from serve_app.cache import CACHE_VARIABLE
from serve_app.errors import SparkvoxError
from serve_app.serving import pairs_of
from serve_app.settings import Settings, nvidia_gpu_visible
from serve_app.weights import fetch


class MemoryTaken(SparkvoxError):
    """A server runs here and holds the memory that warming needs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="settings, like profile=spark, as `sparkvox serve` takes them")
    parser.add_argument("--clean", action="store_true", help="remove what other versions have left, and do nothing else")


def run(args: argparse.Namespace) -> int:
    """0, or 1 where an engine could not be warmed."""
    settings = Settings.of(pairs_of(args.settings))
    if settings.models.cache is not None:
        os.environ[CACHE_VARIABLE] = str(settings.models.cache)
    if args.clean:
        return clean()
    _must_be_alone()
    kernel_caches.kernel_caches(os.environ)
    return warm(settings)


def warm(settings: Settings) -> int:
    """With the memory that the plan gives each engine: with vLLM's own share two would not fit. Raises `SettingsError`."""
    settings = planned(settings, plan(settings, memory_bytes(), weights_on_disk(settings.llm.model)))
    fetch(settings)
    _say(f"What is compiled is kept in {kernel_caches.kernels_folder(os.environ)}.")
    caches = Caches(os.environ)
    with tempfile.NamedTemporaryFile(suffix=".npy") as speech:
        done = [_warm_one(section, settings, Path(speech.name)) for section in SECTIONS]
    grown, total = caches.growth(), caches.total()
    _say(f"New in the caches: {grown}{''.join(f'; {kind}' for kind in grown.kinds)}. In all: {total}.")
    _tell_old()
    return 0 if all(done) else 1


def clean() -> int:
    found = kernel_caches.old(os.environ)
    for folder in found:
        kernel_caches.remove(folder)
        _say(f"removed {folder.path}: {folder.files} files, {folder.size / MB:.0f} MB")
    _say(f"{len(found)} folder(s) of other versions, {sum(folder.size for folder in found) / MB:.0f} MB, are gone.")
    return 0


def _warm_one(section: str, settings: Settings, speech: Path) -> bool:
    choice = getattr(settings, section)
    label = f"{section:4} {choice.engine:14}"
    if reason := _left_out(section, settings):
        tell_end(f"{label} {reason}")
        return True
    began = time.monotonic()
    found = _in_a_process(section, settings, speech, label)
    if "failed" in found:
        tell_end(f"{label} FAILED after {time.monotonic() - began:.0f} s: {found['failed']}")
        return False
    tell_end(f"{label} loaded in {found['loaded_s']:.1f} s, {found['answered_s']:.1f} s later {found['told']}")
    return True


def _left_out(section: str, settings: Settings) -> str:
    if getattr(settings, section).engine in ELSEWHERE:
        return "runs on another server"
    if section == "llm" and settings.llm.bundles:
        return "is spread over several nodes, and compiles when the server starts there"
    return ""


def _in_a_process(section: str, settings: Settings, speech: Path, label: str) -> dict[str, Any]:
    every_s, tell = telling(label, Caches(os.environ))
    command = [sys.executable, "-m", "cluster.warm.one", section, str(speech)]
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        given.write(settings.model_dump_json())
        given.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(command, stdin=given, stdout=said, stderr=complained)
        try:
            while process.poll() is None:
                try:
                    process.wait(every_s)
                except subprocess.TimeoutExpired:
                    tell(time.monotonic() - began)
        finally:
            # Ctrl-C reaches both; whatever else ends this one ends that one.
            process.terminate()
            process.wait()
        return _found(said, complained, process.returncode)


def _found(said: Any, complained: Any, code: int) -> dict[str, Any]:
    said.seek(0)
    complained.seek(0)
    try:
        found: dict[str, Any] = json.loads(said.read().strip().splitlines()[-1])
    except (ValueError, IndexError):
        last = next((line.strip() for line in reversed(complained.read().splitlines()) if line.strip()), "no reason given")
        return {"failed": f"its process ended with {code}: {last}"}
    return found


def _tell_old() -> None:
    if found := [folder for folder in kernel_caches.old(os.environ) if folder.files]:
        size = sum(folder.size for folder in found) / MB
        _say(f"Other versions have left {size:.0f} MB in {len(found)} folder(s): `sparkvox warm --clean` removes them.")


def _must_be_alone() -> None:
    """Only where memory is the GPU's: two models at once freeze a machine that shares it."""
    import psutil

    if not nvidia_gpu_visible():
        return
    for process in psutil.process_iter(["cmdline"]):
        if "ray::ServeReplica" in " ".join(process.info["cmdline"] or ()):
            raise MemoryTaken("a server runs on this machine and holds the memory that warming needs: end it first")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
