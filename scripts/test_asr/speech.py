"""The corpus: every phrase said by several voices, by this project's own Kokoro engine, kept as 16 kHz WAV files that are made once."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile

from deployments.engines import create
from serve_app.audio import Resampler
from serve_app.engines import HEARING_RATE, Speech
from test_asr.phrases import CLOUDY, MORE_VOICES, PHRASES, SPEEDS, STRANGER, VOICES

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    phrase: int
    """Index in `PHRASES`."""
    voice: str
    speed: float

    @property
    def file(self) -> str:
        return f"{self.phrase:03d}_{self.voice}_{self.speed:.2f}.wav"


def corpus() -> list[Clip]:
    """Each phrase once by each of its voices, at a speed that goes round; and once by the stranger."""
    clips = [Clip(phrase, STRANGER, 1.0) for phrase in range(len(PHRASES))]
    for number, voice in enumerate(VOICES + MORE_VOICES):
        said = range(len(PHRASES)) if voice in VOICES else CLOUDY
        clips += [Clip(phrase, voice, SPEEDS[(phrase + number) % len(SPEEDS)]) for phrase in said]
    return clips


def synthesise(folder: Path) -> None:
    """Says what is not in `folder` yet."""
    folder.mkdir(parents=True, exist_ok=True)
    if missing := [clip for clip in corpus() if not (folder / clip.file).exists()]:
        asyncio.run(_say_all(missing, folder))


async def _say_all(missing: list[Clip], folder: Path) -> None:
    engine = create("text_to_speech", "kokoro-onnx")
    await engine.warm()
    for number, clip in enumerate(missing):
        pcm = await _say(engine, clip)
        part = folder / (clip.file + ".part")
        soundfile.write(part, pcm, HEARING_RATE, format="WAV")
        part.rename(folder / clip.file)
        if number % 50 == 0:
            log.info("%d of %d clips said", number, len(missing))


async def _say(engine: Any, clip: Clip) -> np.ndarray:
    spoken = [sound.pcm async for sound in engine.speak(Speech(PHRASES[clip.phrase].said, clip.voice, clip.speed))]
    resampler = Resampler(engine.sample_rate, HEARING_RATE)
    return np.concatenate((resampler.push(np.concatenate(spoken)), resampler.flush()))
