"""Eager turns against patient ones, on one running server, in turn; and how much of the work on an answer the endpoint wait hides.

    sparkvox serve profile=cpu
    python -m load_tests.bench.eager_turns [--url URL] [--rounds 5] [--silence-ms 500 1000 1500] [--out FILE.json]

A question is spoken at the pace of speech, in frames of 20 ms. Measured is what the speaker waits: from the last sample of speech to the
first sample of the answer, and to its first text. Eager and patient sessions (`?sparkvox=patient`) take turns within a round, so that
whatever else the machine does falls on both. The ratio is of the medians: below 1 eager turns are faster.

hidden: of the time from the question to the model until the first sound of the answer was made, the share that had passed when the turn
was decided to be over, as the server itself tells it (`sparkvox.timings`). The wait is a fixed silence (server_vad), of each of the
lengths: of a short one there is not enough for all of the work.
"""

import argparse
import asyncio
import base64
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect

from load_tests.about import machine

QUESTION = Path(__file__).parents[2] / "tests" / "audio" / "capital_of_france.wav"
WIRE_RATE, FRAME_S = 24_000, 0.02
TRAILING_S = 30.0
"""Silence after the question: the microphone stays open until the answer comes."""
PATIENCE_S = 120.0
"""Only against hanging."""
MARKS = {"response.output_audio_transcript.delta": "text_s", "response.output_audio.delta": "audio_s"}
KINDS = ("eager", "patient")


@dataclass(frozen=True)
class Turn:
    waits: Mapping[str, float]
    """Seconds from the last sample of speech, by the names of `MARKS`."""
    timings: Mapping[str, Any]
    """As the server tells them."""


def main() -> None:
    args = _arguments()
    rows = [row for silence_ms in args.silence_ms for row in _rows(silence_ms, asyncio.run(_measured(args, silence_ms)))]
    for row in rows:
        sys.stdout.write(_line(row))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(_about(args) | {"rows": rows}, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1/realtime")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--silence-ms", type=int, nargs="+", default=[500, 1000, 1500])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


# --- what is computed -------------------------------------------------------------------------------------------------------------------


def hidden(timings: Mapping[str, Any]) -> float:
    """The share of the work on an answer, from the question to the model to its first sound, that was done when the turn was over."""
    stages = {name: (start, end) for name, start, end in timings["stages"]}
    asked, made, over = stages["first_token"][0], stages["synthesis"][1], stages["endpointing"][1]
    return min(1.0, max(0.0, (over - asked) / (made - asked))) if made > asked else 1.0


def _rows(silence_ms: int, turns: Mapping[str, list[Turn]]) -> list[dict[str, Any]]:
    rows = []
    for kind, of in turns.items():
        waits = {what: _percentiles([turn.waits[what] for turn in of]) for what in MARKS.values()}
        drafted = [turn.timings["saved_ms"] for turn in of if turn.timings["drafted"]]
        shares = [hidden(turn.timings) for turn in of]
        rows.append(
            {"silence_ms": silence_ms, "kind": kind, "turns": len(of), "drafted": len(drafted), **waits}
            | {"hidden": round(statistics.median(shares), 2), "hidden_least": round(min(shares), 2)}
            | {"saved_ms": round(statistics.median(drafted), 1) if drafted else None}
        )
    for row in rows:
        row["ratio"] = {what: round(row[what]["p50"] / rows[-1][what]["p50"], 2) for what in MARKS.values()}
    return rows


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)]
    return {"p50": round(statistics.median(ordered), 3), "p90": round(high, 3), "least": round(ordered[0], 3)}


def _line(row: Mapping[str, Any]) -> str:
    waits = [f"{what} {row[what]['p50']:.2f} (p90 {row[what]['p90']:.2f}, ratio {row['ratio'][what]:.2f})" for what in MARKS.values()]
    saved = "" if row["saved_ms"] is None else f"  saved {row['saved_ms']:.0f} ms"
    drafted = f"drafted {row['drafted']} of {row['turns']}"
    return f"{row['silence_ms']:>5} ms {row['kind']:>8}  {drafted}  {'  '.join(waits)}  hidden {row['hidden']:.2f}{saved}\n"


# --- what is measured -------------------------------------------------------------------------------------------------------------------


async def _measured(args: argparse.Namespace, silence_ms: int) -> dict[str, list[Turn]]:
    """The first round is not counted."""
    turns: dict[str, list[Turn]] = {kind: [] for kind in KINDS}
    for number in range(args.rounds + 1):
        for kind, of in turns.items():
            async with connect(f"{args.url}?sparkvox=timings,{kind}", max_size=None, proxy=None) as socket:
                turn = await asyncio.wait_for(_one_turn(socket, silence_ms), PATIENCE_S)
            of += [turn] if number else []
    return turns


async def _one_turn(socket: ClientConnection, silence_ms: int) -> Turn:
    detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
    session = {"type": "realtime", "max_output_tokens": 40, "audio": {"input": {"turn_detection": detection}}}
    await socket.send(json.dumps({"type": "session.update", "session": session}))
    speech = asyncio.create_task(_speak(socket))
    heard: dict[str, float] = {}
    async for message in socket:
        event = json.loads(message)
        if event["type"] in MARKS:
            heard.setdefault(MARKS[event["type"]], time.perf_counter())
        if event["type"] == "response.done":
            break
    speech.cancel()
    (said,) = await asyncio.gather(speech, return_exceptions=True)
    assert isinstance(said, _Spoken), said
    waits = {what: at - said.over_at for what, at in heard.items()}
    return Turn(waits, json.loads(event["response"]["metadata"]["sparkvox.timings"]))


class _Spoken(Exception):
    """Carries out of the cancelled task when the speech was over."""

    def __init__(self, over_at: float) -> None:
        super().__init__(over_at)
        self.over_at = over_at


async def _speak(socket: ClientConnection) -> None:
    over_at, began = 0.0, time.perf_counter()
    try:
        for number, (frame, is_last) in enumerate(_frames()):
            await asyncio.sleep(max(0.0, began + number * FRAME_S - time.perf_counter()))
            await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame).decode()}))
            if is_last:
                over_at = time.perf_counter()
    except asyncio.CancelledError:
        raise _Spoken(over_at) from None


def _frames() -> Iterator[tuple[bytes, bool]]:
    """20 ms each, and whether it is the last one of the speech: what is quiet at the end of the recording is not speech."""
    pcm, rate = soundfile.read(QUESTION, dtype="int16")
    assert rate == WIRE_RATE
    loud = np.flatnonzero(np.abs(pcm) > np.abs(pcm).max() / 50)
    samples = int(WIRE_RATE * FRAME_S)
    padded = np.concatenate((pcm, np.zeros(int(TRAILING_S * WIRE_RATE), np.int16))).astype("<i2")
    for start in range(0, len(padded) - samples, samples):
        yield padded[start : start + samples].tobytes(), start <= loud[-1] < start + samples


def _about(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": f"python -m load_tests.bench.eager_turns {' '.join(sys.argv[1:])}",
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": args.rounds,
    }


if __name__ == "__main__":
    main()
