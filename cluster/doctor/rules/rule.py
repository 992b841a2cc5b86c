"""A rule is a line of a table: whom it concerns, what is wrong, why that matters, and the command that mends it. It is pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from cluster.doctor.facts import Facts


class Level(StrEnum):
    """How a rule came out."""

    FINE = "fine"
    LOOK = "look"
    """It may work, or work slowly."""
    WRONG = "wrong"
    """It does not work, or harms."""
    UNKNOWN = "unknown"
    """The machine did not tell."""
    ELSEWHERE = "elsewhere"
    """The rule does not concern this machine."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Whom a rule concerns."""

    otherwise: str
    """What to say of a machine that it does not concern."""
    holds: Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    level: Level
    """LOOK or WRONG, where something is found."""
    what: Callable[[Facts], str | None]
    """What is wrong, in one sentence with the values that were found; None where nothing is. May raise `Unknown`."""
    why: str
    mend: str | Callable[[Facts], str]
    """A command where there is one."""
    concerns: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class PairRule:
    """The same for two machines that are to work together."""

    name: str
    level: Level
    what: Callable[[Facts, Facts], str | None]
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came of a rule."""

    rule: str
    level: Level
    what: str = ""
    why: str = ""
    mend: str = ""


class Unknown(Exception):  # noqa: N818  # no error: the answer is that there is none
    """A fact that a rule needs is not there. Positional: what it is."""


def judge(rule: Rule, facts: Facts) -> Judgement:
    for condition in rule.concerns:
        if not condition.holds(facts):
            return Judgement(rule.name, Level.ELSEWHERE, condition.otherwise)
    try:
        what = rule.what(facts)
    except Unknown as unknown:
        return Judgement(rule.name, Level.UNKNOWN, f"{unknown} is not known")
    if what is None:
        return Judgement(rule.name, Level.FINE)
    return Judgement(rule.name, rule.level, what, rule.why, rule.mend if isinstance(rule.mend, str) else rule.mend(facts))


def judge_pair(rule: PairRule, one: Facts, other: Facts) -> Judgement:
    try:
        what = rule.what(one, other)
    except Unknown as unknown:
        return Judgement(rule.name, Level.UNKNOWN, f"{unknown} is not known")
    return Judgement(rule.name, Level.FINE) if what is None else Judgement(rule.name, rule.level, what, rule.why, rule.mend)


# --- whom rules concern -----------------------------------------------------------------------------------------------------------------

GPU = Condition("no NVIDIA GPU is used", lambda facts: facts.gpu is not None and facts.wants_gpu)
DRIVER = Condition("no NVIDIA GPU is used", lambda facts: (facts.gpu_device or facts.gpu is not None) and facts.wants_gpu)
SM_12 = Condition("no GPU of compute capability 12", lambda facts: facts.gpu is not None and facts.gpu.capability.startswith("12."))
SM_121 = Condition("no GPU of compute capability 12.1", lambda facts: facts.gpu is not None and facts.gpu.capability == "12.1")
UNIFIED = Condition("the GPU, if any, has memory of its own", lambda facts: facts.unified)
AARCH64 = Condition("no aarch64", lambda facts: facts.machine.architecture == "aarch64")
CONNECTX = Condition("no ConnectX network card", lambda facts: bool(facts.connectx))
CABLE = Condition("no ConnectX port with a cable", lambda facts: bool(facts.stack))
SEVERAL = Condition("one node", lambda facts: nodes(facts) > 1)
RAY = Condition("no Ray runs here", lambda facts: facts.ray.running)


def nodes(facts: Facts) -> int:
    return max(facts.ray.nodes, facts.chosen.nodes if facts.chosen else 1)


def installed(package: str) -> Condition:
    return Condition(f"{package} is not installed", lambda facts: package in facts.packages.installed)


def runs(section: str, *engines: str) -> Condition:
    """For settings with one of these engines in the section."""

    def chosen(facts: Facts) -> bool:
        return facts.chosen is not None and facts.chosen.engines[section] in engines

    return Condition(f"{section}.engine is not {' or '.join(engines)}", chosen)


# --- what rules ask ----------------------------------------------------------------------------------------------------------------------


def chip(facts: Facts) -> str:
    """sm_121. For rules that concern machines with a GPU."""
    if facts.gpu is None:
        raise Unknown("the GPU")
    return "sm_" + facts.gpu.capability.replace(".", "")


def failing(facts: Facts, name: str) -> str | None:
    """The reason why a trial did not work."""
    if name not in facts.trials:
        raise Unknown(f"the trial of {name}")
    trial = facts.trials[name]
    return None if trial.works else trial.reason or "it failed"
