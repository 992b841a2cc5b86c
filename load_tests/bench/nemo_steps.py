"""How much a batch saves: streams of a NeMo model stepped together against the same streams stepped one after the other.

    PYTHONPATH=. .venv/bin/python load_tests/bench/nemo_steps.py [--model NAME] [--device cuda] [--out FILE.json]

Both ways take the same chunks in the same run, turn by turn, so that what else the machine does is felt by both; of each count the median
turn is compared. Every stream hears a recording of its own from a place of its own.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

from deployments.engines import create
from serve_app.audio import Resampler
from serve_app.engines import HEARING_RATE, Due, Hints

AUDIO = Path(__file__).parent.parent.parent / "tests" / "audio"
COUNTS = (1, 8, 32)
UNMEASURED = 2
"""Turns at the start: what is allocated once is not a step's cost."""


def main() -> None:
    arguments = _arguments()
    engine = create("recogniser", "nemo-rnnt", model=arguments.model, chunk_ms=arguments.chunk_ms, device=arguments.device)
    asyncio.run(engine.warm())
    _limit_threads(arguments.threads)
    rows = [_row(engine, count, arguments.turns) for count in COUNTS]
    _write(_table(rows))
    if arguments.out:
        arguments.out.write_text(json.dumps({**_conditions(arguments), "rows": rows}, indent=1) + "\n")


def _row(engine: Any, count: int, turns: int) -> dict[str, Any]:
    speech = _speech()
    together, apart = ([engine.begin(Hints()) for _ in range(count)] for _ in range(2))
    batched, alone = [], []
    for turn in range(turns + UNMEASURED):
        chunks = [_chunk(speech, stream, turn, engine.step_samples) for stream in range(count)]
        at_once = [[Due(stream, pcm, False) for stream, pcm in zip(together, chunks, strict=True)]]
        in_turn = [[Due(stream, pcm, False)] for stream, pcm in zip(apart, chunks, strict=True)]
        for batches, times in _either_first(turn, (at_once, batched), (in_turn, alone)):
            times.append(_timed(engine.step, batches))
    batched_s, alone_s = median(batched[UNMEASURED:]), median(alone[UNMEASURED:])
    return {
        "streams": count,
        "together_ms": round(1000 * batched_s, 1),
        "alone_ms": round(1000 * alone_s, 1),
        "ratio": round(alone_s / batched_s, 2),
    }


def _either_first(turn: int, *ways: Any) -> Sequence[Any]:
    return ways if turn % 2 else ways[::-1]


def _timed(step: Callable[[Any], Any], batches: Sequence[Any]) -> float:
    began = time.perf_counter()
    for batch in batches:
        for answer in step(batch):
            if isinstance(answer, Exception):
                raise answer
    return time.perf_counter() - began


def _speech() -> np.ndarray:
    pcm, rate = soundfile.read(AUDIO / "tell_a_story.wav", dtype="int16")
    resampler = Resampler(rate, HEARING_RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush()))


def _chunk(speech: np.ndarray, stream: int, turn: int, samples: int) -> np.ndarray:
    start = stream * 1777 + turn * samples
    return speech.take(range(start, start + samples), mode="wrap")


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| streams | one step for all, ms | each alone, ms | ratio |", "| --- | --- | --- | --- |"]
    lines += [f"| {row['streams']} | {row['together_ms']:.1f} | {row['alone_ms']:.1f} | {row['ratio']:.1f} |" for row in rows]
    return "\n".join(lines) + "\n"


def _conditions(arguments: argparse.Namespace) -> dict[str, Any]:
    import nemo
    import torch

    device = torch.cuda.get_device_name() if arguments.device.startswith("cuda") else "none"
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{os.cpu_count()} cores {platform.machine()}, accelerator {device}",
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).date().isoformat(),
        "model": arguments.model,
        "chunk_ms": arguments.chunk_ms,
        "threads": torch.get_num_threads(),
        "turns": arguments.turns,
        "versions": {"torch": torch.__version__, "nemo": nemo.__version__, "python": platform.python_version()},
    }


def _limit_threads(threads: int) -> None:
    import torch

    if threads:
        torch.set_num_threads(threads)


def _write(text: str) -> None:
    sys.stdout.write(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="asr-tiny-en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--chunk-ms", type=int, default=160)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: its own choice")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
