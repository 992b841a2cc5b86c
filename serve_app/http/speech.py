"""POST /v1/audio/speech: text in, audio out while it is made, as a file or in server-sent events."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serve_app.engines import Pcm, TextToSpeech
from serve_app.errors import UnknownVoice
from serve_app.http.encoders import MEDIA_TYPES, RATE, Form, encoder
from serve_app.http.exchange import event_stream, json_of, streamed
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import served_voice
from serve_app.speaking import spoken

MAX_INPUT = 4096
"""Characters (platform.openai.com/docs/api-reference/audio/createSpeech)."""


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

    @property
    def voice_name(self) -> str:
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice


async def answer(request: Request, engine: TextToSpeech, served: Served) -> Response:
    asked = await json_of(request, SpeechRequest)
    voice, speed = _voice(asked.voice_name, served), asked.speed or served.speed
    chunks = _encoded(spoken(asked.input, voice, speed, engine, RATE), asked.response_format)
    if asked.stream_format == "sse":
        return await event_stream(request, _events(chunks))
    return await streamed(request, chunks, MEDIA_TYPES[asked.response_format])


def _voice(asked: str, served: Served) -> str:
    """One name alone may be another vendor's; a mixture is our own syntax, so an unknown part of it is a mistake. Raises `UnknownVoice`."""
    unknown = [part for part in asked.split("+") if part not in served.voices]
    if "+" in asked and unknown:
        raise UnknownVoice(f"there is no voice {unknown[0]!r} to mix; /v1/audio/voices lists those that there are")
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
