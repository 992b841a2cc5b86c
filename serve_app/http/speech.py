"""POST /v1/audio/speech: text in, audio out while it is made."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from serve_app.audio import Resampler
from serve_app.core.clauses import ClauseCutter
from serve_app.engines import Pcm, Speech, TextToSpeech
from serve_app.http.encoders import MEDIA_TYPES, RATE, Form, encoder
from serve_app.http.exchange import json_of, streamed
from serve_app.realtime.session_object import Served
from serve_app.realtime.voices import served_voice
from serve_app.speech_text import CodeFilter, speakable
from serve_app.streams import closable

MAX_INPUT = 4096
"""Characters (platform.openai.com/docs/api-reference/audio/createSpeech)."""


class VoiceId(BaseModel):
    id: str


class SpeechRequest(BaseModel):
    input: str = Field(min_length=1, max_length=MAX_INPUT)
    voice: str | VoiceId = ""
    response_format: Form = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio"] = "audio"

    @property
    def voice_name(self) -> str:
        return self.voice.id if isinstance(self.voice, VoiceId) else self.voice


async def answer(request: Request, engine: TextToSpeech, served: Served) -> Response:
    asked = await json_of(request, SpeechRequest)
    voice = served_voice(asked.voice_name, served.voices, served.voice)
    chunks = _encoded(spoken(asked, voice, engine), asked.response_format)
    return await streamed(request, chunks, MEDIA_TYPES[asked.response_format])


async def spoken(asked: SpeechRequest, voice: str, engine: TextToSpeech) -> AsyncGenerator[Pcm, None]:
    """The text's audio at `encoders.RATE`, clause by clause."""
    resampler = Resampler(engine.sample_rate, RATE)
    for text in _clauses(asked.input):
        async with aclosing(closable(engine.speak(Speech(text, voice, asked.speed)))) as sounds:
            async for sound in sounds:
                yield resampler.push(sound.pcm)
    yield resampler.flush()


def _clauses(text: str) -> Iterator[str]:
    """In words, without what cannot be said."""
    cutter, code = ClauseCutter(), CodeFilter()
    for clause in [*cutter.feed(text), *cutter.flush()]:
        if said := speakable(code.feed(clause)):
            yield said


async def _encoded(audio: AsyncGenerator[Pcm, None], form: Form) -> AsyncGenerator[bytes, None]:
    into = encoder(form)
    async with aclosing(audio):
        async for pcm in audio:
            if encoded := into.feed(pcm):
                yield encoded
    if encoded := into.finish():
        yield encoded
