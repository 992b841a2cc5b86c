"""Whether the simulation of spark_on_paper.py agrees with a real server, at one point.

    python -m load_tests.bench.paper_check [--sessions 16] [--seconds 60] [--out load_tests/results/paper-check-NAME.json]

Real: a server with fake engines that take as long as those on paper, and callers who push to talk, think for 2 to 4 s and push again.
Simulated: the same callers and engines in virtual time. What the server itself adds is taken from one real session; the row with more
sessions, where they wait for each other, is then predicted. Not checked: a GPU that engines share, since each fake has its own time.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from load_tests.about import about
from load_tests.bench.two_nodes import THINKS_S, WARM_S, talked
from load_tests.say import say
from load_tests.simulated_engines import Gpu, Model, ModelPace, OneByOne
from load_tests.simulated_talk import Answer, Node
from load_tests.virtual_time import for_a_while, now, run
from tests.real_server import running

TOKENS = 5
"""Of each answer, "You said: heard 1.00 seconds": one clause."""
SIMULATED_S = 600.0


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds; chosen so that engines are busy for a third to a half of the time with 16 sessions."""

    utterance_s: float = 0.08
    step_s: float = 0.035
    sequence_s: float = 0.002
    speech_s: float = 0.1

    @property
    def settings(self) -> tuple[str, ...]:
        llm = f"llm.options.step_s={self.step_s}", f"llm.options.sequence_s={self.sequence_s}"
        return (f"stt.options.utterance_s={self.utterance_s}", *llm, f"tts.options.speech_s={self.speech_s}", "session.max_sessions=64")

    def node(self) -> Node:
        gpu = Gpu(shared=False)
        pace = ModelPace(self.step_s, self.sequence_s, 0.0, 0.0, at_once=1_000, cache_block=1)
        return Node(OneByOne(gpu, self.utterance_s), Model(gpu, pace), OneByOne(gpu, self.speech_s))


@dataclass(frozen=True, slots=True)
class Row:
    sessions: int
    turns: int
    p50_s: float
    p95_s: float
    failed: int = 0


def simulated(paces: Paces, sessions: int, overhead_s: float, seconds: float = SIMULATED_S) -> Row:
    return _row(sessions, run(_simulated(paces, sessions, overhead_s, seconds)))


def measured(door: str, sessions: int, seconds: float) -> Row:
    waits, failed = asyncio.run(talked([door], sessions, seconds))
    return _row(sessions, waits, failed)


def _row(sessions: int, waits: Sequence[float], failed: int = 0) -> Row:
    cuts = statistics.quantiles(waits, n=20, method="inclusive")
    return Row(sessions, len(waits), round(statistics.median(waits), 3), round(cuts[18], 3), failed)


async def _simulated(paces: Paces, sessions: int, overhead_s: float, seconds: float) -> list[float]:
    node, waits = paces.node(), list[float]()
    await for_a_while((_pushes(node, random.Random(seed), overhead_s, waits) for seed in range(sessions)), seconds)
    return waits


async def _pushes(node: Node, chance: random.Random, overhead_s: float, waits: list[float]) -> None:
    await asyncio.sleep(chance.uniform(0, THINKS_S[1]))
    while True:
        began = now()
        answer = Answer(node, 0, 0, [TOKENS])
        await answer.made[0]
        await asyncio.sleep(overhead_s)
        if began >= WARM_S:
            waits.append(now() - began)
        await asyncio.sleep(chance.uniform(*THINKS_S))


def main() -> None:
    args = _arguments()
    described = about("load_tests.bench.paper_check") | {
        "what": "paced fake engines on a real server, beside the same in simulation",
        "paces": asdict(Paces()),
    }
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "server.log", "fake", *Paces().settings) as address:
        door = address.removeprefix("http://")
        alone = measured(door, 1, args.seconds / 2)
        real = measured(door, args.sessions, args.seconds)
    overhead_s = alone.p50_s - simulated(Paces(), 1, 0.0).p50_s
    paper = simulated(Paces(), args.sessions, overhead_s)
    errors = {name: round(getattr(paper, name) / getattr(real, name) - 1, 3) for name in ("p50_s", "p95_s")}
    say(f"the server itself adds {1000 * overhead_s:.0f} ms to one session")
    say(f"real      {real.sessions} sessions: p50 {real.p50_s:.3f} s, p95 {real.p95_s:.3f} s, {real.failed} failed")
    say(f"simulated {paper.sessions} sessions: p50 {paper.p50_s:.3f} s, p95 {paper.p95_s:.3f} s")
    say(f"error of the simulation: p50 {errors['p50_s']:+.1%}, p95 {errors['p95_s']:+.1%}")
    if args.out:
        rows = {"alone": asdict(alone), "real": asdict(real), "simulated": asdict(paper), "errors": errors}
        args.out.write_text(json.dumps(described | {"overhead_s": round(overhead_s, 4)} | rows, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0, help="of talk, besides warming up")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
