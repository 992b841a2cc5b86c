"""How well and how fast text is made speakable, by our code and by libraries, over the table of tests/speech/cases.tsv.

    python -m load_tests.bench.text_normalizers \
        --with nemo=PYTHON --with kitten=PYTHON --with wetext=PYTHON --with hibari=PYTHON --out load_tests/results/text-normalizers-cpu.json

`PYTHON`: the interpreter of an environment that holds the library (nemo_text_processing, kitten-text-processing, wetext, hibari-tts).
Libraries are given the text as it is written; what a language's grammar fails on counts as wrong. Times are of the processor,
without the load; the first call for a text is apart, because some libraries prepare parts of a grammar as they meet them. NeMo compiles its
grammars for minutes: `GRAMMARS=FOLDER` keeps them, and `nemo:en,zh=PYTHON` reads those languages alone.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from load_tests.about import about
from tests.speech.table import Case, cases

WORKER = Path(__file__).with_name("normalizer_worker.py")


def measured(name: str, python: str, table: list[Case]) -> dict[str, object]:
    name, _, languages = name.partition(":")
    asked = json.dumps([[case.language, case.written] for case in table])
    # One thread of numeric libraries, which would otherwise be counted as memory.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, str(WORKER), name, *([languages] if languages else [])],
        input=asked,
        capture_output=True,
        text=True,
        env=environment,
        timeout=1800,
    )
    if done.returncode:
        raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
    # Libraries may print before their answer.
    answer = json.loads(done.stdout[done.stdout.rindex('{"languages"') :])
    rows = list(zip(table, answer["said"], strict=True))
    return {
        "normalizer": name,
        "languages": {
            language: _of_language([(case, said) for case, said in rows if case.language == language], load_s, peak_mib)
            for language, (load_s, peak_mib) in answer["languages"].items()
        },
        "english_kinds": _kinds([(case, said) for case, said in rows if case.language == "en"]),
    }


def _of_language(rows: list[tuple[Case, list]], load_s: float, peak_mib: float) -> dict[str, float]:
    times = [said[2] for _, said in rows]
    return {
        "right": sum(_right(case, said[0]) for case, said in rows),
        "cases": len(rows),
        "load_s": round(load_s, 2),
        "peak_mib": round(peak_mib),
        "p50_ms": round(statistics.median(times), 2),
        "p95_ms": round(_p95(times), 2),
        "first_call_p95_ms": round(_p95([said[1] for _, said in rows]), 2),
    }


def _p95(times: list[float]) -> float:
    return sorted(times)[int(0.95 * (len(times) - 1))]


def _kinds(rows: list[tuple[Case, list]]) -> dict[str, str]:
    right = Counter(case.kind for case, said in rows if _right(case, said[0]))
    return {kind: f"{right[kind]}/{count}" for kind, count in Counter(case.kind for case, _ in rows).items()}


def _right(case: Case, said: str | None) -> bool:
    return said is not None and case.accepts(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME[:LANGUAGES]=PYTHON")
    parser.add_argument("--english-every", type=int, default=1, metavar="N", help="libraries are given each Nth English case only")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    head, table = about("load_tests.bench.text_normalizers"), cases()
    asked = [("ours", sys.executable), *(other.split("=", 1) for other in given.others)]
    english = [case for case in table if case.language == "en"][:: given.english_every]
    sample = [*english, *(case for case in table if case.language != "en")]
    results: list[dict[str, object]] = []
    for name, python in asked:
        result = measured(name, python, table if name == "ours" else sample)
        results.append(result)
        for language, figures in result["languages"].items():  # type: ignore[attr-defined]
            share = 100 * figures["right"] / figures["cases"]
            sys.stdout.write(
                f"{result['normalizer']:8} {language}  {figures['right']:4}/{figures['cases']:<4} {share:5.1f} %   "
                f"p50 {figures['p50_ms']:7.2f} ms"
                f"   p95 {figures['p95_ms']:7.2f} ms   first p95 {figures['first_call_p95_ms']:7.1f} ms   load {figures['load_s']:6.2f} s"
                f"   peak {figures['peak_mib']:4} MiB\n"
            )
        if given.out:
            given.out.write_text(json.dumps({**head, "cases": len(table), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
