"""What it saves that the language model reads the conversation while the user speaks: the first token after it, and without.

    python -m load_tests.bench.warm_cache [--rounds 10] [--turns 4 12 24] [--out FILE.json]

vLLM in this process (the model of profile cpu), one request at a time. Each history is new to the cache: as after a session was taken up
again, an answer was cut, instructions were changed, or others pushed it out. cold: the question is asked of a history that was not read.
warm: the history was read before (`max_tokens=1`, as serve_app/warming.py asks), which took `read_s`, then the question is asked.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deployments.engines import create
from load_tests.about import about
from serve_app.engines import ChatMessage, LanguageModel, Prompt, ReplyEnd

SYSTEM = "You are a voice assistant. Answer in one short sentence."
ASKED = "And what was it again that I told you about the {} at the very beginning of our talk today?"
TOLD = "You told me that the {} was bought in the year before last, and that it has been standing in your garden ever since."
QUESTION = "What should I do now?"


def main() -> None:
    args = _arguments()
    asyncio.run(_measured(args, about("load_tests.bench.warm_cache") | {"rounds": args.rounds}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--turns", type=int, nargs="+", default=[4, 12, 24])
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


async def _measured(args: argparse.Namespace, described: Mapping[str, Any]) -> None:
    model, rows = create("language_model", "vllm"), []
    await model.warm()
    try:
        for turns in args.turns:
            rows.append(await _row(model, turns, args.rounds))
            _tells(rows[-1])
            if args.out:
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(json.dumps({**described, "rows": rows}, indent=2) + "\n")
    finally:
        await model.close()


def _tells(row: Mapping[str, Any]) -> None:
    cells = "  ".join(f"{what} {row[what]['p50']:.3f} (p90 {row[what]['p90']:.3f})" for what in ("cold_s", "warm_s", "read_s"))
    sys.stdout.write(f"{row['turns']:>3} turns, {row['prompt_tokens']:>5} tokens  {cells}  ratio {row['ratio']:.2f}\n")
    sys.stdout.flush()


async def _row(model: LanguageModel, turns: int, rounds: int) -> dict[str, Any]:
    """Cold and warm take turns, so that whatever else the machine does falls on both; the first round is not counted."""
    cold, warm, read, tokens = [], [], [], 0
    for number in range(rounds + 1):
        cold_s, _ = await _first_token(model, _history(turns, f"{turns}th car of {number} cold"), QUESTION)
        history = _history(turns, f"{turns}th car of {number} warm")
        read_s, _ = await _first_token(model, history, "Hello.", max_tokens=1)
        warm_s, end = await _first_token(model, history, QUESTION)
        tokens = end.prompt_tokens
        if number:
            cold.append(cold_s)
            warm.append(warm_s)
            read.append(read_s)
    ratio = round(statistics.median(warm) / statistics.median(cold), 2)
    waits = {"cold_s": _percentiles(cold), "warm_s": _percentiles(warm), "read_s": _percentiles(read)}
    return {"turns": turns, "prompt_tokens": tokens, **waits, "ratio": ratio}


def _history(turns: int, name: str) -> Prompt:
    """No beginning of it is like that of another."""
    said = [ChatMessage("system", f"{SYSTEM} The user talks about the {name}.")]
    for _ in range(turns):
        said += [ChatMessage("user", ASKED.format(name)), ChatMessage("assistant", TOLD.format(name))]
    return Prompt(tuple(said), max_tokens=4, temperature=0.0)


async def _first_token(model: LanguageModel, history: Prompt, said: str, max_tokens: int = 4) -> tuple[float, ReplyEnd]:
    prompt = replace(history, messages=(*history.messages, ChatMessage("user", said)), max_tokens=max_tokens)
    asked_at = time.perf_counter()
    first_at, end = None, None
    async for piece in model.reply(prompt):
        first_at = first_at or time.perf_counter()
        end = piece if isinstance(piece, ReplyEnd) else end
    assert first_at is not None and end is not None
    return first_at - asked_at, end


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)]
    return {"p50": round(statistics.median(ordered), 4), "p90": round(high, 4)}


if __name__ == "__main__":
    main()
