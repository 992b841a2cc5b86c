"""A sound file of any common kind -> samples, within bounds on its duration and on what it claims to be.

FFmpeg's libraries (PyAV) take most; libsndfile takes what they do not. FFmpeg may use the formats of `FORMATS` only: some others are lists
of further files to open. A file that is several, one after the other, is heard whole (file_parts.py). Of one that is damaged or cut what
decodes is heard: bytes that do not are left out.
"""

import io
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from serve_app.audio import NO_PCM, Resampler
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.http.errors import ApiError
from serve_app.http.file_parts import parts

BLOCK_FRAMES = 65_536
MAX_CHANNELS = 8
RATES = (4_000, 384_000)
"""What a rate may be: with one outside, a few bytes could ask for hours of work."""
SHORTEST_S = 0.01
MAX_PARTS = 1000
"""Opening one takes about a millisecond, and a part may have a few bytes."""
FORMATS = "mov,matroska,webm,aac,mp3,mpeg,mpegts,ogg,flac,wav,amr,caf,aiff"
WITHOUT_A_HEAD = {"mp3", "aac"}
"""Formats that FFmpeg finds by two bytes that come up again and again, so also in what is no sound."""


class Unreadable(Exception):
    """This decoder does not know the file; another may. Its text, where it has one, is for the client."""


def decoded(file: BinaryIO, longest_s: float) -> Pcm:
    """The whole file at `HEARING_RATE`, its channels mixed. Takes a while: for a worker thread. Raises `ApiError` 400."""
    data = file.read()
    if not data:
        raise ApiError(400, "The file is empty.", "invalid_audio", "file")
    heard: list[Pcm] = []
    why = ""
    found = list(islice(parts(data), MAX_PARTS + 1))
    if len(found) > MAX_PARTS:
        raise ApiError(400, f"The file is more than {MAX_PARTS} files in one.", "invalid_audio", "file")
    for start, end in found:
        room = longest_s - sum(map(len, heard)) / HEARING_RATE
        try:
            heard.append(_part(data[start:end], room, longest_s))
        except Unreadable as error:
            why = why or str(error)
    if not heard:
        said = "The file cannot be decoded; flac, mp3, mp4, mpeg, m4a, aac, ogg, opus, wav and webm can."
        raise ApiError(400, why or said, "invalid_audio", "file")
    pcm = np.concatenate(heard)
    if len(pcm) < SHORTEST_S * HEARING_RATE:
        raise ApiError(400, "The file holds no audio.", "audio_too_short", "file")
    return pcm


def _part(data: bytes, room_s: float, longest_s: float) -> Pcm:
    """Raises `Unreadable` with the first reason that a decoder had."""
    why = ""
    for decoder in (_by_ffmpeg, _by_libsndfile):
        try:
            return _bounded(decoder, io.BytesIO(data), room_s, longest_s)
        except Unreadable as error:
            why = why or str(error)
    raise Unreadable(why)


def _bounded(decoder: Callable[[BinaryIO], Iterator[Pcm]], file: BinaryIO, room_s: float, longest_s: float) -> Pcm:
    """Counts what is read: what a header says of the length may be missing, or wrong."""
    blocks, samples = [NO_PCM], 0
    for block in decoder(file):
        blocks.append(block)
        samples += len(block)
        if samples > room_s * HEARING_RATE:
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
        yield resampler.push(_as_pcm([block.mean(axis=1)]))
    yield resampler.flush()


def _by_ffmpeg(file: BinaryIO) -> Iterator[Pcm]:
    import av

    options = {"format_whitelist": FORMATS, "protocol_whitelist": ""}
    try:
        with av.open(file, "r", options=options, metadata_errors="ignore") as container:
            if not container.streams.audio:
                raise Unreadable("The file has no sound in it: there is no audio track." if container.streams.video else "")
            yield from _mixed(_frames(container), container.format.name in WITHOUT_A_HEAD)
    except av.error.FFmpegError as error:
        raise Unreadable(_why_cut(file)) from error


def _frames(container: Any) -> Iterator[Any]:
    """What decodes, and None for each packet that does not, or for an end that comes too soon."""
    import av

    stream = container.streams.audio[0]
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            packet = None
            yield None
        try:
            yield from stream.codec_context.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            yield None
        if packet is None:
            return


def _mixed(frames: Iterator[Any], may_be_no_sound: bool) -> Iterator[Pcm]:
    """One channel at `HEARING_RATE`; rate and channels may change on the way. Raises `Unreadable` where nothing decodes, or so little that
    it is no sound."""
    import av

    kind, good, bad, held = None, 0, 0, 0
    mixer, resampler = None, None
    waiting: list[Any] = []
    for frame in frames:
        if frame is None:
            bad += 1
            continue
        good += 1
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            _check(frame.sample_rate, frame.layout.nb_channels)
            if resampler is not None:
                yield resampler.push(_as_pcm(waiting))
                yield resampler.flush()
            mixer = av.AudioResampler(format="flt", layout="mono")
            resampler = Resampler(frame.sample_rate, HEARING_RATE)
        assert mixer is not None and resampler is not None
        frame.pts = None  # damage leaves times that jump, and a jump is no sound
        waiting += [mixed.to_ndarray()[0] for mixed in mixer.resample(frame)]
        held += frame.samples
        if held >= BLOCK_FRAMES:
            held = 0
            yield resampler.push(_as_pcm(waiting))
    if resampler is not None:
        yield resampler.push(_as_pcm(waiting))
        yield resampler.flush()
    if bad and (not good or (may_be_no_sound and bad >= good)):
        raise Unreadable


def _as_pcm(blocks: list[Any]) -> Pcm:
    """Takes them away: a frame is short, and each step costs as much for one as for many."""
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    blocks.clear()
    return (np.nan_to_num(samples).clip(-1, 1) * 32767).astype(np.int16)


def _why_cut(file: BinaryIO) -> str:
    """What is wrong with an mp4 whose index does not come before its end."""
    file.seek(0)
    data = file.read()
    if data[4:8] == b"ftyp" and b"moov" not in data:
        return "The file is cut off: an mp4 or m4a without its end cannot be played, because its index stands there."
    return ""


def _check(rate: int, channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise ApiError(400, f"The audio has {channels} channels; the most is {MAX_CHANNELS}.", "invalid_audio", "file")
    if not RATES[0] <= rate <= RATES[1]:
        raise ApiError(400, f"The audio has {rate} samples a second; {RATES[0]} to {RATES[1]} can be.", "invalid_audio", "file")
