"""Sends a session whatever a client might, and tells what breaks: `python -m tests.fuzz --messages 1000000 --seed 12 --out FILE`.

A round is some sessions that are fuzzed and one beside them; it follows from the seed and its number alone. A round that fails is played
again with `--seed N --first ROUND --messages 1`.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from load_tests.about import about
from tests.fuzz.sessions import Found, play
from tests.fuzz.sockets import play_over_a_socket

REPORTS_S = 60.0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000, help="at least so many are sent")
    parser.add_argument("--seed", type=int, default=None, help="drawn from the clock where it is not given")
    parser.add_argument("--first", type=int, default=0, metavar="ROUND", help="the round to begin with")
    parser.add_argument("--socket", action="store_true", help="over websockets, in real time; all in one go")
    parser.add_argument("--keep-going", action="store_true", help="play all rounds, and tell of all that fail")
    parser.add_argument("--out", type=Path, help="a file for the result")
    asked = parser.parse_args(arguments)
    seed = int(time.time()) % 1_000_000 if asked.seed is None else asked.seed
    tell(f"seed {seed}")
    head = {**about("tests.fuzz"), "seed": seed, "asked": asked.messages}
    found, failures, number, began, told = Found(), list[str](), asked.first, time.perf_counter(), time.perf_counter()

    def written() -> dict[str, Any]:
        """The result so far; in the file too, so that a run that is broken off leaves what it has found."""
        result = head | result_of(found, failures, number - asked.first, time.perf_counter() - began)
        if asked.out is not None:
            asked.out.write_text(json.dumps(result, indent=2) + "\n")
        return result

    while found.messages < asked.messages and (not failures or asked.keep_going):
        try:
            if asked.socket:
                play_over_a_socket(seed + number, asked.messages, found)
            else:
                play(seed, number, found)
        except Exception as failed:  # whatever is wrong, the seed and the round are told
            failures.append(f"round {number}: {type(failed).__name__}: {failed}")
            tell(f"FAILED {failures[-1]}")
        number += 1
        if time.perf_counter() - told > REPORTS_S:
            told = time.perf_counter()
            tell(f"{written()['messages']} messages, {number - asked.first} rounds, {len(failures)} failures")
    result = written()
    counts = f"{found.messages} messages in {found.sessions} sessions, {found.events.total()} events, {len(failures)} failures"
    tell(f"{counts}, digest {result['digest']}")
    return 1 if failures else 0


def result_of(found: Found, failures: list[str], rounds: int, took_s: float) -> dict[str, Any]:
    return {
        "messages": found.messages,
        "sessions": found.sessions,
        "turns_beside": found.turns_beside,
        "rounds": rounds,
        "events": found.events.total(),
        "failures": failures,
        "virtual_hours": round(found.virtual_s / 3600, 2),
        "took_s": round(took_s, 1),
        "cpu_s": round(time.process_time(), 1),
        "most_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "digest": found.digest.hexdigest(),
        "event_types": dict(found.events.most_common()),
        "kinds": dict(found.kinds.most_common()),
        "error_codes": dict(found.codes.most_common()),
        "endings": dict(found.endings.most_common()),
    }


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
