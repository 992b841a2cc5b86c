"""An engine counts as ready once it has produced output, not once it has loaded: what loads may still fail at its first sentence (a kernel
that the chip does not know, a model without its voices), and that sentence would be somebody's.

Whatever an engine's own `warm` did, its deployment asks it for a little here before the replica is there for anybody.
"""

from contextlib import aclosing

import numpy as np

from serve_app.audio import duration_s, level_dbfs
from serve_app.engines import (
    HEARING_RATE,
    Audio,
    Begin,
    ChatMessage,
    End,
    Failed,
    Final,
    HearingResult,
    Hints,
    LanguageModel,
    Pcm,
    Prompt,
    ReplyEnd,
    Speech,
    SpeechToText,
    TextToSpeech,
)
from serve_app.errors import EngineFailed

SENTENCE = "The server is ready."
SHORTEST_S = 0.2
QUIETEST_DBFS = -60.0
"""Speech is far above; zeros, which is what a kernel that computes nothing leaves, are far below."""
TOKENS = 4


async def speaks(engine: TextToSpeech, voice: str) -> Pcm:
    """One sentence in `voice`, or in the engine's first where it has no such, at its rate. Raises `EngineFailed` where none is heard."""
    async with aclosing(engine.speak(Speech(SENTENCE, voice if voice in engine.voices else engine.voices[0]))) as sounds:  # type: ignore[type-var]
        parts = [sound.pcm async for sound in sounds]
    pcm = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    if duration_s(pcm, engine.sample_rate) < SHORTEST_S:
        raise EngineFailed(f"text-to-speech made {duration_s(pcm, engine.sample_rate):.2f} s of sound of {SENTENCE!r}")
    if level_dbfs(pcm) < QUIETEST_DBFS:
        raise EngineFailed(f"text-to-speech made silence of {SENTENCE!r}")
    return pcm


async def writes(engine: LanguageModel, asked: str = "Hello.", max_tokens: int = TOKENS) -> str:
    """Some words. Raises `EngineFailed` where there are none. A model that thinks, or counts nothing, has written when it met the limit."""
    text, end = "", None
    async with aclosing(engine.reply(Prompt((ChatMessage("user", asked),), max_tokens=max_tokens))) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            end = piece if isinstance(piece, ReplyEnd) else end
            text += getattr(piece, "text", "")
    if end is None:
        raise EngineFailed("the language model did not end its reply")
    if not text and not end.reply_tokens and end.finish != "length":
        raise EngineFailed(f"the language model wrote nothing to {asked!r}")
    return text


async def hears(listening: SpeechToText, pcm: Pcm | None = None, hints: Hints | None = None) -> str:
    """What is heard of `pcm` (16 kHz; None: a second of noise). Raises `EngineFailed` where there is no answer."""
    ear = await listening.open("proof")
    try:
        for message in (Begin("proof", hints or Hints()), Audio("proof", _noise() if pcm is None else pcm), End("proof")):
            ear.send(message)
        async with aclosing(ear.results()) as results:  # type: ignore[type-var]
            async for result in results:
                if (text := _answer(result)) is not None:
                    return text
    finally:
        await ear.close()
    raise EngineFailed("speech-to-text gave no answer")


def _answer(result: HearingResult) -> str | None:
    match result:
        case Final():
            return result.text
        case Failed():
            raise EngineFailed(f"speech-to-text cannot hear: {result.reason}")
    return None


def _noise() -> Pcm:
    noise = np.random.default_rng(0).normal(0, 500, HEARING_RATE)
    return noise.astype(np.int16)
