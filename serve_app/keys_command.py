"""`sparkvox keys`: makes API keys, of which the file keeps hashes only, and lists them."""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from serve_app import key_file
from serve_app.access import Key, digest_of, new_key
from serve_app.limits import Limits

FILE = Path("sparkvox.keys")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    new = actions.add_parser("new", help="make a key, print it this once, and keep its hash")
    new.add_argument("name", metavar="NAME", help="whose it is")
    listing = actions.add_parser("list", help="the names, and what each may have")
    for action in (new, listing):
        action.add_argument("--file", type=Path, default=FILE, help="where the hashes are kept (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Only the key itself goes to standard output, so that it can be put where it belongs. Raises `SettingsError`."""
    if args.action == "list":
        for key in key_file.read(args.file):
            sys.stdout.write(f"{key.name}  {key.digest[:8]}…  {_shown(key.limits)}\n")
        return 0
    secret = new_key()
    key_file.append(args.file, Key(args.name, digest_of(secret)))
    sys.stdout.write(f"{secret}\n")
    sys.stderr.write(f"This is shown once; {args.file} has its hash. The server takes it from its next start on:\n")
    sys.stderr.write(f"  sparkvox serve gateway.keys_file={args.file}\n")
    return 0


def _shown(limits: Limits) -> str:
    own = [(one.name, getattr(limits, one.name)) for one in fields(Limits)]
    return " ".join(f"{name}={value:g}" for name, value in own if value is not None) or "no limits of its own"
