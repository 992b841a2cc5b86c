"""POST /v1/audio/transcriptions: a file in, what was said in it out."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serve_app.core.language import Hints
from serve_app.engines import HEARING_RATE, Engines, known_languages
from serve_app.http import captions
from serve_app.http.decoding import decoded
from serve_app.http.errors import ApiError
from serve_app.http.exchange import event_stream, unless_gone
from serve_app.http.transcribing import Transcript, Transcription
from serve_app.http.upload import form_of
from serve_app.languages import UnknownLanguage, known
from serve_app.limits import Allowance
from serve_app.settings import HttpSettings

LISTS = ("timestamp_granularities", "include", "keywords", "languages")
"""Fields that may come more than once, as `name[]` or as `name`."""


class TranscriptionRequest(BaseModel):
    """Taken and ignored, beside `model`: `chunking_strategy`, because long audio is always cut by voice activity, and known speakers."""

    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    stream: bool = False
    timestamp_granularities: tuple[Literal["word", "segment"], ...] = ("segment",)
    include: tuple[str, ...] = ()
    temperature: float = Field(0.0, ge=0, le=1)
    """Ignored: the engines take the likeliest words."""

    def hints(self, heard: tuple[str, ...] | None) -> Hints:
        """`heard`: the languages that the engine knows, None where it does not say. Raises `ApiError`."""
        language = _tag(self.language, heard, "language")
        languages = tuple(filter(None, (_tag(one, heard, "languages") for one in self.languages)))
        return Hints(language or (languages[0] if len(languages) == 1 else None), self.prompt, self.keywords, languages)

    @property
    def words_alone(self) -> bool:
        return self.response_format == "verbose_json" and set(self.timestamp_granularities) == {"word"}


class TranscriptionForm(TranscriptionRequest):
    """The request with its file, as a form has it."""

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]


async def answer(request: Request, engines: Engines, settings: HttpSettings, allowance: Allowance) -> Response:
    async with form_of(request, settings.max_upload_bytes) as form:
        asked = _asked(form)
        hints = asked.hints(known_languages(engines.speech_to_text))
        file = _file(form, settings.max_upload_bytes)
        pcm = await asyncio.to_thread(decoded, file.file, settings.max_audio_s)
    allowance.take(len(pcm) / HEARING_RATE)
    transcription = Transcription(engines, pcm, hints)
    if asked.stream:
        return await event_stream(request, _events(transcription))
    await unless_gone(request.receive, _all(transcription, asked.words_alone))
    return _rendered(transcription.transcript, asked)


async def translations(_: Request) -> Response:
    said = "Nothing is translated here: /v1/audio/transcriptions writes what was said in its own language."
    raise ApiError(404, said, "not_supported")


async def _events(transcription: Transcription) -> AsyncGenerator[dict[str, Any], None]:
    async with aclosing(transcription.deltas()) as deltas:
        async for delta in deltas:
            yield {"type": "transcript.text.delta", "delta": delta}
    # Usage may only be tokens here, and the engines count none.
    yield {"type": "transcript.text.done", "text": transcription.transcript.text}


async def _all(transcription: Transcription, words_alone: bool) -> None:
    async with aclosing(transcription.deltas()) as deltas:
        async for _ in deltas:
            # Not at the end: half an hour of work would be for nothing.
            _check_words(transcription, words_alone)
    _check_words(transcription, words_alone)


def _check_words(transcription: Transcription, words_alone: bool) -> None:
    """Beside segments an empty list tells that there are none; alone it would be taken for silence."""
    if words_alone and transcription.lacks_words:
        said = "The speech-to-text engine of this server gives no times of words. It has those of segments."
        raise ApiError(400, said, "unsupported_value", "timestamp_granularities")


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
    for name in LISTS:
        if given := [*form.getlist(f"{name}[]"), *form.getlist(name)]:
            fields[name] = given
    asked = TranscriptionRequest.model_validate(fields)
    if "logprobs" in asked.include:
        raise ApiError(400, "The engines give no probabilities of tokens.", "unsupported_value", "include")
    return asked


def _tag(language: str | None, heard: tuple[str, ...] | None, param: str) -> str | None:
    """Speech of another language would come out as words of one that the engine knows. Raises `ApiError`."""
    try:
        return known(language, heard, "speech-to-text engine")
    except UnknownLanguage as unknown:
        raise ApiError(400, f"Invalid value for '{param}': {unknown}.", "unsupported_language", param) from unknown


def _file(form: FormData, max_bytes: int) -> UploadFile:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise ApiError(400, "Missing required parameter: 'file'.", "missing_required_parameter", "file")
    if (file.size or 0) > max_bytes:
        raise ApiError(413, f"The file is too large: the most is {max_bytes} bytes.", "file_too_large", "file")
    return file
