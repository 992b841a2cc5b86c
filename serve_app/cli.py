"""`sparkvox COMMAND`. A command's module is imported only when it is the one asked for: the others are heavy."""

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence

from serve_app.errors import SparkvoxError

COMMANDS = {
    "serve": ("serve_app.serving", "start the server on this machine"),
    "node": ("cluster.node", "start, join, watch and leave a cluster of boxes"),
    "talk": ("serve_app.talk", "speak WAV files, or through the microphone, to a server"),
    "say": ("serve_app.say", "speak a text without a server, or show its words or phonemes"),
    "keys": ("serve_app.keys_command", "make and list the API keys that open the server"),
    "plan": ("cluster.plan_command", "show what goes where, whether it fits the memory, and what would still fit"),
    "models": ("serve_app.models_command", "list the model files, or fetch them"),
    "doctor": ("cluster.doctor.command", "find what is wrong with this machine, or with two, and how it is mended"),
    "warm": ("cluster.warm.command", "compile and keep what the engines of some settings need, before anybody waits for it"),
    "engines": ("serve_app.engines_command", "list the engines, whether they can run here, and what they lack"),
}
"""Name: module with `add_arguments(parser)` and `run(args) -> exit code`, and what it does."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0, or 1 after one sentence on standard error that says what went wrong."""
    argv = sys.argv[1:] if argv is None else argv
    args = _parser(chosen=argv[0] if argv else None).parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # Each request of the hub's client would be a line of its own.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        code: int = importlib.import_module(COMMANDS[args.command][0]).run(args)
    except SparkvoxError as error:
        sys.stderr.write(f"sparkvox: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sparkvox", description="A voice agent server: speech in, speech out.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, about) in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=about.capitalize() + ".")
        if name == chosen:
            importlib.import_module(module).add_arguments(command)
    return parser
