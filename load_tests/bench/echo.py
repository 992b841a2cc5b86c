"""Own words that come back through a loudspeaker: how often the server takes them for the user's, and how often it misses the user.

    python -m load_tests.bench.echo [--seconds 26] [--quick] [--unsteady] [--out FILE.json]

Answers (Kokoro's, made once and kept) are played in a synthetic room (load_tests/bench/echo_room.py). In the first part nobody speaks:
every interruption is false. In the second a recorded question is spoken over each answer, and an interruption counts from its first
sound to a second after its end; earlier ones are false. Each condition is run with nothing done about echoes, with the agent's own sound
known, and with its words known too. With `--unsteady` both parts are another: the client, the server or the line between them is late,
stops, or loses something, as on a busy machine; `--answers` is how many are played in each condition while nobody speaks. Levels are
against the agent's voice: of the echo as the microphone hears it, and of the user there. A headset's microphone hears no echo. No server
is needed; one core does it in some minutes.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from deployments.engines import create
from deployments.engines.webrtc_echo import WebRtcEcho
from load_tests.about import about
from load_tests.bench.echo_room import Handling, Room, Saying
from load_tests.bench.echo_sound import FRAME, FRAME_S, FULL, STEADY, Echo, Line
from serve_app.audio import Resampler
from serve_app.cache import cache_folder
from serve_app.engines import HEARING_RATE, Speech
from tests.recordings import AUDIO

ANSWERS = (
    "The capital of France is Paris. It lies on the Seine, in the north of the country.",
    "Paris is known for its museums, its food, and the Eiffel Tower, which was built in eighteen eighty-nine.",
    "I'm sorry, I don't have that information. However, I can tell you more about the history of the city if you like.",
    "Sure! The sky is blue because air scatters short wavelengths of light more than long ones.",
    "Once upon a time, there was a young girl named Lily who lived in a small village near the sea.",
    "To reset the router, hold the small button at the back for ten seconds, then wait until the green lamp is on.",
    "Yes. That is correct.",
    "There are three options: the red one, the green one, and the blue one. Which one would you like?",
    "Let me think. Seven times eight is fifty-six, and fifty-six plus four is sixty.",
    "Great question. Photosynthesis is the process by which plants turn sunlight into chemical energy.",
)
VOICES = ("af_heart", "am_michael", "bf_emma", "bm_george")
"""In turn."""
QUESTIONS = ("warm_in_paris.wav", "best_of_times.wav", "what_is_your_name.wav", "colour_of_the_sky.wav")
HANDLINGS = {"off": Handling(False, None), "sound": Handling(False, WebRtcEcho), "sound and words": Handling(True, WebRtcEcho)}
ENOUGH_S = 10.0
"""For what is done about nothing, where interruptions come every second."""
LAGS_S, LEVELS_DB = (0.02, 0.1, 0.4), (-6, -12, -20, -30, -40)
USER_LEVELS_DB = (0, -10)
SPEAKS_AFTER_S = (1.0, 2.5)
"""Into the answer: soon after its beginning, and later."""
PATIENCE_S = 5.0
"""An answer that always interrupts itself is not waited for any longer: the user speaks all the same."""
LATE_S = 1.0
"""From the end of a question on an interruption by it is missed."""
HARDER = {
    "clock drift of 100 ppm": Echo(0.1, -12, drift_ppm=100),
    "overdriven loudspeaker": Echo(0.1, -12, drive=3.0),
    "noise at -45 dBFS": Echo(0.1, -12, noise_dbfs=-45),
    "playback late by up to 0.2 s": Echo(0.1, -12, jitter_s=0.2),
    "lag of 0.8 s": Echo(0.8, -12),
}
LINES = {
    "steady": STEADY,
    "microphone late by up to 0.2 s": Line(up_s=0.2),
    "answers late by up to 0.3 s": Line(down_s=0.3),
    "server stalls for up to 0.8 s": Line(stall_s=0.8),
    "speech made at 0.9 of its pace": Line(pace=0.9),
    "at 0.8, server stalls for up to 0.5 s": Line(pace=0.8, stall_s=0.5),
    "client stalls for up to 0.8 s": Line(client_stall_s=0.8),
    "client loses up to 0.3 s": Line(client_stall_s=0.3, loses=True),
    "some of each": Line(up_s=0.1, down_s=0.2, stall_s=0.5, pace=1.0, client_stall_s=0.3),
}
UNSTEADY_ECHOES = (Echo(0.05, -6), Echo(0.12, -12), Echo(0.3, -20))
UNSTEADY_FOR_USERS = ("steady", "at 0.8, server stalls for up to 0.5 s", "client stalls for up to 0.8 s")
SHIPPED = "sound and words"
LONGEST_ANSWER_S = 20.0


def main() -> None:
    args = _arguments()
    described = about("load_tests.bench.echo")
    began = time.perf_counter()
    result = asyncio.run(_measured(args))
    result["took_s"] = round(time.perf_counter() - began)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(described | result, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=26.0, help="of each condition without a user")
    parser.add_argument("--quick", action="store_true", help="few conditions")
    parser.add_argument("--unsteady", action="store_true", help="instead, with what is late")
    parser.add_argument("--answers", type=int, default=6, help="of each condition of --unsteady")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


async def _measured(args: argparse.Namespace) -> dict[str, Any]:
    bench = Bench(await _sayings(), args.seconds)
    await bench.warm()
    if args.unsteady:
        return await _unsteady(bench, args.answers)
    lags, levels = ((0.1,), (-6, -30)) if args.quick else (LAGS_S, LEVELS_DB)
    _write("\nNobody speaks: false interruptions a minute of answer\n" + ROW.format("", *HANDLINGS))
    alone = [await bench.alone(f"lag {lag * 1000:.0f} ms, echo {level} dB", Echo(lag, level)) for lag in lags for level in levels]
    alone += [await bench.alone(name, echo) for name, echo in HARDER.items()]
    _write(ROW.format("all", *(f"{_rate(alone, name):.1f}" for name in HANDLINGS)))
    _write("\nThe user speaks over answers: interruptions by him, median and longest time after his first sound, false ones\n")
    over = [await bench.spoken_over(level, user) for level in (None, *reversed(levels[:4])) for user in USER_LEVELS_DB]
    cost = await bench.cost()
    _write("\nMicroseconds a frame of 32 ms, voice activity included: " + ", ".join(f"{name} {us}" for name, us in cost.items()) + "\n")
    return {"alone": alone, "spoken_over": over, "us_a_frame": cost}


async def _unsteady(bench: "Bench", answers: int) -> dict[str, Any]:
    _write(f"\nNobody speaks, and not all is on time: answers of {answers} that were interrupted\n")
    _write(UNSTEADY_ROW.format("", *(f"{echo.lag_s * 1000:.0f} ms, {echo.level_db} dB" for echo in UNSTEADY_ECHOES)))
    rows = []
    for name, line in LINES.items():
        cells = [await bench.unsteady(echo, line, answers) for echo in UNSTEADY_ECHOES]
        _write(UNSTEADY_ROW.format(name, *(f"{cell['false']}" for cell in cells)))
        rows.append({"condition": name, "cells": cells})
    answered, false = (sum(cell[what] for row in rows for cell in row["cells"]) for what in ("answers", "false"))
    _write(f"{false} of {answered}\n")
    return {"unsteady": rows, "answers": answered, "false": false, **await _unsteady_users(bench)}


async def _unsteady_users(bench: "Bench") -> dict[str, Any]:
    _write("\nThe user speaks over answers, and not all is on time\n")
    levels = [(echo_db, user_db) for echo_db in (None, -12) for user_db in USER_LEVELS_DB]
    rows = [
        {"line": name, **await bench.spoken_over(echo_db, user_db, SHIPPED, line=LINES[name])}
        for name in UNSTEADY_FOR_USERS
        for echo_db, user_db in levels
    ]
    asked, interrupted = (sum(row[SHIPPED][what] for row in rows) for what in ("asked", "interrupted"))
    _write(f"{interrupted} of {asked}\n")
    return {"spoken_over": rows, "asked": asked, "interrupted": interrupted}


async def _sayings() -> list[Saying]:
    """Made once."""
    file = cache_folder() / "bench" / "echo-answers.npz"
    if not file.exists():
        engine = create("text_to_speech", "kokoro-onnx")
        await engine.warm()
        spoken = [Speech(text, voice) for text, voice in zip(ANSWERS, cycle(VOICES), strict=False)]
        made = {str(n): np.concatenate([s.pcm async for s in engine.speak(speech)]) for n, speech in enumerate(spoken)}
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(file, texts=np.array(ANSWERS), **made)
    kept = np.load(file)
    if tuple(kept["texts"]) != ANSWERS:
        file.unlink()
        return await _sayings()
    return [Saying(text, kept[str(number)]) for number, text in enumerate(ANSWERS)]


class Bench:
    def __init__(self, sayings: list[Saying], seconds: float) -> None:
        self._sayings, self._seconds = sayings, seconds
        self._voice_activity = create("voice_activity", "silero")
        self._recogniser = create("recogniser", "moonshine")
        self._loudness = _loudness(np.concatenate([saying.pcm for saying in sayings]) / FULL)

    async def warm(self) -> None:
        await self._voice_activity.warm()
        await self._recogniser.warm()

    async def alone(self, name: str, echo: Echo) -> dict[str, Any]:
        row: dict[str, Any] = {"condition": name}
        for handling in HANDLINGS:
            room = self._room(echo, handling)
            for _ in range(int((min(ENOUGH_S, self._seconds) if handling == "off" else self._seconds) / FRAME_S)):
                await room.passes(np.zeros(FRAME))
            row[handling] = {"false": len(room.interrupted_at), "answer_s": round(room.client.played_s, 1)}
        _write(ROW.format(name, *(f"{60 * row[one]['false'] / row[one]['answer_s']:.1f}" for one in HANDLINGS)))
        return row

    async def unsteady(self, echo: Echo, line: Line, answers: int) -> dict[str, Any]:
        room = self._room(echo, SHIPPED, line)
        while room.answers <= answers and room.now < room.began_at + answers * LONGEST_ANSWER_S:
            await room.passes(np.zeros(FRAME))
        cell = {"lag_s": echo.lag_s, "level_db": echo.level_db, "answers": min(room.answers, answers)}
        return cell | {"false": len(room.interrupted_at), "answer_s": round(room.client.played_s, 1)}

    async def spoken_over(self, echo_db: float | None, user_db: float, *handlings: str, line: Line = STEADY) -> dict[str, Any]:
        name = f"{'no echo' if echo_db is None else f'echo {echo_db} dB'}, user {user_db} dB"
        row: dict[str, Any] = {"condition": name}
        for handling in handlings or HANDLINGS:
            room = self._room(Echo(0.1, echo_db), handling, line)
            asked = [await _asks(room, self._question(file, user_db), after_s) for after_s in SPEAKS_AFTER_S for file in QUESTIONS]
            late_s = [by_user[0] for by_user in asked if by_user]
            waits = {"median_s": round(median(late_s), 2), "longest_s": round(max(late_s), 2)} if late_s else {}
            false = len(room.interrupted_at) - sum(map(len, asked))
            row[handling] = {"asked": len(asked), "interrupted": len(late_s), **waits, "false": false}
        _write(f"{name:>32} " + " ".join(f"{_of_user(row[one]):>22}" for one in handlings or HANDLINGS) + "\n")
        return row

    async def cost(self) -> dict[str, float]:
        """In a room with an echo and in one without; Silero's own time is in all of them."""
        costs = {}
        for name, echo in {"no echo": Echo(0.1, None), "echo": Echo(0.1, -12)}.items():
            room, spent = self._room(echo, "sound and words"), []
            take = room.hearing._microphone.take
            room.hearing._microphone.take = lambda *given, take=take, spent=spent: _timed(take, spent, *given)  # type: ignore[method-assign]
            for _ in range(300):
                await room.passes(np.zeros(FRAME))
            costs[name] = round(median(spent) * 1e6)
        frame, voice, spent = np.zeros(FRAME, np.int16), self._voice_activity.open(), []
        for _ in range(300):
            _timed(voice.score, spent, frame)
        return {"voice activity alone": round(median(spent) * 1e6), **costs}

    def _room(self, echo: Echo, handling: str, line: Line = STEADY) -> Room:
        return Room(echo, cycle(self._sayings), self._voice_activity, self._recogniser, HANDLINGS[handling], line)

    def _question(self, file: str, level_db: float) -> np.ndarray:
        import soundfile

        pcm, rate = soundfile.read(AUDIO / file, dtype="int16")
        sound = Resampler(rate, HEARING_RATE)
        heard = np.concatenate((sound.push(pcm), sound.flush())) / FULL
        begins, *_, ends = np.flatnonzero(np.abs(heard) > np.abs(heard).max() / 20)
        return heard[begins : ends + 1] * self._loudness / _loudness(heard) * 10 ** (level_db / 20)


async def _asks(room: Room, question: np.ndarray, after_s: float) -> list[float]:
    """Waits for an answer, and speaks over it. Gives how late it interrupted: more than once if the answer went on in a pause."""
    played, by = 0.0, room.now + PATIENCE_S
    while played < after_s and room.now < by:
        played = played + FRAME_S if room.client.plays_on else 0.0
        await room.passes(np.zeros(FRAME))
    begun, before = room.now, len(room.interrupted_at)
    for frame in _frames(np.concatenate((question, np.zeros(int(LATE_S * HEARING_RATE))))):
        await room.passes(frame)
    return [at - begun for at in room.interrupted_at[before:]]


def _frames(sound: np.ndarray) -> Iterator[np.ndarray]:
    for at in range(0, len(sound) - FRAME + 1, FRAME):
        yield sound[at : at + FRAME]


def _loudness(sound: np.ndarray) -> float:
    """Root mean square of what is not silence."""
    return float(np.sqrt(np.mean(np.square(sound[np.abs(sound) > np.abs(sound).max() / 50]))))


def _timed(call: Any, spent: list[float], *given: Any) -> Any:
    began = time.process_time()
    result = call(*given)
    spent.append(time.process_time() - began)
    return result


def _rate(rows: list[dict[str, Any]], handling: str) -> float:
    false, answer_s = (sum(row[handling][what] for row in rows) for what in ("false", "answer_s"))
    return 60 * false / answer_s


UNSTEADY_ROW = "{:>40} {:>16} {:>16} {:>16}\n"
ROW = "{:>32} {:>22} {:>22} {:>22}\n"


def _of_user(cell: dict[str, Any]) -> str:
    waits = f" {cell['median_s']:.2f}/{cell['longest_s']:.2f} s" if "median_s" in cell else ""
    return f"{cell['interrupted']}/{cell['asked']}{waits}, {cell['false']}"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
