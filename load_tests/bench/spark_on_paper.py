"""How many sessions one and two Sparks may carry: a simulation in virtual time, engines paced by cited figures. Nothing ran on a Spark.

    python -m load_tests.bench.spark_on_paper [--p95 0.8 1.0] [--minutes 10] [--out load_tests/results/spark-on-paper.json]

Every assumption is in the table that is printed and stored. Speakers (load_tests/simulated_talk.py) talk to engines
(load_tests/simulated_engines.py); what they wait is from the last sample of speech to the first of the answer. Carried is the largest
number of sessions whose 95th percentile is within --p95, with clauses that come in time; 0 where one session waits longer. paper_check.py
compares the same simulation with a real server.
"""

import argparse
import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from load_tests.about import about
from load_tests.knee import percentiles
from load_tests.say import say
from load_tests.simulated_engines import Gpu, Model, ModelPace, OneByOne
from load_tests.simulated_talk import Found, Habits, Node, Serving, Speaker
from load_tests.virtual_time import for_a_while, run

WARM_S = 60.0
STUTTERS = 0.001
"""Share of turns with a clause that comes too late, from which a load is not carried."""


@dataclass(frozen=True, slots=True)
class Assumption:
    what: str
    value: float
    unit: str
    source: str


BANDWIDTH = Assumption("memory bandwidth of a Spark", 273.0, "GB/s", "NVIDIA's data sheet of the DGX Spark")
REACHED = Assumption("of it is reached", 0.8, "", "dense NVFP4, one stream: Llama 8B 38.7 tokens/s of 45.5 (NVIDIA), Gemma 31B 7.0 of 8.8")
WEIGHTS = Assumption("language model's weights", 7.55, "GB", "Qwen3.5-9B NVFP4 in vLLM on a Spark, March 2026")
STATE = Assumption("a reply's recurrent state, read and written", 0.1007, "GB", "its config: 24 layers x 32 x 128 x 128 x 4 bytes, twice")
REMEMBERED = Assumption("a token's keys and values", 32.768, "kB", "its config: 8 layers x 4 heads x 256 x 2 x 2 bytes")
PROMPT = Assumption("prompt", 3470.0, "tokens/s", "arithmetic: 2 x 9e9 operations a token, half of the 125 TFLOP/s that 16 bits have")
AT_ONCE = Assumption("replies at once", 32, "", "max_num_seqs of profile spark")
BLOCK = Assumption("a prompt's beginning is known in blocks of", 528, "tokens", "vllm issue 40696: hybrid models with prefix caching")
FINAL = Assumption("recognition, to the final text", 0.024, "s", "Nemotron Speech 0.6B, median, streaming; one after another")
CHUNK = Assumption("recognition, a chunk while somebody speaks", 0.0114, "s", "2.49 GB of weights read at the bandwidth that is reached")
CHUNK_EACH = Assumption("a chunk each", 0.16, "s", "stt.options.chunk_ms of profile spark")
SENTENCE = Assumption("synthesis, a sentence", 0.030, "s", "Kokoro-82M on a Spark; one after another")
ASSUMPTIONS = (BANDWIDTH, REACHED, WEIGHTS, STATE, REMEMBERED, PROMPT, AT_ONCE, BLOCK, FINAL, CHUNK, CHUNK_EACH, SENTENCE)


def model_pace() -> ModelPace:
    """A step is bound by what it reads, a prompt by what it computes."""
    gb_s = BANDWIDTH.value * REACHED.value
    return ModelPace(
        step_s=WEIGHTS.value / gb_s,
        sequence_s=STATE.value / gb_s,
        remembered_s=REMEMBERED.value / 1e6 / gb_s,
        prompt_s=1 / PROMPT.value,
        at_once=int(AT_ONCE.value),
        cache_block=int(BLOCK.value),
    )


def one_spark(pace: ModelPace) -> list[Node]:
    gpu = Gpu()
    return [Node(OneByOne(gpu, FINAL.value), Model(gpu, pace), OneByOne(gpu, SENTENCE.value))]


def two_sparks(pace: ModelPace) -> list[Node]:
    """topology=two_sparks: each has all engines; sessions stay on theirs."""
    return one_spark(pace) + one_spark(pace)


def two_sparks_split(pace: ModelPace) -> list[Node]:
    """topology=two_sparks_split, with the same model: it has one Spark, speech the other."""
    speech = Gpu()
    return [Node(OneByOne(speech, FINAL.value), Model(Gpu(), pace), OneByOne(speech, SENTENCE.value))]


LAYOUTS: dict[str, Callable[[ModelPace], list[Node]]] = {"one": one_spark, "two": two_sparks, "two, model apart": two_sparks_split}
SERVING = {
    "patient": Serving(guesses_s=None),
    "eager": Serving(),
    "semantic": Serving(ends_s=0.27, guesses_s=None),
}
"""What ends a turn: 0.5 s of silence; the same, with answers begun after 0.2 s of it; a turn detector asked after 0.2 s, for 50 ms."""


@dataclass(frozen=True, slots=True)
class Case:
    sparks: str = "one"
    turns_are: str = "eager"
    but: str = "as assumed"
    """What is otherwise than in the table."""
    pace: ModelPace = field(default_factory=model_pace)
    habits: Habits = field(default_factory=Habits)


CASES = (
    *(Case(layout, turns_are) for layout in LAYOUTS for turns_are in SERVING),
    Case(but="prompts computed in half the time", pace=replace(model_pace(), prompt_s=0.5 / PROMPT.value)),
    Case(but="prompts known to the token", pace=replace(model_pace(), cache_block=1)),
    Case(but="first clauses of 4 to 6 tokens", habits=replace(Habits(), first_clause_tokens=(4, 6))),
)


@dataclass(frozen=True, slots=True)
class Row:
    sessions: int
    turns: int
    p50_s: float
    p95_s: float
    p99_s: float
    stutters: int
    wasted: int
    gpu: float
    """Share of the time in which the language model's GPU has work, of the first node."""


def simulated(case: Case, sessions: int, minutes: float) -> Row:
    return run(_simulated(case, sessions, minutes))


async def _simulated(case: Case, sessions: int, minutes: float) -> Row:
    nodes, found, seconds = LAYOUTS[case.sparks](case.pace), Found(since_s=WARM_S), WARM_S + 60 * minutes
    serving = SERVING[case.turns_are]
    speakers = [Speaker(nodes[seed % len(nodes)], case.habits, serving, seed, found) for seed in range(sessions)]
    await for_a_while((*(speaker.talk() for speaker in speakers), *map(_listens, nodes)), seconds)
    at = percentiles(found.waits)
    waits = [round(at[name], 3) for name in ("p50", "p95", "p99")]
    return Row(sessions, len(found.waits), *waits, found.stutters, found.wasted, round(nodes[0].model.gpu.busy_s / seconds, 2))


async def _listens(node: Node) -> None:
    """Partial texts: a step each chunk, for all who speak."""
    while True:
        await asyncio.sleep(CHUNK_EACH.value)
        if node.speaking:
            await node.recognition.one(CHUNK.value)


def carried(measure: Callable[[int], Row], p95_s: float) -> list[Row]:
    """Doubles until it is too much, then halves the distance, to 5 %; all rows, by sessions. One may be too much already."""
    rows = [measure(1)]
    while fits(rows[-1], p95_s):
        rows.append(measure(2 * rows[-1].sessions))
    low, high = rows[-1].sessions // 2, rows[-1].sessions
    while high - low > max(1, high // 20):
        rows.append(measure((low + high) // 2))
        low, high = (rows[-1].sessions, high) if fits(rows[-1], p95_s) else (low, rows[-1].sessions)
    return sorted(rows, key=lambda row: row.sessions)


def fits(row: Row, p95_s: float) -> bool:
    return row.p95_s <= p95_s and row.stutters <= STUTTERS * row.turns


def most(rows: Sequence[Row], p95_s: float) -> int:
    return max((row.sessions for row in itertools.takewhile(lambda row: fits(row, p95_s), rows)), default=0)


def main() -> None:
    args = _arguments()
    described = _about(args)
    say("A simulation. What it assumes:\n")
    for one in ASSUMPTIONS:
        say(f"  {one.what:46} {one.value:9.4g} {one.unit:9} {one.source}")
    results = [_result(case, args.minutes, args.p95) for case in CASES]
    if args.out:
        args.out.write_text(json.dumps(described | {"results": results}, indent=2) + "\n")


def _result(case: Case, minutes: float, limits_s: Sequence[float]) -> dict[str, Any]:
    say(f"\n{case.sparks} Spark{'s' if case.sparks != 'one' else ''}, {case.turns_are} turns, {case.but}")
    say("  sessions  turns    p50    p95    p99  stutters  wasted drafts  GPU busy")
    rows: dict[int, Row] = {}

    def measure(sessions: int) -> Row:
        return rows.get(sessions) or rows.setdefault(sessions, simulated(case, sessions, minutes))

    most_at = {str(limit_s): most(carried(measure, limit_s), limit_s) for limit_s in limits_s}
    every = [rows[sessions] for sessions in sorted(rows)]
    for row in every:
        say(LINE.format(**asdict(row)))
    say("  carried: " + ", ".join(f"{sessions} at {limit_s} s" for limit_s, sessions in most_at.items()))
    return {"sparks": case.sparks, "turns": case.turns_are, "but": case.but, "carried": most_at, "rows": [asdict(row) for row in every]}


LINE = "  {sessions:8} {turns:6}  {p50_s:5.2f}  {p95_s:5.2f}  {p99_s:5.2f}  {stutters:8}  {wasted:13}  {gpu:8.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--p95", type=float, nargs="+", default=[0.8, 1.0], help="the waits, in seconds, at which sessions are counted")
    parser.add_argument("--minutes", type=float, default=10.0, help="of talk in each row, besides warming up")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _about(args: argparse.Namespace) -> dict[str, Any]:
    return about("load_tests.bench.spark_on_paper") | {
        "what": "simulation in virtual time; nothing was run on a Spark",
        "p95_s": args.p95,
        "minutes": args.minutes,
        "assumptions": [asdict(one) for one in ASSUMPTIONS],
        "habits": asdict(Habits()),
        "serving": {name: asdict(one) for name, one in SERVING.items()},
    }


if __name__ == "__main__":
    main()
