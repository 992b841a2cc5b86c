"""A whole text made into sound, for whatever has it at once: the speech route and `sparkvox say`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from serve_app.audio import Resampler
from serve_app.engines import Pcm, Speech, TextToSpeech
from serve_app.speech_text import clauses_in_words
from serve_app.streams import closable

SILENCE_S = 0.2
"""Of a text in which nothing can be said: an audio file without a sample is one that players refuse."""


async def spoken(text: str, voice: str, speed: float, engine: TextToSpeech, rate: int, language: str = "en") -> AsyncGenerator[Pcm, None]:
    """Yields the text's audio, clause by clause, at `rate`; a little silence where there is none. Raises what the engine raises."""
    samples = 0
    resampler = Resampler(engine.sample_rate, rate)
    for words in clauses_in_words(text, language):
        async with aclosing(closable(engine.speak(Speech(words, voice, speed)))) as sounds:
            async for sound in sounds:
                pcm = resampler.push(sound.pcm)
                samples += len(pcm)
                yield pcm
    rest = resampler.flush()
    yield rest if samples + len(rest) else np.zeros(int(SILENCE_S * rate), np.int16)
