"""All rules, in the order in which they are told."""

from cluster.doctor.facts import Facts
from cluster.doctor.rules import gpu, memory, network, packages
from cluster.doctor.rules.pair import PAIR_RULES
from cluster.doctor.rules.rule import Judgement, judge, judge_pair

RULES = (*packages.RULES, *gpu.RULES, *memory.RULES, *network.RULES)


def judged(facts: Facts) -> list[Judgement]:
    return [judge(rule, facts) for rule in RULES]


def compared(one: Facts, other: Facts) -> list[Judgement]:
    return [judge_pair(rule, one, other) for rule in PAIR_RULES]
