"""`sparkvox models`: what is declared, under which licence, how big, and what is here; `sparkvox models fetch` brings it."""

import argparse
import sys
from pathlib import Path

from serve_app import licences, models
from serve_app.cache import CACHE_VARIABLE, cache_folder
from serve_app.progress import megabytes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="the default")
    fetch = actions.add_parser("fetch", help="fetch and check what is not here yet")
    fetch.add_argument("names", metavar="NAME", nargs="*", help="artifacts or hub models (organisation/model); without any, all artifacts")
    fetch.add_argument("--accept-licence", metavar="LICENCE", action="append", default=[], help="say yes to a licence that needs one")


def run(args: argparse.Namespace) -> int:
    if args.action == "fetch":
        licences.accept(args.accept_licence)
        _fetch(args.names or [artifact.name for artifact in models.catalogue()])
    else:
        _list()
    return 0


def _fetch(names: list[str]) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False)
    for name in names:
        console.print(f"{name}: {_ensure(name)}")


def _ensure(name: str) -> Path:
    try:
        return models.ensure(name)
    except licences.LicenceNotAccepted as asked:
        if not sys.stdin.isatty():
            raise
        sys.stderr.write(f"{asked}\nFetch it? [y/N] ")
        if input().strip().lower() not in ("y", "yes"):
            raise
        licences.accept([asked.licence])
        return models.ensure(name)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what", "licence", "size", "here", box=None, pad_edge=False)
    table.columns[3].justify = "right"
    for artifact in models.catalogue():
        here = "yes" if models.present(artifact.name) else "no"
        table.add_row(artifact.name, artifact.about, artifact.licence, megabytes(artifact.size), here)
    console = Console(highlight=False)
    console.print(table)
    console.print(f"\nThey are kept in {cache_folder()} ({CACHE_VARIABLE} names another folder).", soft_wrap=True)
