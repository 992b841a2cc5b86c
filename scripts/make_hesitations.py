"""Makes the recordings of tests/audio in which somebody hesitates: `.venv/bin/python scripts/make_hesitations.py` writes them there.

Kokoro (kokoro-onnx, Apache-2.0) says each sentence; it is cut between words, at the quietest sample near the border that the engine
tells, and the pauses are set in: soft noise, for a microphone is never silent. A sentence that Kokoro speaks hesitatingly to its end
does not sound finished, so its last word may come from another take.
"""

import asyncio
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deployments.engines import create
from serve_app.engines import Pcm, Speech, Word

AUDIO = Path(__file__).parents[1] / "tests" / "audio"
RATE = 24_000
NOISE = 3.0
"""Standard deviation of a pause's samples, of 32768."""
FADE = 120
"""Samples over which a cut fades."""


@dataclass(frozen=True)
class Piece:
    """Words `first` to before `end` of a take, then a pause."""

    text: str
    first: int
    end: int | None
    pause_s: float = 0.0


LIKE, FLUENT = "I would like… to go to… Paris.", "I would like to go to Paris."
CAPITAL = "Can you tell me what the capital of France is?"
NAME = "My name is, um, Anna, and I am from Berlin."
RECORDINGS = {
    "hesitating_paris.wav": ("am_michael", 0.8, (Piece(LIKE, 0, 3, 0.6), Piece(LIKE, 3, 6, 0.7), Piece(FLUENT, 6, None))),
    "hesitating_capital.wav": ("am_michael", 0.9, (Piece(CAPITAL, 0, 5, 0.9), Piece(CAPITAL, 5, 8, 0.6), Piece(CAPITAL, 8, None))),
    "hesitating_name.wav": ("af_heart", 0.9, (Piece(NAME, 0, 4, 0.8), Piece(NAME, 4, 6, 1.0), Piece(NAME, 6, None))),
}


async def main() -> None:
    voice = create("text_to_speech", "kokoro-onnx")
    await voice.warm()
    for name, (who, speed, pieces) in RECORDINGS.items():
        takes = {text: await _take(voice.speak(Speech(text, who, speed))) for text in {piece.text for piece in pieces}}
        with wave.open(str(AUDIO / name), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(np.concatenate([part for piece in pieces for part in _cut(piece, *takes[piece.text])]).tobytes())


async def _take(sounds: AsyncIterator[object]) -> tuple[Pcm, list[Word]]:
    heard = [sound async for sound in sounds]
    return np.concatenate([sound.pcm for sound in heard]), [word for sound in heard for word in sound.words]


def _cut(piece: Piece, pcm: Pcm, words: list[Word]) -> list[Pcm]:
    start = 0 if piece.first == 0 else _border(pcm, words, piece.first)
    end = len(pcm) if piece.end is None else _border(pcm, words, piece.end)
    part = pcm[start:end].astype(np.float64)
    part[:FADE] *= np.linspace(0, 1, FADE)
    part[-FADE:] *= np.linspace(1, 0, FADE)
    pause = np.random.default_rng(0).normal(0.0, NOISE, int(piece.pause_s * RATE))
    return [part.astype(np.int16), pause.astype(np.int16)]


def _border(pcm: Pcm, words: list[Word], before: int) -> int:
    """The quietest place between that word and the one before it."""
    first, last = int((words[before - 1].end_s - 0.03) * RATE), int((words[before].start_s + 0.03) * RATE)
    loudness = [np.abs(pcm[at : at + FADE].astype(np.int64)).sum() for at in range(first, last, FADE // 2)]
    return first + int(np.argmin(loudness)) * (FADE // 2) + FADE // 2


if __name__ == "__main__":
    asyncio.run(main())
