"""How often the small model of profile `cpu` repeats itself with each way of sampling, and whether its short answers stay right.

    python -m load_tests.bench.repetition [--ways NAME ...] [--seeds N] [--tokens N] [--out FILE.json] [--texts FILE.json]

vLLM in this process, eight replies at once. Each way is asked for OPEN prompts, which want long answers, and FACTS, whose answer holds a
known word. A way that draws (temperature above 0) is asked with each seed, one that does not is asked once: it would say the same.
`loops`: the share of the open answers that deployments/engines/loops.py would end; `cut_off`: the share that reached `--tokens`;
`facts_right`: the share of the facts whose answer holds its word.
"""

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.engines import create
from deployments.engines.loops import LoopFilter
from load_tests.about import about
from serve_app.engines import ChatMessage, Constraints, Prompt, ReplyEnd, TextDelta

AT_ONCE = 8
PLAIN = {"frequency_penalty": 0.0}
"""Without what the engine would choose itself."""
SYSTEM = "You are a voice assistant. Answer in one short sentence."
OPEN = (
    "Tell me a story.",
    "Tell me a long story about a sailor.",
    "Tell me a bedtime story about a rabbit.",
    "Tell me a scary story about an old house.",
    "Tell me about the history of Rome.",
    "Explain how a car engine works, in detail.",
    "Describe your perfect day from morning to evening.",
    "Write a poem about the sea.",
    "Sing me a song about summer.",
    "What should I see in London?",
    "How do I bake bread? Give me all the steps.",
    "Tell me everything that you know about dogs.",
    "Why is the sky blue? Explain it slowly.",
    "Talk to me about music.",
    "What is the meaning of life?",
    "Give me ten tips for learning a language.",
    "List twenty animals.",
    "Count from one to fifty.",
    "Tell me a joke, then another one, then another one.",
    "How does the internet work?",
    "Describe the planets of the solar system.",
    "What happened in the Second World War?",
    "Tell me a fairy tale with a dragon and a princess.",
    "Keep talking to me until I fall asleep.",
)
FACTS = (
    ("What is the capital of France?", "paris"),
    ("What is the capital of Italy?", "rome"),
    ("What is the capital of Japan?", "tokyo"),
    ("What is the capital of England?", "london"),
    ("How many days are in a week?", "seven|7"),
    ("How many months are in a year?", "twelve|12"),
    ("What color is the sky on a clear day?", "blue"),
    ("What color is grass?", "green"),
    ("What is the largest planet in the solar system?", "jupiter"),
    ("What do bees make?", "honey"),
    ("What is frozen water called?", "ice"),
    ("Who wrote Romeo and Juliet?", "shakespeare"),
    ("What is the opposite of hot?", "cold"),
    ("Which animal says meow?", "cat"),
    ("What is two plus two?", "four|4"),
    ("Which ocean is the largest?", "pacific"),
)
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "greedy, repetition 1.05": {"repetition_penalty": 1.05},
    "greedy, repetition 1.1": {"repetition_penalty": 1.1},
    "greedy, repetition 1.15": {"repetition_penalty": 1.15},
    "greedy, frequency 0.2": {"frequency_penalty": 0.2},
    "greedy, frequency 0.3": {"frequency_penalty": 0.3},
    "greedy, frequency 0.5": {"frequency_penalty": 0.5},
    "greedy, frequency 0.2, repetition 1.05": {"frequency_penalty": 0.2, "repetition_penalty": 1.05},
    "temperature 0.2, top_p 0.9": {"temperature": 0.2, "top_p": 0.9},
    "temperature 0.2, top_p 0.9, repetition 1.1": {"temperature": 0.2, "top_p": 0.9, "repetition_penalty": 1.1},
    "temperature 0.7, min_p 0.1": {"temperature": 0.7, "min_p": 0.1},
    "temperature 0.7, min_p 0.1, repetition 1.1": {"temperature": 0.7, "min_p": 0.1, "repetition_penalty": 1.1},
}


def main() -> None:
    args = _arguments()
    asyncio.run(_measured(args, about("load_tests.bench.repetition")))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=300)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--texts", type=Path, help="all answers, to read")
    return parser.parse_args()


async def _measured(args: argparse.Namespace, described: Mapping[str, Any]) -> None:
    model, rows, texts = create("language_model", "vllm"), [], {}
    await model.warm()
    try:
        for way in args.ways:
            began = time.monotonic()
            texts[way] = await _asked(model, WAYS[way], args)
            rows.append(_row(way, texts[way], time.monotonic() - began))
            sys.stdout.write(f"{json.dumps(rows[-1])}\n")
            sys.stdout.flush()
            if args.out:
                args.out.parent.mkdir(parents=True, exist_ok=True)
                args.out.write_text(json.dumps({**described, "open": len(OPEN), "facts": len(FACTS), "rows": rows}, indent=2) + "\n")
            if args.texts:
                args.texts.write_text(json.dumps(texts, indent=1))
    finally:
        await model.close()


async def _asked(model: Any, way: Mapping[str, Any], args: argparse.Namespace) -> list[dict[str, Any]]:
    sampling = dict(way)
    model.temperature = sampling.pop("temperature", 0.0)
    model.sampling = {**PLAIN, **sampling}
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(question: str, seed: int) -> dict[str, Any]:
        messages = (ChatMessage("system", SYSTEM), ChatMessage("user", question))
        prompt = Prompt(messages, max_tokens=args.tokens, constraints=Constraints(seed=seed), ends_loops=False)
        async with gate:
            pieces = [piece async for piece in model.reply(prompt)]
        text = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
        end = next(piece for piece in pieces if isinstance(piece, ReplyEnd))
        return {"question": question, "seed": seed, "text": text, "finish": end.finish, "tokens": end.reply_tokens}

    questions = (*OPEN, *(question for question, _ in FACTS))
    return await asyncio.gather(*(one(q, seed) for seed in range(args.seeds if model.temperature else 1) for q in questions))


def _row(way: str, answers: Sequence[Mapping[str, Any]], took_s: float) -> dict[str, Any]:
    known = dict(FACTS)
    wide = [answer for answer in answers if answer["question"] in OPEN]
    facts = [answer for answer in answers if answer["question"] in known]
    right = [answer for answer in facts if re.search(rf"\b(?:{known[answer['question']]})\b", answer["text"], re.IGNORECASE)]
    loops = [answer for answer in wide if _loops(answer)]
    return {
        "way": way,
        "open": len(wide),
        "loops": round(len(loops) / len(wide), 3),
        "cut_off": round(sum(answer["finish"] == "length" for answer in wide) / len(wide), 3),
        "tokens_p50": statistics.median(answer["tokens"] for answer in wide),
        "facts": len(facts),
        "facts_right": round(len(right) / len(facts), 3),
        "capital_of_france": all(answer in right for answer in facts if answer["question"] == FACTS[0][0]),
        "tokens_a_second": round(sum(answer["tokens"] for answer in answers) / took_s, 1),
    }


def _loops(answer: Mapping[str, Any]) -> bool:
    loops = LoopFilter(answer["question"])
    loops.feed(answer["text"])
    return loops.looped


if __name__ == "__main__":
    main()
