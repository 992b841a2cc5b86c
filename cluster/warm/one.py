"""One engine, loaded and made to produce output once: `python -m cluster.warm.one SECTION SPEECH < settings.json` → one line of JSON.

SPEECH is a file of samples at 16 kHz: text-to-speech writes what it said, speech-to-text hears it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np

from deployments import proof
from deployments.engines import create
from serve_app.audio import Resampler, duration_s
from serve_app.engines import HEARING_RATE, Hints, Pcm
from serve_app.errors import EngineFailed, SparkvoxError
from serve_app.settings import Settings

FRAME_S = 0.5

Warming = tuple[tuple[Any, ...], Callable[[], Awaitable[str]]]
"""What is to be closed in the end, of which the first is warmed; and what makes it produce output and tells of it."""


async def voice_activity(settings: Settings, _: Path) -> Warming:
    engine = create("voice_activity", settings.vad.engine, **settings.vad.options)

    async def output() -> str:
        score = engine.open().score(np.zeros(engine.frame_samples, np.int16))
        return _probability(score)

    return (engine,), output


async def turn_detector(settings: Settings, _: Path) -> Warming:
    engine = create("turn_detector", settings.turn.engine, **settings.turn.options)

    async def output() -> str:
        return _probability(await engine.score(np.zeros(int(FRAME_S * HEARING_RATE), np.int16)))

    return (engine,), output


async def text_to_speech(settings: Settings, speech: Path) -> Warming:
    engine = create("text_to_speech", settings.tts.engine, **settings.tts.options)

    async def output() -> str:
        pcm = await proof.speaks(engine, settings.tts.voice)
        resampler = Resampler(engine.sample_rate, HEARING_RATE)
        with speech.open("wb") as file:
            np.save(file, np.concatenate((resampler.push(pcm), resampler.flush())))
        return f"said {proof.SENTENCE!r} in {duration_s(pcm, engine.sample_rate):.1f} s of sound"

    return (engine,), output


async def speech_to_text(settings: Settings, speech: Path) -> Warming:
    from deployments.stt import recogniser
    from serve_app.listening_apart import speech_to_text as listening_of

    engine = recogniser(settings.stt)
    listening = listening_of(engine)

    async def output() -> str:
        heard = await proof.hears(listening, _spoken(speech))
        for language in settings.stt.routes:
            await proof.hears(listening, hints=Hints(language=language))
        return f"heard {heard!r}"

    return (listening, engine), output


async def language_model(settings: Settings, _: Path) -> Warming:
    from deployments.llm import options_of

    engine = create("language_model", settings.llm.engine, **options_of(settings.llm))

    async def output() -> str:
        return f"wrote {await proof.writes(engine, proof.SENTENCE, max_tokens=16)!r}"

    return (engine,), output


SECTIONS = {
    "vad": voice_activity,
    "turn": turn_detector,
    "tts": text_to_speech,
    "stt": speech_to_text,
    "llm": language_model,
}
"""In the order in which they are warmed: what is said is then heard, and the largest comes last."""


async def warmed(section: str, settings: Settings, speech: Path) -> dict[str, Any]:
    """`loaded_s`, `answered_s` and `told`, or `failed` with the reason."""
    began = time.monotonic()
    try:
        engines, output = await SECTIONS[section](settings, speech)
        await engines[0].warm()
        loaded = time.monotonic()
        told = await output()
        answered = time.monotonic()
        for engine in engines:
            if hasattr(engine, "close"):
                await engine.close()
    except SparkvoxError as error:
        return {"failed": str(error)}
    return {"loaded_s": loaded - began, "answered_s": answered - loaded, "told": told}


def _probability(score: float) -> str:
    if not 0.0 <= score <= 1.0:
        raise EngineFailed(f"{score} is no probability")
    return f"gave silence {score:.2f}"


def _spoken(speech: Path) -> Pcm | None:
    if not speech.exists() or not speech.stat().st_size:
        return None
    pcm: Pcm = np.load(speech)
    return pcm


def main(section: str, speech: str) -> None:
    settings = Settings.model_validate_json(sys.stdin.read())
    found = asyncio.run(warmed(section, settings, Path(speech)))
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
