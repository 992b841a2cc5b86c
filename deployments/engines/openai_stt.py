"""Speech-to-text behind an OpenAI-compatible /v1/audio/transcriptions: whisper.cpp's server, WhisperX, speaches, vLLM, a NIM, OpenAI.

An utterance is sent when it has ended, as a WAV file, so there are no partials; all that wait are on their way at once.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.endpoint import Endpoint, Timeouts
from serve_app.audio import NO_PCM, bytes_of_pcm
from serve_app.engines import HEARING_RATE, Hints, Hypothesis, Word

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from openai import AsyncOpenAI

    from serve_app.engines import Pcm

SHORTEST_S = 0.1
"""OpenAI refuses less, and no word is so short."""
WARMING_S = 1.0


@dataclass(eq=False)
class OpenAiTranscriber:
    base_url: str = ""
    """The endpoint's address up to /v1. A whisper.cpp server must be started with --inference-path /v1/audio/transcriptions."""
    model: str = ""
    """As the endpoint names it. Empty: the only one that it serves."""
    api_key_env: str = ""
    """The environment variable that holds the key, never the key itself."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s, first_s."""
    retries: int = 2
    extra: dict[str, Any] = field(default_factory=dict)
    """More fields of the form, and they win: {"hotwords": "..."} for speaches, say."""
    words: bool = False
    """Whether to ask for the times of words (verbose_json), which not every model can tell."""
    whole_tags: bool = False
    """Whether a language is named with its region, en-US, as a NIM wants it; else en, as Whisper does."""
    _endpoint: Endpoint = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._endpoint = Endpoint(self.base_url, self.api_key_env, Timeouts.of(self.timeouts), self.retries)

    async def warm(self) -> None:
        self.model = await self._endpoint.model(self.model)
        await self._heard(Hints(), np.zeros(int(WARMING_S * HEARING_RATE), np.int16))

    async def close(self) -> None:
        await self._endpoint.close()

    async def transcribe(self, hints: Hints, audio: AsyncIterator[Pcm], tell: Callable[[Hypothesis], None]) -> Hypothesis:
        chunks = [chunk async for chunk in audio]
        pcm = np.concatenate(chunks) if chunks else NO_PCM
        if len(pcm) < SHORTEST_S * HEARING_RATE:
            return Hypothesis("")
        return await self._heard(hints, pcm)

    async def _heard(self, hints: Hints, pcm: Pcm) -> Hypothesis:
        return await self._endpoint.answer(partial(self._ask, hints, _wav(pcm)))

    async def _ask(self, hints: Hints, wav: bytes, client: AsyncOpenAI) -> AsyncGenerator[Hypothesis, None]:
        yield _hypothesis(await client.audio.transcriptions.create(file=("utterance.wav", wav, "audio/wav"), **self._form(hints)))

    def _form(self, hints: Hints) -> dict[str, Any]:
        form: dict[str, Any] = {"model": self.model, "response_format": "verbose_json" if self.words else "json", "extra_body": self.extra}
        if self.words:
            form["timestamp_granularities"] = ["word"]
        if hints.language:
            form["language"] = hints.language if self.whole_tags else hints.language.partition("-")[0].lower()
        if prompt := prompt_of(hints):
            form["prompt"] = prompt
        return form


def prompt_of(hints: Hints) -> str:
    """The one field there is: what was said to come, then the words to listen for."""
    return " ".join(filter(None, [hints.prompt, ", ".join(hints.keywords)]))


def _hypothesis(answer: Any) -> Hypothesis:
    text = str(answer.text).strip()
    words = tuple(Word(word.word.strip(), word.start, word.end) for word in getattr(answer, "words", None) or ())
    return Hypothesis(text, len(text), words, getattr(answer, "language", None))


def _wav(pcm: Pcm) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writing:
        writing.setnchannels(1)
        writing.setsampwidth(2)
        writing.setframerate(HEARING_RATE)
        writing.writeframes(bytes_of_pcm(pcm))
    return file.getvalue()
