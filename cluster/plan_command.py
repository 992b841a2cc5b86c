"""`sparkvox plan [TOPOLOGY] [NAME=VALUE ...]`: the memory budget of a topology with these settings, before anything is started."""

import argparse
import json
import sys
from typing import Any

from cluster.demands import demands, sources
from cluster.footprints import EXTRAS
from cluster.here import memory_bytes, weights_on_disk
from cluster.plan import NodePlan, Placed, Plan, plan
from serve_app.errors import SettingsError
from serve_app.settings import Settings

LINE = 160
DOES_NOT_FIT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("given", metavar="TOPOLOGY or NAME=VALUE", nargs="*", help="like two_sparks llm.model=nvidia/Llama-3.3-70B-NVFP4")
    parser.add_argument("--json", action="store_true", help="for programs: bytes and fractions")
    parser.add_argument("--sources", action="store_true", help="say where each figure comes from")


def run(args: argparse.Namespace) -> int:
    """The exit code: 0 when it fits, 2 when it does not."""
    settings = settings_of(args.given)
    on_disk = weights_on_disk(settings.llm.model)
    made = plan(settings, memory_bytes(), on_disk)
    if args.json:
        sys.stdout.write(json.dumps(as_data(settings, made), indent=2) + "\n")
    else:
        _print(made, list(sources(demands(settings, on_disk))) if args.sources else [])
    return 0 if made.fits else DOES_NOT_FIT


def settings_of(given: list[str]) -> Settings:
    """A word without `=` is a topology. Raises `SettingsError`."""
    pairs: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        name, value = (name, value) if equals else ("topology", word)
        if name in pairs:
            raise SettingsError(f"{name} is given twice")
        pairs[name] = value
    return Settings.of(pairs)


def as_data(settings: Settings, made: Plan) -> dict[str, Any]:
    return {
        "topology": settings.topology,
        "profile": settings.profile,
        "fits": made.fits,
        "nodes": [_node(node) for node in made.nodes],
        "refusals": [{"section": refusal.demand.section, "why": refusal.why} for refusal in made.refusals],
        "extras": {name: [node.node.name for node in made.nodes if size <= node.free] for name, (size, _) in EXTRAS.items()},
    }


def _node(node: NodePlan) -> dict[str, Any]:
    return {
        "name": node.node.name,
        "labels": node.node.labels,
        "usable_bytes": node.usable,
        "system_bytes": node.system,
        "free_bytes": node.free,
        "placed": [_placed(one) for one in node.placed],
    }


def _placed(one: Placed) -> dict[str, Any]:
    footprint = one.demand.footprint
    return {
        "section": one.demand.section,
        "engine": one.demand.engine,
        "bytes": one.bytes,
        "weights_bytes": footprint.weights,
        "working_bytes": footprint.working,
        "host_bytes": footprint.host,
        "cache_bytes": one.cache,
        "num_gpus": one.fraction,
        "source": footprint.source,
    }


def _print(made: Plan, more: list[str]) -> None:
    from rich.console import Console

    from cluster.plan_picture import picture

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = LINE
    console.print(picture(made))
    for line in more:
        console.print(line, style="dim", markup=False)
