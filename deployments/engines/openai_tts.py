"""Text-to-speech behind an OpenAI-compatible /v1/audio/speech: Kokoro-FastAPI, speaches, vLLM-Omni, OpenAI, another Sparkvox."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from deployments.engines.endpoint import Endpoint, Timeouts
from deployments.engines.wav_stream import BareSamples, WavStream
from serve_app.engines import Sound, Speech
from serve_app.errors import EngineFailed, SettingsError, UnknownVoice

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from openai import AsyncOpenAI

    from serve_app.engines import Pcm

SOUNDS_A_SECOND = 10


@dataclass(eq=False)
class OpenAiSpeech:
    base_url: str = ""
    """The endpoint's address up to /v1."""
    model: str = ""
    """As the endpoint names it. Empty: the only one that it serves."""
    api_key_env: str = ""
    """The environment variable that holds the key, never the key itself."""
    timeouts: dict[str, float] = field(default_factory=dict)
    """endpoint.Timeouts: connect_s, first_s, between_s."""
    retries: int = 2
    extra: dict[str, Any] = field(default_factory=dict)
    """More of the request's body, and it wins: {"instructions": "..."}, {"stream": true}, {"lang_code": "a"}."""
    voices: tuple[str, ...] = ()
    """Empty: those that /v1/audio/voices lists. Mixtures `a+b` of them are passed on as they are."""
    sample_rate: int = 24_000
    """Of the endpoint's bare samples, which do not tell it."""
    form: str = "pcm"
    """pcm, which can be heard while it is made, or wav, for endpoints that have nothing else."""
    _endpoint: Endpoint = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.form not in ("pcm", "wav"):
            raise SettingsError(f"form is {self.form!r}, but must be pcm or wav")
        self.voices = tuple(self.voices.split(",")) if isinstance(self.voices, str) else tuple(self.voices)
        self._endpoint = Endpoint(self.base_url, self.api_key_env, Timeouts.of(self.timeouts), self.retries)

    async def warm(self) -> None:
        self.model = await self._endpoint.model(self.model)
        self.voices = self.voices or await self._endpoint.answer(_listed)
        async for _ in self.speak(Speech("Ready.", self.voices[0])):
            pass

    async def close(self) -> None:
        await self._endpoint.close()

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        for voice in speech.voice.split("+"):
            if voice not in self.voices:
                raise UnknownVoice(f"{voice!r} is not a voice of {self.base_url}; there are {', '.join(self.voices)}")
        if not speech.text.strip():
            return
        samples = BareSamples() if self.form == "pcm" else WavStream(self.sample_rate)
        async with aclosing(self._endpoint.pieces(partial(self._ask, speech))) as pieces:
            async for data in pieces:
                for sound in self._sounds(samples.feed(data)):
                    yield sound
        for sound in self._sounds(samples.finish()):
            yield sound

    async def _ask(self, speech: Speech, client: AsyncOpenAI) -> AsyncGenerator[bytes, None]:
        body: dict[str, Any] = {"model": self.model, "input": speech.text, "voice": speech.voice, "response_format": self.form}
        if speech.speed != 1.0:
            body["speed"] = speech.speed
        async with client.audio.speech.with_streaming_response.create(**body, extra_body=self.extra) as response:
            if (kind := response.headers.get("content-type", "")).startswith(("application/json", "text/")):
                raise EngineFailed(f"{self.base_url} sent {kind} instead of audio: {(await response.text())[:200]}")
            async for data in response.iter_bytes():
                yield data

    def _sounds(self, pcm: Pcm) -> Iterator[Sound]:
        """Of a tenth of a second at most: whoever is interrupted has little too much."""
        step = self.sample_rate // SOUNDS_A_SECOND
        for start in range(0, len(pcm), step):
            yield Sound(pcm[start : start + step])


async def _listed(client: AsyncOpenAI) -> AsyncGenerator[tuple[str, ...], None]:
    """Not of OpenAI itself, and in several shapes: {"voices": [...]} (Kokoro-FastAPI, vLLM-Omni), {"data": [...]} (this server), of names
    or of objects with an id or a name."""
    from openai import APIStatusError

    try:
        answer: Any = await client.get("/audio/voices", cast_to=object)
    except APIStatusError as error:
        if error.status_code in (401, 403, 429) or error.status_code >= 500:
            raise
        answer = {}
    listed = (answer.get("voices") or answer.get("data") or ()) if isinstance(answer, dict) else answer
    names = tuple(str(voice.get("id") or voice.get("name")) if isinstance(voice, dict) else str(voice) for voice in listed)
    if not names:
        raise EngineFailed(f"{client.base_url} does not list its voices: name them with options.voices")
    yield names
