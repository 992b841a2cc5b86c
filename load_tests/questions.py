"""What the callers of the load test say: recordings of tests/audio as frames for the wire, with the words that a server should hear."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
import soundfile

from serve_app.audio import Resampler

AUDIO = Path(__file__).parents[1] / "tests" / "audio"
WIRE_RATE, FRAME_S = 24_000, 0.02
FRAME_SAMPLES = round(WIRE_RATE * FRAME_S)
QUIET = 300
"""Of 32768: below it a sample is no speech."""
WORDS = {
    "capital_of_france.wav": "What is the capital of France?",
    "warm_in_paris.wav": "How warm is it in Paris today?",
    "what_time_is_it.wav": "What time is it?",
    "what_is_your_name.wav": "What is your name?",
    "long_story.wav": "Tell me a very long story.",
}
_PLAIN = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()]
)


@dataclass(frozen=True, slots=True)
class Question:
    words: str
    frames: tuple[bytes, ...]
    """16-bit mono at `WIRE_RATE`, `FRAME_S` each."""
    last_speech: int
    """The frame that holds the last sample of speech."""


@cache
def questions() -> tuple[Question, ...]:
    return tuple(_question(file, words) for file, words in WORDS.items())


def _question(file: str, words: str) -> Question:
    pcm, rate = soundfile.read(AUDIO / file, dtype="int16")
    resampler = Resampler(rate, WIRE_RATE)
    pcm = np.concatenate((resampler.push(pcm), resampler.flush()))
    padded = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES)).astype("<i2")
    frames = tuple(frame.tobytes() for frame in padded.reshape(-1, FRAME_SAMPLES))
    return Question(words, frames, int(np.flatnonzero(np.abs(pcm.astype(int)) > QUIET)[-1]) // FRAME_SAMPLES)


def misheard(said: str, heard: str) -> float:
    """The word error rate, without regard to case and punctuation."""
    return float(jiwer.wer(said, heard, reference_transform=_PLAIN, hypothesis_transform=_PLAIN))
