"""Partial transcripts: how soon they come, how often the end contradicts them, and what they cost.

    PYTHONPATH=. .venv/bin/python -m load_tests.bench.partials [--engine moonshine] [--out FILE.json]

Each recording of tests/audio, and all of them joined, is given to the engine piece by piece as a session would; the steps are the engine's
own. Times of deltas are audio time: the wait for the step comes on top, and is given beside them. `contradicted` is the share of the words
that were sent as deltas and that the recording heard at once does not have in that place. Cost is processor time of the whole process.
"""

import argparse
import asyncio
import difflib
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from deployments.engines import create
from load_tests.about import about
from serve_app.audio import NO_PCM, Resampler
from serve_app.engines import HEARING_RATE, Due, Hints, Pcm

AUDIO = Path(__file__).parent.parent.parent / "tests" / "audio"
CHUNK = HEARING_RATE // 25
PAUSE_S = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", default="moonshine")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    known = about("load_tests.bench.partials")
    engine = create("recogniser", arguments.engine)
    asyncio.run(engine.warm())
    clips = {path.stem: _pcm(path) for path in sorted(AUDIO.glob("*.wav"))}
    pause = np.zeros(int(PAUSE_S * HEARING_RATE), np.int16)
    clips["all joined"] = np.concatenate([part for pcm in clips.values() for part in (pcm, pause)])
    rows = [_row(engine, name, pcm) for name, pcm in clips.items()]
    short, joined = rows[:-1], rows[-1:]
    result = {**known, "engine": arguments.engine, "short": _summary(short), "joined": _summary(joined), "rows": rows}
    print(json.dumps({key: result[key] for key in ("short", "joined")}, indent=1))  # noqa: T201
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def _row(engine: Any, name: str, pcm: Pcm) -> dict[str, Any]:
    stream, waiting, at, told, deltas, steps = engine.begin(Hints()), NO_PCM, 0, "", [0.0], []
    broken = 0
    cpu = time.process_time()
    for start in range(0, len(pcm), CHUNK):
        piece = pcm[start : start + CHUNK]
        waiting, at = np.concatenate((waiting, piece)), at + len(piece)
        if len(waiting) < engine.step_samples or not engine.step_samples:
            continue
        (answer,), step_s = _timed(engine, [Due(stream, waiting, False)])
        steps.append(step_s)
        waiting, stable = NO_PCM, answer.text[: answer.stable_chars]
        broken += not stable.startswith(told)
        if len(stable) > len(told):
            told = stable
            deltas.append(at / HEARING_RATE)
    cpu_partials = time.process_time() - cpu
    (final,), final_s = _timed(engine, [Due(stream, waiting, True)])
    (whole,), whole_s = _timed(engine, [Due(engine.begin(Hints()), pcm, True)])
    return {
        "recording": name,
        "audio_s": round(len(pcm) / HEARING_RATE, 2),
        "text": final.text,
        "gaps_s": [round(b - a, 2) for a, b in zip(deltas, [*deltas[1:], len(pcm) / HEARING_RATE], strict=True)],
        "told_words": len(_words(told)),
        "contradicted": _differing(told, whole.text),
        "final_differs": _differing(final.text, whole.text),
        "broken_promises": broken + (not final.text.startswith(told)),
        "partials_cpu_s": round(cpu_partials, 3),
        "longest_step_s": round(max(steps, default=0.0), 3),
        "final_s": round(final_s, 3),
        "at_once_s": round(whole_s, 3),
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    gaps = [gap for row in rows for gap in row["gaps_s"]]
    told, audio_s = sum(row["told_words"] for row in rows), sum(row["audio_s"] for row in rows)
    return {
        "audio_s": round(audio_s, 1),
        "gap_p50_s": round(float(np.percentile(gaps, 50)), 2),
        "gap_p95_s": round(float(np.percentile(gaps, 95)), 2),
        "told_words_before_the_end": told,
        "contradicted_share": round(sum(row["contradicted"] for row in rows) / max(1, told), 4),
        "broken_promises": sum(row["broken_promises"] for row in rows),
        "partials_cpu_s_a_second": round(sum(row["partials_cpu_s"] for row in rows) / audio_s, 3),
        "longest_step_s": max(row["longest_step_s"] for row in rows),
        "final_p50_s": round(float(np.median([row["final_s"] for row in rows])), 3),
        "at_once_p50_s": round(float(np.median([row["at_once_s"] for row in rows])), 3),
    }


def _timed(engine: Any, due: list[Due]) -> tuple[Any, float]:
    began = time.monotonic()
    return engine.step(due), time.monotonic() - began


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _differing(told: str, whole: str) -> int:
    """Words of `told` that have no counterpart in their place."""
    a, b = _words(told), _words(whole)
    return len(a) - sum(block.size for block in difflib.SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks())


def _pcm(path: Path) -> Pcm:
    samples, rate = soundfile.read(path, dtype="int16")
    resampler = Resampler(rate, HEARING_RATE)
    return np.concatenate((resampler.push(samples), resampler.flush()))


if __name__ == "__main__":
    main()
