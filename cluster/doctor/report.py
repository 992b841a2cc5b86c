"""What the doctor says, as text or JSON, and the exit code."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from cluster.doctor.facts import Facts
from cluster.doctor.rules.rule import Judgement, Level

HEALTHY, TO_LOOK_AT, ILL = 0, 1, 2
"""Exit codes."""
LABELS = {Level.FINE: "fine", Level.LOOK: "LOOK", Level.WRONG: "WRONG", Level.UNKNOWN: "?", Level.ELSEWHERE: "-"}
GB = 10**9


@dataclass(frozen=True, slots=True)
class Section:
    """The judgements on one node, or on two together."""

    title: str
    judgements: Sequence[Judgement]


def exit_code(sections: Iterable[Section]) -> int:
    levels = {judgement.level for section in sections for judgement in section.judgements}
    return ILL if Level.WRONG in levels else TO_LOOK_AT if Level.LOOK in levels else HEALTHY


def title(facts: Facts) -> str:
    """spark-1: aarch64, 128 GB shared with NVIDIA GB10 (sm_121), Ubuntu 24.04, Python 3.12.3, profile spark."""
    machine, gpu = facts.machine, facts.gpu
    size = f"{facts.memory.total / GB:.0f} GB" if facts.memory else "memory unknown"
    chip = f"{gpu.name} (sm_{gpu.capability.replace('.', '')})" if gpu else "no NVIDIA GPU"
    parts = [machine.architecture, f"{size} shared with {chip}" if facts.unified else f"{size}, {chip}"]
    parts += [machine.product] if machine.product else []
    parts += [machine.system, f"Python {machine.python}"]
    parts += [f"profile {facts.chosen.profile}"] if facts.chosen else []
    return f"{machine.node}: {', '.join(parts)}"


def text(sections: Sequence[Section]) -> str:
    lines = []
    for section in sections:
        lines += [section.title, *(line for one in section.judgements for line in _told(one)), ""]
    return "\n".join([*lines, _sum(sections)])


def as_json(sections: Sequence[Section]) -> str:
    told = [{"about": section.title, "judgements": [asdict(one) for one in section.judgements]} for section in sections]
    return json.dumps({"exit_code": exit_code(sections), "sections": told}, indent=1)


def _told(one: Judgement) -> list[str]:
    width = max(len(label) for label in LABELS.values())
    first = f"  {LABELS[one.level]:{width}}  {one.rule}{': ' if one.what else ''}{one.what}"
    indent = " " * (width + 6)
    return [first, *([f"{indent}why:  {one.why}", f"{indent}mend: {one.mend}"] if one.mend else [])]


def _sum(sections: Sequence[Section]) -> str:
    levels = [judgement.level for section in sections for judgement in section.judgements]
    count = {level: levels.count(level) for level in Level}
    told = [f"{count[Level.WRONG]} wrong", f"{count[Level.LOOK]} to look at", f"{count[Level.FINE]} fine"]
    told += [f"{count[Level.UNKNOWN]} not known", f"{count[Level.ELSEWHERE]} of no concern to this machine"]
    return ", ".join(told) + "."
