"""Voice to voice on the real CPU engines beside a voice agent made with pipecat: the same models, the same questions, in turn.

    scripts/setup-pipecat
    python -m load_tests.bench.beside_pipecat [--rounds 5] [--turn-taking semantic 500] [--out load_tests/results/beside-pipecat-NAME.json]

Starts a server with profile `cpu` and the agent of pipecat_bot.py, and speaks the questions of the load test to them, one at a time: to the
server with eager turns, to pipecat, to the server with patient turns, in an order that changes from round to round. Each turn is a session
of its own. Measured is what the speaker waits: from the last sample of speech to the first sample of the answer that is louder than
silence. docs/performance.md says what is equal on both sides and what is not.

Turn-taking: `semantic`: 0.2 s of pause, then Smart Turn decides; a number: so many ms of silence.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load_tests.about import about
from load_tests.bench import language_paths
from load_tests.bench.spoken_turn import Side, Turn, spoken_turn
from load_tests.questions import WIRE_RATE, Question, misheard, questions
from load_tests.say import say
from serve_app.engines import HEARING_RATE
from serve_app.settings import LanguageModelSettings
from tests.real_server import ROOT, free_port, running

PIPECAT = ROOT / ".pipecat" / "bin" / "python"
MODEL, VOICE, MAX_TOKENS = "smollm2-135m-instruct", "af_heart", 40
INSTRUCTIONS = LanguageModelSettings.model_fields["instructions"].default
SETTINGS = ("llm.temperature=0",)
BESIDE = "pipecat"
BETWEEN_S = 1.0
"""Between two turns, so that what one side still does does not fall on the other."""
START_S = 120.0


def main() -> None:
    args = _arguments()
    described = about("load_tests.bench.beside_pipecat") | {
        "what": "from the last sample of speech to the first audible sample of the answer, in seconds; profile cpu and pipecat-ai",
        "goal": "ratio of medians at most 0.5",
        "settings": [*SETTINGS, *args.settings],
        "rounds": args.rounds,
    }
    with tempfile.TemporaryDirectory() as folder, _server(args, Path(folder)) as url, _beside(args, url, Path(folder)) as beside:
        result = asyncio.run(_measured(args, url, beside))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(described | result, indent=2) + "\n")


async def _measured(args: argparse.Namespace, url: str, beside: str) -> dict[str, Any]:
    realtime = _realtime(url)
    paths = await language_paths.compared(f"{url}/v1", realtime, MODEL, INSTRUCTIONS, 10, MAX_TOKENS)
    say("The language model, ms to the first text and to the end of an answer: " + json.dumps(paths))
    say(HEAD)
    rows = []
    for turn_taking in args.turn_taking:
        sides = _sides(realtime, _realtime(beside), turn_taking)
        turns = await _turns(sides, args.rounds, questions()[: args.questions])
        rows += _rows(turn_taking, turns)
    return {"language_model_ms": paths, "rows": rows}


def _sides(realtime: str, beside: str, turn_taking: str) -> list[Side]:
    silence_ms = None if turn_taking == "semantic" else int(turn_taking)
    detection = {"type": "semantic_vad"} if silence_ms is None else {"type": "server_vad", "silence_duration_ms": silence_ms}
    hears = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
    session = {"type": "realtime", "instructions": INSTRUCTIONS, "max_output_tokens": MAX_TOKENS, "audio": {"input": hears}}
    query = "" if silence_ms is None else f"?silence_s={silence_ms / 1000}"
    eager, patient = (Side(kind, f"{realtime}?sparkvox=timings,{kind}", WIRE_RATE, session) for kind in ("eager", "patient"))
    return [eager, Side(BESIDE, beside + query, HEARING_RATE), patient]


async def _turns(sides: Sequence[Side], rounds: int, asked: Sequence[Question]) -> dict[str, list[tuple[Question, Turn]]]:
    """Before the first round each side has a turn that is not counted."""
    turns: dict[str, list[tuple[Question, Turn]]] = {side.name: [] for side in sides}
    for side in sides:
        await spoken_turn(side, asked[0])
    for number, question in enumerate(question for _ in range(rounds) for question in asked):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            await asyncio.sleep(BETWEEN_S)
            turns[side.name].append((question, await spoken_turn(side, question)))
    return turns


# --- what is computed -------------------------------------------------------------------------------------------------------------------

HEAD = "turn-taking  side     turns missed  wait p50   p90  least  of pipecat's  first audio p50  drafted  misheard"
LINE = (
    "{turn_taking:>11}  {side:8} {turns:5} {missed:6} {wait[p50]:9.2f} {wait[p90]:5.2f} {wait[least]:6.2f} {ratio:13.2f}"
    " {first_audio[p50]:16.2f} {drafted:8} {misheard:9.2f}"
)


def _rows(turn_taking: str, turns: dict[str, list[tuple[Question, Turn]]]) -> list[dict[str, Any]]:
    rows = [{"turn_taking": turn_taking, "side": side} | _row(of) for side, of in turns.items()]
    beside = next(row["wait"]["p50"] for row in rows if row["side"] == BESIDE)
    for row in rows:
        row["ratio"] = round(row["wait"]["p50"] / beside, 3)
        say(LINE.format(**row))
    return rows


def _row(turns: list[tuple[Question, Turn]]) -> dict[str, Any]:
    good = [(question, turn) for question, turn in turns if turn.problem is None]
    if not good:
        sys.exit("no turn was answered: " + ", ".join(sorted({turn.problem or "" for _, turn in turns})))
    return {
        "turns": len(good),
        "missed": len(turns) - len(good),
        "wait": _spread([turn.wait_s for _, turn in good if turn.wait_s is not None]),
        "first_audio": _spread([turn.first_audio_s for _, turn in good if turn.first_audio_s is not None]),
        "drafted": sum(bool(turn.timings and turn.timings["drafted"]) for _, turn in good),
        "misheard": round(statistics.mean(misheard(question.words, turn.heard) for question, turn in good), 3),
        "each": [
            {"asked": question.words, "heard": turn.heard, "said": turn.said, "wait": turn.wait_s, "problem": turn.problem}
            for question, turn in turns
        ],
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    found = {"p50": statistics.median(ordered), "p90": ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)], "least": ordered[0]}
    return {name: round(value, 3) for name, value in found.items()}


# --- both sides -------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _server(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    if args.url:
        yield args.url
        return
    with running(folder / "server.log", "cpu", *SETTINGS, *args.settings) as url:
        yield url


@contextmanager
def _beside(args: argparse.Namespace, url: str, folder: Path) -> Iterator[str]:
    """Its language model is the server's, so that there is one."""
    port = free_port()
    given = {"llm-url": args.llm_url or f"{url}/v1", "model": MODEL, "instructions": INSTRUCTIONS, "max-tokens": MAX_TOKENS, "voice": VOICE}
    options = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    command = [str(PIPECAT), "-m", "load_tests.bench.pipecat_bot", "--port", str(port), *options]
    log = args.log or folder / "pipecat.log"
    with log.open("w") as out:
        # By default it logs each step, which takes time.
        environment = {"LOGURU_LEVEL": "WARNING"} | os.environ
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the agent of pipecat does not run:\n{log.read_text()[-3000:]}")


def _realtime(url: str) -> str:
    return url.replace("http", "ws", 1) + "/v1/realtime"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5, help="of all questions")
    parser.add_argument("--questions", type=int, default=5, help="how many of them")
    parser.add_argument("--turn-taking", nargs="+", default=["semantic", "500"])
    parser.add_argument("--settings", nargs="*", default=[], help="more settings of the server, name=value")
    parser.add_argument("--url", help="a server that runs already, as this one would start it: http://...")
    parser.add_argument("--llm-url", help="another server of the same model for pipecat: http://.../v1")
    parser.add_argument("--log", type=Path, help="where pipecat writes what it does")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if not PIPECAT.exists():
        parser.error("there is no .pipecat: scripts/setup-pipecat makes it")
    return args


if __name__ == "__main__":
    main()
