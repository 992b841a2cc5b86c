"""A plan as text: a table and a bar for each node, the sources of its figures, and what would still fit."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cluster.footprints import EXTRAS
from cluster.plan import NodePlan, Placed, Plan, in_gb

BAR = 60
LETTERS = {"llm": "L", "cache": "k", "stt": "S", "tts": "T", "gateway": "G", "session": "C", "system": "s"}
COLOURS = {"llm": "cyan", "cache": "blue", "stt": "green", "tts": "magenta", "gateway": "yellow", "session": "red", "system": "white"}


def picture(made: Plan) -> RenderableType:
    parts: list[RenderableType] = []
    for node in made.nodes:
        parts += [Text(_headline(node), style="bold"), _bar(node), _table(node), Text()]
    parts += [Text(refusal.why, style="red") for refusal in made.refusals]
    if made.fits:
        parts.append(_still_fits(made))
    return Group(*parts)


def _headline(node: NodePlan) -> str:
    role = f", preferred for {node.node.role}" if node.node.role else ""
    state = f"{in_gb(node.free)} GB free" if node.free >= 0 else f"{in_gb(-node.free)} GB TOO MUCH"
    return f"{node.node.name}{role}: {in_gb(node.usable)} GB usable, {state}"


def _bar(node: NodePlan) -> Text:
    """One letter for each sixtieth of the memory, so that it reads without colours too."""
    bar = Text("[")
    for name, size in _shares(node):
        width = max(1, round(BAR * size / node.usable)) if size else 0
        bar.append(LETTERS[name] * width, style=COLOURS[name])
    if node.free >= 0:
        return bar.append("." * max(0, BAR + 1 - len(bar))).append("]")
    return bar[: BAR + 1].append("]", style="bold red").append_text(bar[BAR + 1 : 2 * BAR])


def _shares(node: NodePlan) -> Iterator[tuple[str, int]]:
    yield "system", node.system
    for one in node.placed:
        yield one.demand.section, one.demand.footprint.total
        yield "cache", one.cache


def _table(node: NodePlan) -> Table:
    table = Table("", "what", "engine", "GB", "weights", "working", "host", "cache", "of the GPU", box=None, pad_edge=False)
    for column in table.columns[3:]:
        column.justify = "right"
    table.add_row(LETTERS["system"], "system", "", in_gb(node.system), style="dim")
    for one in node.placed:
        table.add_row(*_row(one))
    return table


def _row(one: Placed) -> tuple[str, ...]:
    footprint = one.demand.footprint
    sizes = (one.bytes, footprint.weights, footprint.working, footprint.host)
    part = " (one part)" if one.demand.parts > 1 else ""
    cache = f"{LETTERS['cache']} {in_gb(one.cache)}" if one.cache else "-"
    fraction = f"{one.fraction:.4f}" if one.fraction else "-"
    return (LETTERS[one.demand.section], one.demand.name + part, one.demand.engine, *map(in_gb, sizes), cache, fraction)


def _still_fits(made: Plan) -> Table:
    table = Table("would still fit", "GB", *(node.node.name for node in made.nodes), box=None, pad_edge=False)
    for name, (size, _) in EXTRAS.items():
        table.add_row(name, in_gb(size), *("yes" if size <= node.free else "no" for node in made.nodes))
    return table
