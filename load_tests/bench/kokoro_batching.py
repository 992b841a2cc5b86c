"""Kokoro in PyTorch: sentences in one padded batch against the same one after the other.

    python -m load_tests.bench.kokoro_batching [--device cuda] [--dtype float32] [--threads 2] [--rounds 5] [--out FILE.json]

Both are timed in turn within a round, so that whatever else the machine does falls on both. A sentence "is heard" when its batch is done,
or, one after the other, when its own run is; nothing else of the engine (phonemes, window, stream) is timed. Sentences of a batch have
different lengths, as those of different sessions do. The ratio is of the medians: above 1 the batch is faster.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deployments.engines.kokoro_network import KokoroNetwork, Sentence
from deployments.engines.kokoro_speech import RATE, KokoroVoices, pieces_of, sounds_of, style_row
from serve_app import models
from serve_app.engines import Speech

SIZES = (1, 2, 4, 8)
LINE = "{:>9} {:>7} {:>32} {:>32} {:>32} {:>6}\n"
TEXTS = (
    "The capital of France is Paris.",
    "Hello there.",
    "It costs four dollars and fifty cents.",
    "I will look that up for you.",
    "The next train leaves at ten in the morning.",
    "Good morning, how can I help?",
    "Yes, of course.",
    "The sky is blue because of how light scatters.",
)


def main() -> None:
    args = _arguments()
    network, sentences = _ready(args)
    rows: list[dict[str, Any]] = []
    sys.stdout.write(LINE.format("sentences", "audio s", "batch s", "in turn s", "heard, in turn, s", "ratio"))
    for size in SIZES:
        rows.append(_measured(network, sentences[:size], args.rounds))
        _print(rows[-1])
        if args.out:
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(_about(args, network) | {"rows": rows}, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="kokoro-82m-torch")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--patch", default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _ready(args: argparse.Namespace) -> tuple[KokoroNetwork, list[Sentence]]:
    import torch

    torch.set_num_threads(args.threads)
    voices = KokoroVoices(models.ensure("kokoro-voices"))
    network = KokoroNetwork(models.ensure(args.model), args.device, args.dtype, args.patch)
    style = voices.style("af_heart")
    sounds = [sounds_of(piece) for text in TEXTS for piece in pieces_of(Speech(text, "af_heart"), network.known)]
    return network, [Sentence(one, style_row(style, one), 1.0) for one in sounds]


def _measured(network: KokoroNetwork, sentences: list[Sentence], rounds: int) -> dict[str, Any]:
    """Seconds; the first round is not counted."""
    together: list[float] = []
    in_turn: list[float] = []
    alone: list[list[float]] = []
    audio_s = 0.0
    for _ in range(rounds + 1):
        began = time.perf_counter()
        audio_s = sum(len(voiced.samples) for voiced in network.run(sentences)) / RATE
        together.append(time.perf_counter() - began)
        began = time.perf_counter()
        alone.append([])
        for sentence in sentences:
            network.run([sentence])
            alone[-1].append(time.perf_counter() - began)
        in_turn.append(alone[-1][-1])
    heard = [second for done in alone[1:] for second in done]
    return {
        "sentences": len(sentences),
        "audio_s": round(audio_s, 2),
        "batch_s": _percentiles(together[1:]),
        "in_turn_s": _percentiles(in_turn[1:]),
        "heard_in_turn_s": _percentiles(heard),
        "ratio": round(statistics.median(in_turn[1:]) / statistics.median(together[1:]), 2),
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {f"p{share}": round(ordered[min(len(ordered) * share // 100, len(ordered) - 1)], 4) for share in (50, 90, 99)}


def _print(row: dict[str, Any]) -> None:
    cells = [" ".join(f"{name} {value:.2f}" for name, value in row[key].items()) for key in ("batch_s", "in_turn_s", "heard_in_turn_s")]
    sys.stdout.write(LINE.format(row["sentences"], row["audio_s"], *cells, row["ratio"]))
    sys.stdout.flush()


def _about(args: argparse.Namespace, network: KokoroNetwork) -> dict[str, Any]:
    import torch

    card = torch.cuda.get_device_name() if network.device.type == "cuda" else "no GPU"
    load = os.getloadavg()[0]
    return {
        "command": f"python -m load_tests.bench.kokoro_batching {' '.join(sys.argv[1:])}",
        "machine": f"{os.cpu_count()}-core {platform.machine()}, {card}",
        "date": datetime.now(UTC).date().isoformat(),
        "load_average_at_end": round(load, 1),
        "torch": torch.__version__,
        "device": str(network.device),
        "dtype": args.dtype,
        "patch": network.patch,
        "threads": args.threads,
        "rounds": args.rounds,
    }


if __name__ == "__main__":
    main()
