"""How many more sessions two nodes carry than one, at the same wait: a simulation with paced engines on a real cluster.

    python -m load_tests.bench.two_nodes [--seconds 100] [--p95 2.5] [--out load_tests/results/two_nodes-paced.json]

Real: Ray, Serve, HAProxy, gateways, leases, sockets, on two hosts made of namespaces (tests/cluster/hosts.py; root and iproute2), and every
session through a websocket. Simulated: the engines, fakes that take as long as cited systems were seen to take on the hardware named
in the table that is printed. Each session speaks a turn, waits for the answer, thinks for 2 to 4 s, and speaks again; counted is from the
end of speech to the first sound. Engines that are slow are taken on purpose, so that they are full long before the cores here are.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from load_tests.about import about
from load_tests.bench.carried import PERCENTILE, Load, carried, ratio_between, rising
from load_tests.picture import Line, chart
from load_tests.say import say
from tests.cluster.boxes import Cluster, until
from tests.cluster.callers import Lost, calling
from tests.cluster.hosts import Host, two_hosts, why_not

THINKS_S = (2.0, 4.0)
WARM_S = 10.0
"""Not counted: sessions start at once and spread out with time."""


@dataclass(frozen=True, slots=True)
class Pace:
    what: str
    seconds: float
    setting: str
    shared: str
    source: str


PACES = (
    Pace("speech-to-text, an utterance", 0.483, "stt.options.utterance_s", "one after another", "Qwen3-ASR-1.7B on a Spark, 2.6 s long"),
    Pace("language model, first word", 0.156, "llm.options.first_s", "all at once", "Nemotron voice blueprint, 64 streams, four H100"),
    Pace("text-to-speech, a clause", 0.6, "tts.options.speech_s", "one after another", "Magpie TTS NIM on a Spark, a sentence"),
)
COMMON = (
    "profile=fake",
    "gateway.open_to_all=true",
    "session.max_sessions=64",
    "session.eager_sessions=0",
    "stt.num_gpus=0.2",
    "llm.num_gpus=0.5",
    "tts.num_gpus=0.2",
    *(f"{pace.setting}={pace.seconds}" for pace in PACES),
)


@dataclass(frozen=True, slots=True)
class Row:
    nodes: int
    sessions: int
    turns: int
    failed: int
    p50_s: float
    p95_s: float
    placed: tuple[tuple[int, int], ...]
    """Of each node: sessions at its gateway, and sessions whose audio goes to its speech-to-text."""
    waits_s: tuple[float, ...]


def main() -> None:
    args = _arguments()
    if reason := why_not():
        sys.exit(reason)
    say(_paces())
    described = _described()
    rows = [*_measured(1, args.one, args.seconds), *_measured(2, args.two, args.seconds)]
    loads = {f"{n} node{'s' * (n - 1)}": [Load(row.sessions, row.waits_s) for row in rows if row.nodes == n] for n in (1, 2)}
    found = _compared(*loads.values(), args.p95)
    say("sessions at a 95th percentile of {p95_s} s: {one_node} and {two_nodes}; ratio {ratio}, 90 % between {between}".format(**found))
    if args.out:
        args.out.write_text(json.dumps(described | found | {"rows": [asdict(row) for row in rows]}, indent=2) + "\n")
        drawn = [Line(name, [(load.sessions, p95) for load, p95 in zip(line, rising(line), strict=True)]) for name, line in loads.items()]
        args.out.with_suffix(".svg").write_text(chart(drawn, "sessions (simulation: paced engines)", "p95 wait for the first sound in s"))


def _compared(one: Sequence[Load], two: Sequence[Load], p95_s: float) -> dict[str, object]:
    few, many = carried(one, p95_s), carried(two, p95_s)
    ratio = None if few is None or many is None else round(many / few, 2)
    return {"p95_s": p95_s, "one_node": few, "two_nodes": many, "ratio": ratio, "between": ratio_between(one, two, p95_s)}


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(word) for word in text.split(",")]

    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=100.0, help="of each row, besides warming up")
    parser.add_argument("--p95", type=float, default=2.5, help="the wait, in seconds, at which sessions are compared")
    parser.add_argument("--one", type=numbers, default=[3, 5, 7, 9], help="sessions on one node")
    parser.add_argument("--two", type=numbers, default=[6, 10, 14, 18], help="sessions on two nodes")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _measured(nodes: int, sessions: Sequence[int], seconds: float) -> list[Row]:
    topology = "topology=two_sparks" if nodes == 2 else "topology=one_spark"
    with two_hosts() as hosts, tempfile.TemporaryDirectory(prefix="tn") as folder:
        cluster = Cluster(hosts, Path(folder), (topology, *COMMON))
        cluster.start_head()
        until((cluster.state(cluster.a) / "token").exists, "the head makes a token")
        if nodes == 2:
            cluster.start_other()
        used = hosts.both[:nodes]
        until(lambda: all(cluster.has_all_parts(host) for host in used), "all parts are there")
        rows = [asyncio.run(measured_row(cluster, used, count, seconds)) for count in sessions]
        for host in reversed(used):
            cluster.leave(host)
    cluster.bury()
    return rows


async def measured_row(cluster: Cluster, used: Sequence[Host], sessions: int, seconds: float) -> Row:
    doors = [cluster.door(host) for host in used]
    placed, (waits, failed) = await asyncio.gather(_placed(cluster, used), talked(doors, sessions, seconds))
    p50, p95 = (round(float(value), 3) for value in np.percentile(waits, (50, PERCENTILE)))
    row = Row(len(doors), sessions, len(waits), failed, p50, p95, placed, tuple(round(wait, 3) for wait in waits))
    said = f"{row.turns:4} turns, p50 {row.p50_s:.2f} s, p95 {row.p95_s:.2f} s, failed {row.failed}, placed {row.placed}"
    say(f"{row.nodes} nodes {row.sessions:3} sessions: {said}")
    return row


async def talked(doors: Sequence[str], sessions: int, seconds: float) -> tuple[list[float], int]:
    """The waits of so many callers, shared among the doors, and how many turns failed."""
    waits: list[float] = []
    ends = time.monotonic() + WARM_S + seconds
    talks = (_talk(doors[n % len(doors)], random.Random(n), ends, seconds, waits) for n in range(sessions))
    return waits, sum(await asyncio.gather(*talks))


async def _placed(cluster: Cluster, used: Sequence[Host]) -> tuple[tuple[int, int], ...]:
    """As soon as all have begun."""
    await asyncio.sleep(WARM_S)
    return await asyncio.to_thread(lambda: tuple((cluster.counts(host)["sessions"], cluster.heard_there(host)) for host in used))


async def _talk(door: str, chance: random.Random, ends: float, counted_s: float, waits: list[float]) -> int:
    """Turns that failed."""
    failed = 0
    async with calling(door) as caller:
        await asyncio.sleep(chance.uniform(0, THINKS_S[1]))
        while (began := time.monotonic()) < ends:
            try:
                await caller.speaks()
                await caller.gets("response.output_audio.delta")
                if began > ends - counted_s:
                    waits.append(time.monotonic() - began)
                failed += (await caller.gets("response.done"))["response"]["status"] != "completed"
            except Lost:
                return failed + 1
            await asyncio.sleep(chance.uniform(*THINKS_S))
    return failed


def _paces() -> str:
    rows = [f"{pace.what:30} {pace.seconds:5.3f} s  {pace.shared:20} {pace.source}" for pace in PACES]
    return "\n".join(["Simulated; the engines take:", *rows])


def _described() -> dict[str, object]:
    return about("load_tests.bench.two_nodes") | {
        "what": "simulation: fake engines that are paced, on a real cluster of two hosts made of namespaces",
        "paces": [asdict(pace) for pace in PACES],
        "thinks_s": THINKS_S,
    }


if __name__ == "__main__":
    main()
