"""POST /v1/audio/speech: text in, audio out while it is made, as a file or in server-sent events."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serve_app.engines import Pcm, TextToSpeech, known_languages
from serve_app.errors import UnknownVoice
from serve_app.http.encoders import MEDIA_TYPES, RATE, Form, encoder
from serve_app.http.errors import ApiError
from serve_app.http.exchange import event_stream, json_of, streamed
from serve_app.languages import UnknownLanguage, known
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import VOICES, served_voice
from serve_app.speaking import spoken
from serve_app.speech_text import language_of_text, prepared

MAX_INPUT = 4096
"""Characters (platform.openai.com/docs/api-reference/audio/createSpeech)."""


OWN_VOICE = ("", "default")
"""Who asks for the server's own."""
KOKORO_LETTERS = {
    "a": "en-US", "b": "en-GB", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-BR", "z": "zh",
}  # fmt: skip


class VoiceId(BaseModel):
    id: str


class SpeechRequest(BaseModel):
    """Taken and ignored, beside `model`: `instructions`, because the engines have one manner of speaking."""

    input: str = Field(min_length=1, max_length=MAX_INPUT)
    voice: str | VoiceId = ""
    response_format: Form = "mp3"
    speed: float | None = Field(None, ge=0.25, le=4.0)
    """None: the server's own."""
    stream_format: Literal["audio", "sse"] = "audio"
    language: str | None = Field(None, validation_alias=AliasChoices("language", "lang_code"))
    """Of the text, for clients that say so: one that the voices do not speak is refused. OpenAI's API has no such field."""

    @property
    def voice_name(self) -> str:
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice


async def answer(request: Request, engine: TextToSpeech, served: Served) -> Response:
    asked = await json_of(request, SpeechRequest)
    language = language_of_text(_language(asked.language, known_languages(engine)), known_languages(engine))
    await prepared(language)
    voice, speed = _voice(asked.voice_name, served), asked.speed or served.speed
    chunks = _encoded(spoken(asked.input, voice, speed, engine, RATE, language), asked.response_format)
    if asked.stream_format == "sse":
        return await event_stream(request, _events(chunks))
    return await streamed(request, chunks, MEDIA_TYPES[asked.response_format])


def _language(language: str | None, spoken: tuple[str, ...] | None) -> str | None:
    """The tag of what the client wrote. Raises `ApiError`. Kokoro's clients may give its letter: `a` and `b` are English."""
    try:
        return known(KOKORO_LETTERS.get(language or "", language), spoken, "text-to-speech engine")
    except UnknownLanguage as unknown:
        raise ApiError(400, f"Invalid value for 'language': {unknown}.", "unsupported_language", "language") from unknown


def _voice(asked: str, served: Served) -> str:
    """One of OpenAI's names has a voice that stands for it; any other that is not served is a mistake. Nothing tells the client which voice
    spoke, as a session does. Raises `UnknownVoice`."""
    unknown = [part for part in asked.split("+") if part not in served.voices]
    if unknown and asked not in (*OWN_VOICE, *VOICES):
        listed = ", ".join(served.voices)
        raise UnknownVoice(f"there is no voice {unknown[0][:100]!r}; there are {listed}, and the names of OpenAI's")
    return served_voice(asked, served.voices, served.voice)


async def _events(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield {"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()}
    # The engines count no tokens.
    yield {"type": "speech.audio.done", "usage": {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}}


async def _encoded(audio: AsyncGenerator[Pcm, None], form: Form) -> AsyncGenerator[bytes, None]:
    into = encoder(form)
    async with aclosing(audio):
        async for pcm in audio:
            if encoded := into.feed(pcm):
                yield encoded
    if encoded := into.finish():
        yield encoded
