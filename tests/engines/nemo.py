"""The small NeMo model of the repository, with what tests ask of it."""

from functools import cache
from typing import Any

import numpy as np
import soundfile

from deployments.engines.nemo_rnnt import NemoRnnt
from serve_app.audio import Resampler
from serve_app.engines import HEARING_RATE, Due, Hints, Pcm
from tests.engines.every import warmed
from tests.recordings import AUDIO

MODEL = "asr-tiny-en"
FRANCE, DRAGON, SKY = "capital_of_france.wav", "tell_a_story.wav", "colour_of_the_sky.wav"
CODE, COMPUTING, STORAGE = "claude_code.wav", "cloud_computing.wav", "cloud_storage.wav"
WORDS = {
    FRANCE: "What is the capital of France?",
    DRAGON: "Tell me a long story about a dragon and a princess.",
    SKY: "Stop, please. What colour is the sky?",
    CODE: "I use cloud code every day.",
    COMPUTING: "I use cloud computing every day.",
    STORAGE: "The cloud storage is almost full.",
}
"""What is heard without help: the fourth says `Claude Code`."""
CLAUDE = "I use Claude Code every day."
BOOSTED = {"weight": 2.0}
"""This model is so sure of `cloud` that NeMo's default weight of 1 leaves it."""


@cache
def spoken(file: str) -> Pcm:
    """At `HEARING_RATE`, with a fifth of a second of silence before it, as a session hears it."""
    pcm, rate = soundfile.read(AUDIO / file, dtype="int16")
    resampler = Resampler(rate, HEARING_RATE)
    return np.concatenate((np.zeros(HEARING_RATE // 5, np.int16), resampler.push(pcm), resampler.flush()))


def nemo(chunk_ms: int = 160) -> NemoRnnt:
    engine: NemoRnnt = warmed("recogniser", "nemo-rnnt", model=MODEL, chunk_ms=chunk_ms, device="cpu", decoding=BOOSTED)
    return engine


def pieces(pcm: Pcm, samples: int) -> list[Pcm]:
    return [pcm[start : start + samples] for start in range(0, max(len(pcm), 1), samples)]


def heard(engine: NemoRnnt, pcm: Pcm, hints: Hints | None = None) -> Any:
    """The last hypothesis of an utterance that has the engine to itself."""
    return together(engine, [pcm], [hints or Hints()])[0]


@cache
def alone(chunk_ms: int, file: str) -> str:
    """What is heard of a recording that has the engine to itself."""
    return str(heard(nemo(chunk_ms), spoken(file)).text)


def together(engine: NemoRnnt, recordings: list[Pcm], hints: list[Hints] | None = None) -> list[Any]:
    """The last hypotheses of utterances that begin one step after the other and share every step that they are in."""
    streams = [engine.begin(one) for one in hints or [Hints()] * len(recordings)]
    parts = [pieces(pcm, engine.step_samples) for pcm in recordings]
    last: list[Any] = [None] * len(recordings)
    for turn in range(max(map(len, parts)) + len(parts)):
        now = [n for n, own in enumerate(parts) if 0 <= turn - n % 5 < len(own)]
        due = [Due(streams[n], parts[n][turn - n % 5], turn - n % 5 == len(parts[n]) - 1) for n in now]
        for n, answer in zip(now, engine.step(due), strict=True):
            last[n] = answer
    return last
