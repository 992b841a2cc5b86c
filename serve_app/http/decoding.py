"""A sound file of any common kind -> samples, within bounds on its duration and on what it claims to be.

libsndfile knows wav, flac, ogg (Vorbis, Opus) and mp3; FFmpeg's libraries (PyAV) take the rest: mp4 and m4a, webm, aac, mpeg, and mp3 files
that libsndfile does not like. FFmpeg may use the formats of `FORMATS` only: some others are lists of further files to open.
"""

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from serve_app.audio import NO_PCM, Resampler
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.http.errors import ApiError

BLOCK_FRAMES = 65_536
MAX_CHANNELS = 8
RATES = (4_000, 384_000)
"""What a rate may be: with one outside, a few bytes could ask for hours of work."""
SHORTEST_S = 0.01
FORMATS = "mov,matroska,webm,aac,mp3,mpeg,mpegts,ogg,flac,wav,amr,caf,aiff"


class Unreadable(Exception):
    """This decoder does not know the file; another may."""


def decoded(file: BinaryIO, longest_s: float) -> Pcm:
    """The whole file at `HEARING_RATE`, its channels mixed. Takes a while: for a worker thread. Raises `ApiError` 400."""
    for decoder in (_by_libsndfile, _by_ffmpeg):
        file.seek(0)
        try:
            pcm = _bounded(decoder, file, longest_s)
        except Unreadable:
            continue
        if len(pcm) < SHORTEST_S * HEARING_RATE:
            raise ApiError(400, "The file holds no audio.", "audio_too_short", "file")
        return pcm
    said = "The file cannot be decoded; flac, mp3, mp4, mpeg, m4a, aac, ogg, opus, wav and webm can."
    raise ApiError(400, said, "invalid_audio", "file")


def _bounded(decoder: Callable[[BinaryIO], Iterator[Pcm]], file: BinaryIO, longest_s: float) -> Pcm:
    """Counts what is read: what a header says of the length may be missing, or wrong."""
    blocks, samples = [NO_PCM], 0
    for block in decoder(file):
        blocks.append(block)
        samples += len(block)
        if samples > longest_s * HEARING_RATE:
            raise ApiError(400, f"The audio is too long: the most is {longest_s:g} seconds.", "audio_too_long", "file")
    return np.concatenate(blocks)


def _by_libsndfile(file: BinaryIO) -> Iterator[Pcm]:
    import soundfile

    try:
        with soundfile.SoundFile(file) as sound:
            _check(sound.samplerate, sound.channels)
            yield from _resampled(sound)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise Unreadable from error


def _resampled(sound: Any) -> Iterator[Pcm]:
    resampler = Resampler(sound.samplerate, HEARING_RATE)
    # soundfile seeks after each block where it can, and libsndfile cannot in a FLAC whose header leaves the length out (1.2.2).
    sound.seekable = lambda: False
    while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield resampler.push((np.nan_to_num(block.mean(axis=1)).clip(-1, 1) * 32767).astype(np.int16))
    yield resampler.flush()


def _by_ffmpeg(file: BinaryIO) -> Iterator[Pcm]:
    import av

    options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
    try:
        with av.open(file, "r", options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise Unreadable
            stream = container.streams.audio[0]
            _check(stream.rate or 0, stream.channels)
            resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE)
            for frame in container.decode(stream):
                for heard in resampler.resample(frame):
                    yield heard.to_ndarray()[0]
            for heard in resampler.resample(None):
                yield heard.to_ndarray()[0]
    # ValueError: the rate or the channels change on the way, which the resampler refuses.
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable from error


def _check(rate: int, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise ApiError(400, f"The audio has {channels} channels; the most is {MAX_CHANNELS}.", "invalid_audio", "file")
    if not RATES[0] <= rate <= RATES[1]:
        raise ApiError(400, f"The audio has {rate} samples a second; {RATES[0]} to {RATES[1]} can be.", "invalid_audio", "file")
