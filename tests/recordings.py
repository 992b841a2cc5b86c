"""The recordings of tests/audio, with what is said in them."""

import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from serve_app.audio import pcm_of_bytes
from serve_app.engines import HEARING_RATE, Pcm

AUDIO = Path(__file__).parent / "audio"


@dataclass(frozen=True)
class Recording:
    file: str
    words: str

    @property
    def path(self) -> Path:
        return Path(__file__).parent / "audio" / self.file

    @property
    def pcm(self) -> Pcm:
        with wave.open(str(AUDIO / self.file)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (HEARING_RATE, 1, 2)
            return pcm_of_bytes(file.readframes(file.getnframes()))


BEST_OF_TIMES = Recording("best_of_times.wav", "It was the best of times, it was the worst of times, it was the age of wisdom.")
EVERYTHING = Recording("everything.wav", "We had everything before us, we had nothing before us.")

_PLAIN = jiwer.Compose(
    [jiwer.ToLowerCase(), jiwer.RemovePunctuation(), jiwer.RemoveMultipleSpaces(), jiwer.Strip(), jiwer.ReduceToListOfListOfWords()]
)


ALIKE = 0.1
"""Share of characters in which two texts may differ that a model wrote of the same sound."""


def alike(text: str, other: str) -> bool:
    """Tell whether two computations of a model gave the same text. Sums in another order, of another batch or on another processor, differ
    in their last bits, which may turn a letter that the model is unsure of; texts of two recordings differ in most of them."""
    return jiwer.cer(text, other) <= ALIKE if text and other else text == other


def all_alike(texts: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether each text is `alike` the other at its place."""
    return len(texts) == len(others) and all(map(alike, texts, others))


def word_error_rate(said: str, heard: str) -> float:
    """Without regard to case and punctuation."""
    return jiwer.wer(said, heard, reference_transform=_PLAIN, hypothesis_transform=_PLAIN)
