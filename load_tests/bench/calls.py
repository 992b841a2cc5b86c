"""What the socket between a gateway and a replica adds to a reply and to a speech: engines that cost nothing, without Ray.

    python -m load_tests.bench.calls [--at-once 1 8 32] [--turns 200] [--out load_tests/results/calls-NAME.json]

Each turn asks for a reply of eleven words, then for a speech of one clause, as often as `--at-once` says beside each other, and rests a
little. Times are from the question to the first item and to the last: of the engine itself in this process, and over the socket
(deployments/call_lines.py) to another process, as a gateway has it.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any

from deployments.call_codecs import REPLIES, SPEECHES
from deployments.call_frames import Codec, Offer
from deployments.call_lines import Lines
from deployments.call_server import CallServer
from deployments.engines.fake import FakeLanguageModel, FakeTextToSpeech
from deployments.sockets import Place
from load_tests.about import about
from load_tests.knee import percentiles
from serve_app.engines import ChatMessage, Prompt, Speech

SAID = tuple(ChatMessage(role, "Something said a moment ago, some fifteen words long, about a ship.") for role in ("user", "assistant"))
SYSTEM = ChatMessage("system", "You are a friendly voice. " * 20)
PROMPT = Prompt((SYSTEM, *SAID * 5, ChatMessage("user", "nine words that the model will now say again")))
SPEECH = Speech("Eight words that the voice will say now.", "af_heart")
REST_S = 0.02
HEAD = "engine  way     at once  first p50    p99  last p50    p99"
LINE = "{engine:7} {way:7} {at_once:7} {first[p50]:10.2f} {first[p99]:6.2f} {last[p50]:9.2f} {last[p99]:6.2f}"
ROOM = 128

Ask = Callable[[], AsyncGenerator[Any, None]]


def main() -> None:
    args = _arguments()
    if args.replica:
        asyncio.run(_replica())
        return
    described = about("load_tests.bench.calls") | {"what": "ms from a question to its first and last item; fake engines; without Ray"}
    result = asyncio.run(_measured(args.at_once, args.turns))
    if args.out:
        args.out.write_text(json.dumps(described | {"rows": result}, indent=2) + "\n")


async def _measured(at_once: Sequence[int], turns: int) -> list[dict[str, Any]]:
    words, voice = FakeLanguageModel(), _voice()
    rows = []
    _say(HEAD)
    async with _lines() as (replies, speeches):
        ways: dict[tuple[str, str], Ask] = {
            ("reply", "direct"): lambda: words.reply(PROMPT),  # type: ignore[dict-item,return-value]
            ("reply", "socket"): lambda: replies.call(PROMPT),
            ("speech", "direct"): lambda: voice.speak(SPEECH),  # type: ignore[dict-item,return-value]
            ("speech", "socket"): lambda: speeches.call(SPEECH),
        }
        for count in at_once:
            for (engine, way), ask in ways.items():
                rows.append({"engine": engine, "way": way, "at_once": count, **await _row(ask, count, turns)})
                _say(LINE.format(**rows[-1]))
    return rows


async def _row(ask: Ask, count: int, turns: int) -> dict[str, dict[str, float]]:
    times: list[tuple[float, float]] = []
    for turn in range(turns + 5):
        some = await asyncio.gather(*(_timed(ask) for _ in range(count)))
        times += some if turn >= 5 else []  # those before warm up
        await asyncio.sleep(REST_S)
    return {name: _ms([one[at] for one in times]) for at, name in enumerate(("first", "last"))}


async def _timed(ask: Ask) -> tuple[float, float]:
    began, first = time.perf_counter(), 0.0
    async with aclosing(ask()) as items:
        async for _ in items:
            first = first or time.perf_counter() - began
    return first, time.perf_counter() - began


def _ms(times: list[float]) -> dict[str, float]:
    return {name: round(1000 * value, 2) for name, value in percentiles(times).items()}


@asynccontextmanager
async def _lines() -> AsyncIterator[tuple[Lines[Any, Any], Lines[Any, Any]]]:
    """To a process that is a replica of both."""
    command = (sys.executable, "-m", "load_tests.bench.calls", "--replica")
    replica = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert replica.stdout is not None and replica.stdin is not None
    told = json.loads(await replica.stdout.readline())
    reply, speak = (_to(one, codec) for one, codec in zip(told, (REPLIES, SPEECHES), strict=True))
    try:
        await asyncio.gather(reply.open(), speak.open())
        yield reply, speak
        await asyncio.gather(reply.close(), speak.close())
    finally:
        replica.stdin.close()  # it lives as long as that
        await replica.wait()


def _to(told: Sequence[Any], codec: Codec[Any, Any]) -> Lines[Any, Any]:
    offer = Offer(Place(*told[0]), *told[1:])

    async def offers(known: tuple[str, ...]) -> list[Offer]:
        return [] if offer.replica in known else [offer]

    return Lines(offers, codec, offer.node)


async def _replica() -> None:
    servers = CallServer(FakeLanguageModel().reply, REPLIES, ROOM), CallServer(_voice().speak, SPEECHES, ROOM)
    for server in servers:
        await server.start("127.0.0.1", "here")
    _say(json.dumps([astuple(offer) for server in servers if (offer := server.offer(())) is not None]))
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        await server.stop()


def _voice() -> FakeTextToSpeech:
    return FakeTextToSpeech(s_per_character=0.01)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--replica", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
