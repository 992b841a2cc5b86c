"""`sparkvox engines`: every engine by kind, whether it can run here, and what brings it where it cannot. Nothing of them is imported."""

import argparse
from collections.abc import Iterator
from importlib.util import find_spec

from deployments.engines import ENGINES, Declared
from serve_app.settings import nvidia_gpu_visible

SETTINGS = {
    "voice_activity": "vad.engine",
    "turn_detector": "turn.engine",
    "recogniser": "stt.engine",
    "language_model": "llm.engine",
    "text_to_speech": "tts.engine",
}
"""The setting that chooses an engine of the kind."""
LINE = 200
"""Characters of a row where it goes to a file or another program, which want one line a row."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=list(ENGINES), help="only the engines of this kind")


def run(args: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "engine", "licence", "here", "what it lacks", box=None, pad_edge=False)
    for kind in [args.kind] if args.kind else ENGINES:
        for name, declared in ENGINES[kind].items():
            lacking = "; ".join(lacks(declared))
            table.add_row(SETTINGS[kind], name, declared.licence or "-", "no" if lacking else "yes", lacking or _note(declared))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LINE
    console.print(table)
    return 0


def lacks(declared: Declared) -> Iterator[str]:
    """What keeps it from running on this machine, each with the way to get it; nothing when it can run."""
    if absent := [package for package in declared.packages if find_spec(package) is None]:
        extra = f": `scripts/setup auto {declared.extra}` adds it" if declared.extra else ": `scripts/setup auto` installs it"
        yield f"no {', no '.join(absent)}{extra}"
    if declared.gpu and not nvidia_gpu_visible():
        yield "no NVIDIA GPU"


def _note(declared: Declared) -> str:
    return "needs its server" if declared.server else ""
