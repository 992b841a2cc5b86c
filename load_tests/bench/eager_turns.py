"""Eager turns against patient ones, on one running server, in turn; and how much of the work on an answer the endpoint wait hides.

    sparkvox serve profile=cpu
    python -m load_tests.bench.eager_turns [--url URL] [--rounds 5] [--silence-ms 500 1000 2000] [--out FILE.json]

A question is spoken at the pace of speech, in frames of 20 ms. Measured is what the speaker waits: from the last sample of speech to the
first sample of the answer, and to its first text. Eager and patient sessions (`?sparkvox=patient`) take turns within a round, so that
whatever else the machine does falls on both. The ratio is of the medians: below 1 eager turns are faster.

hidden: of the time from the question to the model until the first sound of the answer was made, the share that had passed when the turn
was decided to be over, as the server itself tells it (`sparkvox.timings`). The wait is a fixed silence (server_vad), of each of the
lengths: long enough is one that holds what comes before the question to the model in the pause (0.2 s of silence, and the guess at the
text) and the work, as long as it takes in patient turns. Medians come with the two turns between which the true one lies, and how sure
that is (order statistics). The first round is not counted.
"""

import argparse
import asyncio
import base64
import json
import math
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect

from load_tests.about import about

QUESTION = Path(__file__).parents[2] / "tests" / "audio" / "capital_of_france.wav"
WIRE_RATE, FRAME_S = 24_000, 0.02
TRAILING_S = 30.0
"""Silence after the question: the microphone stays open until the answer comes."""
PATIENCE_S = 120.0
"""Only against hanging."""
MARKS = {"response.output_audio_transcript.delta": "text_s", "response.output_audio.delta": "audio_s"}
KINDS = ("eager", "patient")
SURE = 0.9


@dataclass(frozen=True)
class Turn:
    waits: Mapping[str, float]
    """Seconds from the last sample of speech, by the names of `MARKS`."""
    timings: Mapping[str, Any]
    """As the server tells them."""


def main() -> None:
    args = _arguments()
    described = about("load_tests.bench.eager_turns") | {"rounds": args.rounds, "goal": "0.8 hidden where the pause is long enough"}
    rows = []
    for silence_ms in args.silence_ms:
        rows += _rows(silence_ms, asyncio.run(_measured(args, silence_ms)))
        sys.stdout.writelines(_line(row) for row in rows[-len(KINDS) :])
        sys.stdout.flush()
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(described | {"rows": rows}, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1/realtime")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--silence-ms", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


# --- what is computed -------------------------------------------------------------------------------------------------------------------


def hidden(timings: Mapping[str, Any]) -> float:
    """The share of the work on an answer, from the question to the model to its first sound, that was done when the turn was over."""
    asked_ms, made_ms = _work(timings)
    over_ms = _stages(timings)["endpointing"][1]
    return min(1.0, max(0.0, (over_ms - asked_ms) / (made_ms - asked_ms))) if made_ms > asked_ms else 1.0


def sureness(count: int) -> tuple[int, float]:
    """How many of so many turns to leave away at either end, so that the true median lies within the rest with 0.9 at least, if there are
    enough of them; and how sure that is."""
    at_most = [sum(math.comb(count, number) for number in range(left + 1)) / 2**count for left in range((count + 1) // 2)]
    left = max((number for number, chance in enumerate(at_most) if 1 - 2 * chance >= SURE), default=0)
    return left, 1 - 2 * at_most[left]


def _rows(silence_ms: int, turns: Mapping[str, list[Turn]]) -> list[dict[str, Any]]:
    rows = [{"silence_ms": silence_ms, "kind": kind} | _row(of) for kind, of in turns.items()]
    eager, patient = rows
    for row in rows:
        row["pause_is_long_enough"] = silence_ms >= eager["asked_ms"]["p50"] + patient["work_ms"]["p50"]
        row["ratio"] = {what: round(row[what]["p50"] / patient[what]["p50"], 2) for what in MARKS.values()}
    return rows


def _row(turns: list[Turn]) -> dict[str, Any]:
    drafted = [turn.timings["saved_ms"] for turn in turns if turn.timings["drafted"]]
    works = [_work(turn.timings) for turn in turns]
    stages = [{name: end - start for name, (start, end) in _stages(turn.timings).items()} for turn in turns]
    return {
        "turns": len(turns),
        "drafted": len(drafted),
        **{what: _middle([turn.waits[what] for turn in turns], 3) for what in MARKS.values()},
        "hidden": _middle([hidden(turn.timings) for turn in turns], 2),
        "asked_ms": _middle([asked for asked, _ in works], 0),
        "work_ms": _middle([made - asked for asked, made in works], 0),
        "saved_ms": _middle(drafted, 0) if drafted else None,
        "sure": round(sureness(len(turns))[1], 2),
        "stages_ms": {name: round(statistics.median(of[name] for of in stages if name in of)) for name in stages[0]},
    }


def _stages(timings: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    return {name: (start, end) for name, start, end in timings["stages"]}


def _work(timings: Mapping[str, Any]) -> tuple[float, float]:
    """When it began and ended, after the last speech."""
    stages = _stages(timings)
    return stages["first_token"][0], stages["synthesis"][1]


def _middle(values: list[float], digits: int) -> dict[str, float]:
    ordered = sorted(values)
    left, _ = sureness(len(ordered))
    named = {"p50": statistics.median(ordered), "from": ordered[left], "to": ordered[-1 - left], "least": ordered[0], "most": ordered[-1]}
    return {name: round(value, digits) for name, value in named.items()}


def _line(row: Mapping[str, Any]) -> str:
    waits = [f"{what} {row[what]['p50']:.2f} ({row[what]['from']:.2f} to {row[what]['to']:.2f})" for what in MARKS.values()]
    ratio = f"ratio {row['ratio']['audio_s']:.2f}"
    hides = f"hidden {row['hidden']['p50']:.2f} ({row['hidden']['from']:.2f} to {row['hidden']['to']:.2f}, {row['sure']:.0%} sure)"
    enough = "long enough" if row["pause_is_long_enough"] else "too short"
    drafted = f"drafted {row['drafted']} of {row['turns']}"
    return f"{row['silence_ms']:>5} ms {enough:>11} {row['kind']:>8}  {drafted}  {'  '.join(waits)}  {ratio}  {hides}\n"


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


if __name__ == "__main__":
    main()
