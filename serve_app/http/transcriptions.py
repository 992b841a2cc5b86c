"""POST /v1/audio/transcriptions: a file in, what was said in it out."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serve_app.core.language import Hints
from serve_app.engines import HEARING_RATE, SpeechToText
from serve_app.http import captions
from serve_app.http.errors import ApiError
from serve_app.http.exchange import event_stream, unless_gone
from serve_app.http.transcribing import Transcript, Transcription
from serve_app.http.upload import decoded, form_of
from serve_app.limits import Allowance
from serve_app.settings import HttpSettings

GRANULARITIES = "timestamp_granularities[]"


class TranscriptionRequest(BaseModel):
    language: str | None = None
    prompt: str = ""
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    stream: bool = False
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = ("segment",)

    @property
    def hints(self) -> Hints:
        return Hints(self.language or None, self.prompt)


async def answer(request: Request, engine: SpeechToText, settings: HttpSettings, allowance: Allowance) -> Response:
    async with form_of(request, settings.max_upload_bytes) as form:
        asked = _asked(form)
        file = _file(form, settings.max_upload_bytes)
        pcm = await asyncio.to_thread(decoded, file.file, settings.max_audio_s)
    allowance.take(len(pcm) / HEARING_RATE)
    transcription = Transcription(engine, pcm, asked.hints)
    if asked.stream:
        return await event_stream(request, _events(transcription))
    await unless_gone(request.receive, _all(transcription))
    return _rendered(transcription.transcript, asked)


async def _events(transcription: Transcription) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(transcription.deltas()) as deltas:
        async for delta in deltas:
            yield {"type": "transcript.text.delta", "delta": delta}
    # Usage may only be tokens here, and the engines count none.
    yield {"type": "transcript.text.done", "text": transcription.transcript.text}


async def _all(transcription: Transcription) -> None:
    async with aclosing(transcription.deltas()) as deltas:
        async for _ in deltas:
            pass


def _rendered(transcript: Transcript, asked: TranscriptionRequest) -> Response:
    match asked.response_format:
        case "json":
            return JSONResponse({"text": transcript.text, "usage": captions.usage(transcript)})
        case "verbose_json":
            return JSONResponse(captions.verbose(transcript, "word" in asked.timestamp_granularities))
        case "text":
            return PlainTextResponse(transcript.text + "\n")
        case "srt":
            return PlainTextResponse(captions.srt(transcript))
        case "vtt":
            return PlainTextResponse(captions.vtt(transcript), media_type="text/vtt")


def _asked(form: FormData) -> TranscriptionRequest:
    fields: dict[str, Any] = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    if granularities := form.getlist(GRANULARITIES):
        fields["timestamp_granularities"] = granularities
    return TranscriptionRequest.model_validate(fields)


def _file(form: FormData, max_bytes: int) -> UploadFile:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise ApiError(400, "Missing required parameter: 'file'.", "missing_required_parameter", "file")
    if (file.size or 0) > max_bytes:
        raise ApiError(413, f"The file is too large: the most is {max_bytes} bytes.", "file_too_large", "file")
    return file
