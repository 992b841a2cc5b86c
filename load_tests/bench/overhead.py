"""What the server itself adds: engines that cost nothing, from the end of speech to the first sample of the answer.

    python -m load_tests.bench.overhead [--sessions 1 8 32 64] [--turns 100] [--out load_tests/results/overhead-NAME.json]

Starts a server with fake engines and, beside it, a plain websocket echo on uvicorn; the same process talks to both, with the same frames.
A wait has three parts: the silence that ends a turn; what is added to it because audio comes in frames (20 ms on the wire, 32 ms in voice
activity detection, blocks in the resampler), which is known beforehand and found by the server's own code; and the rest, the overhead:
from sending the frame in which the turn ends to the first audio of the answer. Patient sessions have all of it in their way; eager ones do
most of it in the pause. Turns come each 9 s, and for one session also each 1.8 s, so that there are enough of them.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil

from load_tests.about import about
from load_tests.bench.tones import DENSE, TALK, Rhythm, Talk, endings, sound, stages, waits
from load_tests.knee import percentiles
from load_tests.light import FRAME_S, Player, appended, line_to, message, spread
from load_tests.processes import cpu_s, started_server
from load_tests.say import say
from tests.real_server import free_port, running

LEAST_S = 30.0
IDLE_S = 10.0
ECHO_S = 8.0
SETTINGS = (
    "gateway.open_to_all=true",
    "gateway.max_audio_s_a_minute=1000000",
    "limits.audio_s_a_minute=1000000",
    "session.max_sessions=128",
    "session.eager_sessions=128",
    "stt.max_sessions=128",
    "llm.max_ongoing=128",
    "tts.max_ongoing=128",
    "tts.options.s_per_character=0.01",
)
"""Room for all, and answers of a third of a second."""


def main() -> None:
    args = _arguments()
    described = about("load_tests.bench.overhead") | {
        "what": "overhead of the server itself: fake engines that cost nothing; client, echo and server on the same machine",
        "silence_ms": args.silence_ms,
        "settings": [*SETTINGS, *args.settings],
        "goal": "on 2 cores 10 ms p50 and 25 ms p99 at one session, 60 ms p99 at 32; processor seconds a session flat",
    }
    with _echo() as echo, _server(args) as (url, server):
        result = asyncio.run(_measured(args, url, server, echo))
    if args.out:
        args.out.write_text(json.dumps(described | result, indent=2) + "\n")


async def _measured(args: argparse.Namespace, url: str, server: psutil.Process, echo: str) -> dict[str, Any]:
    before = cpu_s(server)
    await asyncio.sleep(IDLE_S)
    idle = (cpu_s(server) - before) / IDLE_S
    say(f"Without sessions the server takes {idle:.3f} of a core. In ms; processor seconds for one minute of one session, above that.\n")
    say(HEAD)
    rows = []
    for count in args.sessions:
        round_trips = await _echoed(echo, count)
        for mode, rhythm in itertools.product(args.modes, (DENSE, TALK) if count == 1 else (TALK,)):
            row = await _row(args, f"{url}?sparkvox=timings,{mode}", server, count, rhythm)
            cpu_s_a_minute = round(60 * (row["server_cores"] - idle) / count, 2)
            rows.append(row | {"mode": mode, "echo": round_trips, "cpu_s_a_minute": cpu_s_a_minute})
            say(LINE.format(**rows[-1]))
            say(" " * 10 + "of it " + ", ".join(f"{name} {ms}" for name, ms in row["stages"].items()))
    return {"idle_cores": round(idle, 3), "rows": rows}


HEAD = (
    "sessions  turn s  mode     turns missed  overhead p50   p95   p99  echo p50   p99  wait p50  frames  processor s"
    "  client: cores  late p99"
)
LINE = (
    "{sessions:8} {turn_s:7.1f}  {mode:8} {turns:5} {missed:6} {overhead[p50]:13.1f} {overhead[p95]:5.1f} {overhead[p99]:5.1f}"
    " {echo[p50]:9.2f} {echo[p99]:5.1f} {wait[p50]:9.1f} {frames[p50]:7.1f} {cpu_s_a_minute:12.2f}"
    " {client_cores:14.2f} {client_late[p99]:9.1f}"
)


async def _row(args: argparse.Namespace, url: str, server: psutil.Process, count: int, rhythm: Rhythm) -> dict[str, Any]:
    """Milliseconds, but for cores."""
    wanted = args.turns if count > 1 or rhythm is DENSE else 0
    length = rhythm.turn_frames * (rhythm.warm + max(round(LEAST_S / rhythm.turn_s), -(-wanted // count)))
    raw, silence_s = sound(rhythm), args.silence_ms / 1000
    began, taken, mine = time.perf_counter(), cpu_s(server), time.process_time()
    talks = await _talks(url, count, [appended(frame) for frame in raw], length, _update(args.silence_ms))
    seconds, taken, mine = time.perf_counter() - began, cpu_s(server) - taken, time.process_time() - mine
    ends = await asyncio.to_thread(endings, raw, length, silence_s)
    each = [waits(talk, ends, silence_s, rhythm.warm) for talk in talks]
    for problem in [problem for talk in talks for problem in talk.problems][:3]:
        say(problem)
    return {
        "sessions": count,
        "turn_s": round(rhythm.turn_s, 1),
        "turns": sum(len(one.overhead) for one in each),
        "missed": sum(one.missed for one in each),
        "errors": sum(len(talk.problems) for talk in talks),
        "overhead": _rounded([ms for one in each for ms in one.overhead]),
        "wait": _rounded([ms for one in each for ms in one.total]),
        "frames": _rounded([ms for one in each for ms in one.frames]),
        "stages": stages([timing for talk in talks for timing in talk.timings]),
        "server_cores": round(taken / seconds, 3),
        "client_cores": round(mine / seconds, 3),
        "client_late": _rounded([1000 * late for talk in talks for late in talk.late_s]),
    }


def _update(silence_ms: int) -> bytes:
    detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
    return message({"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}})


async def _talks(url: str, count: int, frames: Sequence[bytes], length: int, update: bytes | None) -> list[Talk]:
    talks = [Talk() for _ in range(count)]
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(url, talk.heard)) for talk in talks]
        players = [Player(line, frames, length) for line in lines]
        for line, player, in_s in zip(lines, players, spread(count, len(frames) * FRAME_S), strict=True):
            if update is not None:
                line.write(update)
            player.begin(in_s)
        for talk, player in zip(talks, players, strict=True):
            await player.done.wait()
            talk.sent_at, talk.late_s = player.sent_at, player.late_s
            if len(player.sent_at) < length:
                talk.problems.append("the connection ended")
    return talks


async def _echoed(url: str, count: int) -> dict[str, float]:
    """Round trips of single frames, in ms."""
    came: list[list[float]] = [[] for _ in range(count)]
    frames = [appended(frame) for frame in sound(DENSE)]
    async with AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(line_to(url, lambda _, now, at=at: at.append(now))) for at in came]
        players = [Player(line, frames, round(ECHO_S / FRAME_S)) for line in lines]
        for player, in_s in zip(players, spread(count, FRAME_S), strict=True):
            player.begin(in_s)
        for player in players:
            await player.done.wait()
    return _rounded([1000 * (b - a) for player, at in zip(players, came, strict=True) for a, b in zip(player.sent_at, at, strict=False)])


def _rounded(values: list[float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in percentiles(values).items()}


@contextmanager
def _echo() -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "load_tests.bench.plain_echo:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([*command, "--ws-per-message-deflate", "false"])
    try:
        yield f"ws://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def _server(args: argparse.Namespace) -> Iterator[tuple[str, psutil.Process]]:
    """Its address and its process."""
    if args.url:
        yield args.url, psutil.Process(args.pid)
        return
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "server.log", "fake", *SETTINGS, *args.settings) as address:
        yield address.replace("http", "ws") + "/v1/realtime", started_server()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--modes", nargs="+", choices=("patient", "eager"), default=["patient", "eager"])
    parser.add_argument("--turns", type=int, default=100, help="of a row at least, all sessions together")
    parser.add_argument("--silence-ms", type=int, default=500)
    parser.add_argument("--settings", nargs="*", default=[], help="more settings of the server, name=value")
    parser.add_argument("--url", help="a server that runs already, as this one would start it")
    parser.add_argument("--pid", type=int, help="its `sparkvox serve`")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
