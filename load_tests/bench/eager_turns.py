"""Eager turns against patient ones, on one running server, in turn.

    sparkvox serve profile=cpu
    python -m load_tests.bench.eager_turns [--url ws://127.0.0.1:8000/v1/realtime] [--rounds 5] [--silence-ms 500] [--out FILE.json]

A question is spoken at the pace of speech, in frames of 20 ms. Measured is what the speaker waits: from the last sample of speech to the
first sample of the answer, and to its first text. Eager and patient sessions (`?sparkvox=patient`) take turns within a round, so that
whatever else the machine does falls on both. The ratio is of the medians: below 1 eager turns are faster.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect

QUESTION = Path(__file__).parents[2] / "tests" / "audio" / "capital_of_france.wav"
WIRE_RATE, FRAME_S = 24_000, 0.02
TRAILING_S = 20.0
"""Silence after the question: the microphone stays open until the answer comes."""
PATIENCE_S = 120.0
"""Only against hanging."""
MARKS = {"response.output_audio_transcript.delta": "text_s", "response.output_audio.delta": "audio_s"}


def main() -> None:
    args = _arguments()
    waits = asyncio.run(_measured(args))
    table = {name: {what: _percentiles(values) for what, values in of.items()} for name, of in waits.items()}
    ratios = {what: round(table["eager"][what]["p50"] / table["patient"][what]["p50"], 2) for what in MARKS.values()}
    _print(table, ratios)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(_about(args) | {"waits": table, "ratios": ratios}, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1/realtime")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--silence-ms", type=int, default=500)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


async def _measured(args: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Seconds; the first round is not counted."""
    waits: dict[str, dict[str, list[float]]] = {name: {what: [] for what in MARKS.values()} for name in ("eager", "patient")}
    for number in range(args.rounds + 1):
        for name, of in waits.items():
            async with connect(f"{args.url}?sparkvox={name}", max_size=None, proxy=None) as socket:
                waited = await asyncio.wait_for(_one_turn(socket, args.silence_ms), PATIENCE_S)
            for what, seconds in waited.items() if number else ():
                of[what].append(seconds)
    return waits


async def _one_turn(socket: ClientConnection, silence_ms: int) -> dict[str, float]:
    detection = {"type": "server_vad", "silence_duration_ms": silence_ms}
    session = {"type": "realtime", "max_output_tokens": 40, "audio": {"input": {"turn_detection": detection}}}
    await socket.send(json.dumps({"type": "session.update", "session": session}))
    speech = asyncio.create_task(_speak(socket))
    heard: dict[str, float] = {}
    async for message in socket:
        event = json.loads(message)
        if event["type"] in MARKS:
            heard.setdefault(MARKS[event["type"]], time.perf_counter())
        if len(heard) == len(MARKS):
            break
    speech.cancel()
    (said,) = await asyncio.gather(speech, return_exceptions=True)
    assert isinstance(said, _Spoken), said
    return {what: at - said.over_at for what, at in heard.items()}


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


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)]
    return {"p50": round(statistics.median(ordered), 3), "p90": round(high, 3), "least": round(ordered[0], 3)}


def _print(table: dict[str, Any], ratios: dict[str, float]) -> None:
    for name, of in table.items():
        cells = [f"{what}: " + " ".join(f"{key} {value:.2f}" for key, value in row.items()) for what, row in of.items()]
        sys.stdout.write(f"{name:>8}  {'   '.join(cells)}\n")
    sys.stdout.write(f"   ratio  {'   '.join(f'{what}: {ratio}' for what, ratio in ratios.items())}\n")


def _about(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": f"python -m load_tests.bench.eager_turns {' '.join(sys.argv[1:])}",
        "machine": f"{os.cpu_count()}-core {platform.machine()}, no GPU",
        "date": datetime.now(UTC).date().isoformat(),
        "load_average_at_end": round(os.getloadavg()[0], 1),
        "rounds": args.rounds,
        "silence_ms": args.silence_ms,
    }


if __name__ == "__main__":
    main()
