"""A whole text made into sound, for whatever has it at once: the speech route and `sparkvox say`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from serve_app.audio import Resampler
from serve_app.engines import Pcm, Speech, TextToSpeech
from serve_app.speech_text import clauses_in_words
from serve_app.streams import closable


async def spoken(text: str, voice: str, speed: float, engine: TextToSpeech, rate: int, language: str = "en") -> AsyncGenerator[Pcm, None]:
    """Yields the text's audio, clause by clause, at `rate`. Raises what the engine raises."""
    resampler = Resampler(engine.sample_rate, rate)
    for words in clauses_in_words(text, language):
        async with aclosing(closable(engine.speak(Speech(words, voice, speed)))) as sounds:
            async for sound in sounds:
                yield resampler.push(sound.pcm)
    yield resampler.flush()
