"""An uploaded file -> samples, within bounds on its size, its duration and what it claims to be."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from serve_app.audio import NO_PCM, Resampler
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.http.errors import ApiError
from serve_app.http.exchange import bounded

ENVELOPE_BYTES = 64 * 1024
"""Of a multipart body beside the file."""
MAX_FIELDS = 64
BLOCK_FRAMES = 65_536
MAX_CHANNELS = 8
RATES = (4_000, 384_000)
"""What a rate may be: with one outside, a few bytes could ask for hours of work."""
SHORTEST_S = 0.01


@asynccontextmanager
async def form_of(request: Request, max_file_bytes: int) -> AsyncIterator[FormData]:
    """The multipart form; its files are gone after the block. Raises `ApiError` 413, 415 or 400."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ApiError(415, f"The body must be multipart/form-data, not {kind or 'of no type'}.", "unsupported_media_type")
    body = bounded(request, max_file_bytes + ENVELOPE_BYTES)
    try:
        form = await MultiPartParser(request.headers, body, max_files=1, max_fields=MAX_FIELDS).parse()
    except MultiPartException as error:
        raise ApiError(400, f"The form cannot be read: {error.message}", "invalid_form") from error
    try:
        yield form
    finally:
        await form.close()


def decoded(file: Any, longest_s: float) -> Pcm:
    """The whole file at `HEARING_RATE`, its channels mixed. Takes a while: for a worker thread. Raises `ApiError` 400.

    `file`: binary and seekable, of any format that libsndfile knows: wav, flac, ogg (Vorbis, Opus), mp3 and others.
    """
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            _check(sound.samplerate, sound.channels)
            pcm = np.concatenate([NO_PCM, *_blocks(sound, longest_s)])
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ApiError(400, "The file cannot be decoded; wav, flac, ogg, opus and mp3 can.", "invalid_audio", "file") from error
    if len(pcm) < SHORTEST_S * HEARING_RATE:
        raise ApiError(400, "The file holds no audio.", "audio_too_short", "file")
    return pcm


def _blocks(sound: Any, longest_s: float) -> Iterator[Pcm]:
    """Counts what is read: what a header says of the length may be missing, or wrong."""
    resampler = Resampler(sound.samplerate, HEARING_RATE)
    frames = 0
    # soundfile seeks after each block where it can, and libsndfile cannot in a FLAC whose header leaves the length out (1.2.2).
    sound.seekable = lambda: False
    while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += len(block)
        if frames > longest_s * sound.samplerate:
            raise ApiError(400, f"The audio is too long: the most is {longest_s:g} seconds.", "audio_too_long", "file")
        yield resampler.push((np.nan_to_num(block.mean(axis=1)).clip(-1, 1) * 32767).astype(np.int16))
    yield resampler.flush()


def _check(rate: int, channels: int) -> None:
    if channels > MAX_CHANNELS:
        raise ApiError(400, f"The audio has {channels} channels; the most is {MAX_CHANNELS}.", "invalid_audio", "file")
    if not RATES[0] <= rate <= RATES[1]:
        raise ApiError(400, f"The audio has {rate} samples a second; {RATES[0]} to {RATES[1]} can be.", "invalid_audio", "file")
