"""`sparkvox doctor`: see cluster/doctor/__init__.py."""

import argparse
import itertools
import sys
from pathlib import Path

from cluster.doctor import report
from cluster.doctor.edge import network
from cluster.doctor.edge.gather import gather
from cluster.doctor.facts import Facts, FactsUnreadable
from cluster.doctor.over_ray import ClusterSilent, facts_of_nodes
from cluster.doctor.report import Section
from cluster.doctor.rules.every import compared, judged
from cluster.doctor.rules.rule import Judgement, Level
from serve_app.errors import SparkvoxError
from serve_app.serving import pairs_of
from serve_app.settings import Settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", metavar="NAME=VALUE", nargs="*", help="what is to run here, like profile=spark")
    parser.add_argument("--json", action="store_true", help="the judgements as JSON")
    parser.add_argument("--facts", action="store_true", help="only what is known of this machine, as JSON, for --other on another")
    parser.add_argument("--other", metavar="FILE", action="append", default=[], type=Path, help="facts of another node, to compare with")
    parser.add_argument("--alone", action="store_true", help="this node only, also when a cluster runs")


def run(args: argparse.Namespace) -> int:
    """0: healthy. 1: something to look at. 2: something wrong, or the doctor cannot work."""
    try:
        return _run(args)
    except SparkvoxError as error:
        sys.stderr.write(f"sparkvox doctor: {error}\n")
        return report.ILL


def _run(args: argparse.Namespace) -> int:
    settings = Settings.of(pairs_of(args.settings))
    if args.facts:
        sys.stdout.write(f"{gather(settings).model_dump_json(indent=1)}\n")
        return report.HEALTHY
    others = [read(path) for path in args.other]
    sections = examine(_nodes(args, settings, others))
    sys.stdout.write((report.as_json(sections) if args.json else report.text(sections)) + "\n")
    return report.exit_code(sections)


def examine(found: list[Facts] | tuple[list[Facts], Judgement]) -> list[Section]:
    """A section for each node, and one for each two of them."""
    nodes, extra = found if isinstance(found, tuple) else (found, None)
    sections = [Section(report.title(facts), judged(facts)) for facts in nodes]
    for one, other in itertools.combinations(nodes, 2):
        sections.append(Section(f"{one.machine.node} and {other.machine.node} together", compared(one, other)))
    return [*sections, *([Section("the cluster", [extra])] if extra else [])]


def read(path: Path) -> Facts:
    """Raises `FactsUnreadable`."""
    try:
        return Facts.read(path.read_text())
    except OSError as error:
        raise FactsUnreadable(f"{path} cannot be read: {error.strerror}") from error


def ray_runs() -> bool:
    return network.ray().running


def _nodes(args: argparse.Namespace, settings: Settings, others: list[Facts]) -> list[Facts] | tuple[list[Facts], Judgement]:
    if others:
        update = {"nodes": 1 + len(others)}
        return [facts.model_copy(update={"ray": facts.ray.model_copy(update=update)}) for facts in (gather(settings), *others)]
    if args.alone or not ray_runs():
        return [gather(settings)]
    try:
        return facts_of_nodes(args.settings)
    except ClusterSilent as error:
        why = "what is wrong on the other nodes is not seen from here"
        mend = "sparkvox node status; or sparkvox doctor --alone on each node"
        return [gather(settings)], Judgement("cluster", Level.LOOK, str(error), why, mend)
