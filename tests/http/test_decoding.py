"""Files as people send them: several in one, cut off, damaged, with lengths that nobody wrote, and what is no sound at all."""

import io
import random
import struct
from collections.abc import Callable

import av
import numpy as np
import pytest
import soundfile

from serve_app.engines import HEARING_RATE, Pcm
from serve_app.http.decoding import MAX_PARTS, decoded
from serve_app.http.errors import ApiError
from serve_app.http.file_parts import SEARCHED_BYTES, parts

LONGEST_S = 100.0
PART_S = 0.15
"""How much longer or shorter a part may be by what its codec puts before and after it."""

KINDS: dict[str, tuple[str, str]] = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "aiff": ("aiff", "pcm_s16be"),
    "flac": ("flac", "flac"),
    "m4a": ("mp4", "aac"),
    "aac": ("adts", "aac"),
    "ogg": ("ogg", "vorbis"),
    "opus": ("ogg", "libopus"),
    "webm": ("webm", "libopus"),
    "mpeg": ("mpegts", "mp2"),
    "caf": ("caf", "pcm_s16le"),
}


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate) * 0.4


def recorded(kind: str, hertz: float, seconds: float = 1.0, rate: int = 24_000, channels: int = 1) -> bytes:
    form, codec = KINDS[kind]
    content = io.BytesIO()
    if codec == "vorbis":  # PyAV's FFmpeg writes none
        soundfile.write(content, np.stack([tone(hertz, seconds, rate)] * channels, axis=1), rate, format="OGG", subtype="VORBIS")
        return content.getvalue()
    with av.open(content, "w", format=form) as container:
        layout = "mono" if channels == 1 else "stereo"
        stream = container.add_stream(codec, rate=rate, layout=layout)
        samples = np.repeat((tone(hertz, seconds, rate) * 32767).astype(np.int16), channels)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return content.getvalue()


def heard(data: bytes) -> Pcm:
    return decoded(io.BytesIO(data), LONGEST_S)


def pitches(pcm: Pcm) -> list[int]:
    """The tones that are heard one after the other, each a quarter of a second long at least, to the nearest hundred hertz."""
    found: list[int] = []
    window = HEARING_RATE // 8
    before = 0
    for at in range(0, len(pcm) - window + 1, window):
        spectrum = np.abs(np.fft.rfft(pcm[at : at + window] * np.hanning(window)))
        pitch = round(float(spectrum.argmax()) * HEARING_RATE / window / 100) * 100
        if pitch == before and (not found or found[-1] != pitch):
            found.append(pitch)
        before = pitch
    return found


def with_lengths(wav: bytes, sound: int, whole: int | None = None) -> bytes:
    """The same with other numbers in its head."""
    changed = bytearray(wav)
    at = changed.index(b"data") + 4
    changed[at : at + 4] = struct.pack("<I", sound)
    if whole is not None:
        changed[4:8] = struct.pack("<I", whole)
    return bytes(changed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", [{}, {"rate": 48_000, "channels": 2}])
def test_of_joined_files_all_is_heard_in_order(kind: str, other: dict[str, int]) -> None:
    joined = recorded(kind, 400) + recorded(kind, 1200, 1.5, **other) + recorded(kind, 800)
    pcm = heard(joined)
    assert pitches(pcm) == [400, 1200, 800]
    assert len(pcm) / HEARING_RATE == pytest.approx(3.5, abs=3 * PART_S)


@pytest.mark.parametrize(
    ("first", "second"), [("wav", "mp3"), ("mp3", "wav"), ("flac", "ogg"), ("ogg", "opus"), ("m4a", "webm"), ("wav", "aac")]
)
def test_joined_files_may_be_of_two_kinds(first: str, second: str) -> None:
    assert pitches(heard(recorded(first, 400) + recorded(second, 1200))) == [400, 1200]


@pytest.mark.parametrize("at", [SEARCHED_BYTES + offset for offset in (-40, -1, 0, 1)])
@pytest.mark.parametrize("kind", ["wav", "webm", "flac", "ogg", "m4a"])
def test_a_file_is_found_wherever_it_begins(kind: str, at: int) -> None:
    second = recorded(kind, 1200)
    junk = bytes(at)
    assert [part for part in parts(junk + second) if part[0]] == [(at, at + len(second))]


def id3(of_bytes: int) -> bytes:
    size = bytes((of_bytes >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + bytes(of_bytes)


@pytest.mark.parametrize("between", [id3(3000), b"TAG" + b" " * 125, b"a line of text\n" * 30, bytes(500)])
@pytest.mark.parametrize("kind", ["mp3", "wav", "aac", "flac", "ogg", "m4a"])
def test_what_stands_between_joined_files_is_left_out(kind: str, between: bytes) -> None:
    pcm = heard(recorded(kind, 400) + between + recorded(kind, 1200))
    assert pitches(pcm) == [400, 1200]
    assert len(pcm) / HEARING_RATE == pytest.approx(2.0, abs=2 * PART_S)


@pytest.mark.parametrize("sound", [0, 0xFFFFFFFF, 0x7FFFFFFF])
@pytest.mark.parametrize("whole", [None, 0, 36, 0xFFFFFFFF])
def test_a_wav_whose_length_nobody_wrote_goes_to_its_end(sound: int, whole: int | None) -> None:
    wav = with_lengths(recorded("wav", 400), sound, whole)
    assert len(heard(wav)) == HEARING_RATE
    assert pitches(heard(wav + recorded("wav", 1200) + wav)) == [400, 1200, 400]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "m4a"])
def test_of_a_file_that_was_cut_off_what_is_there_is_heard(kind: str) -> None:
    whole = recorded(kind, 400, 20.0)
    pcm = heard(whole[: len(whole) * 7 // 10])
    assert pitches(pcm) == [400]
    assert 8.0 < len(pcm) / HEARING_RATE < 15.0


@pytest.mark.parametrize("kind", KINDS)
def test_of_a_damaged_file_what_decodes_is_heard(kind: str) -> None:
    """Sixteen bytes in a row, in the middle of the sound."""
    damaged = bytearray(recorded(kind, 400, 20.0))
    middle = len(damaged) // 2
    damaged[middle : middle + 16] = random.Random(4).randbytes(16)
    pcm = heard(bytes(damaged))
    assert set(pitches(pcm)) == {400}
    assert 12.0 < len(pcm) / HEARING_RATE < 20.3


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_after_a_file_are_not_heard(kind: str) -> None:
    pcm = heard(recorded(kind, 400) + random.Random(5).randbytes(4000))
    assert len(pcm) / HEARING_RATE == pytest.approx(1.0, abs=PART_S)


@pytest.mark.parametrize("kind", ["mp3", "wav", "flac", "ogg", "webm", "m4a", "aac"])
def test_nor_those_before_it(kind: str) -> None:
    pcm = heard(b"--boundary\r\ncontent-type: audio/x\r\n\r\n" + recorded(kind, 400))
    assert len(pcm) / HEARING_RATE == pytest.approx(1.0, abs=PART_S)


def test_an_mp4_without_its_end_is_refused_with_the_reason() -> None:
    whole = recorded("m4a", 400, 4.0)
    with pytest.raises(ApiError, match="cut off") as refused:
        heard(whole[: len(whole) * 7 // 10])
    assert (refused.value.status, refused.value.code) == (400, "invalid_audio")


@pytest.mark.parametrize("form", ["mp4", "webm"])
def test_a_video_without_sound_is_refused_with_the_reason(form: str) -> None:
    content = io.BytesIO()
    with av.open(content, "w", format=form) as container:
        stream = container.add_stream("mpeg4" if form == "mp4" else "libvpx", rate=10)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.mux([*stream.encode(av.VideoFrame(16, 16, "yuv420p")), *stream.encode(None)])
    with pytest.raises(ApiError, match="no audio track"):
        heard(content.getvalue())


NO_SOUND: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"These are the minutes of a meeting.\n" * 400,
    "page": lambda: b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "json": lambda: b'{"error": {"message": "no such file"}}' * 50,
    "picture": lambda: b"\x89PNG\r\n\x1a\n" + random.Random(6).randbytes(50_000),
    "noise": lambda: random.Random(7).randbytes(300_000),
    "zeros": lambda: bytes(100_000),
    "head alone": lambda: b"RIFF",
    "tag alone": lambda: id3(100),
    "ogg of nothing": lambda: b"OggS\x00\x02" + bytes(100),
}


@pytest.mark.parametrize("what", NO_SOUND)
def test_what_is_no_sound_is_refused_whatever_its_name_says(what: str) -> None:
    with pytest.raises(ApiError) as refused:
        heard(NO_SOUND[what]())
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_audio", "file")


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(ApiError, match="empty"):
        heard(b"")


def test_together_joined_files_are_no_longer_than_one_may_be() -> None:
    one = recorded("wav", 400)
    assert len(decoded(io.BytesIO(one * 3), 3.1)) == 3 * HEARING_RATE
    with pytest.raises(ApiError, match=r"too long: the most is 2\.9 seconds"):
        decoded(io.BytesIO(one * 3), 2.9)


def test_a_file_of_thousands_of_empty_ones_is_refused() -> None:
    with pytest.raises(ApiError, match=str(MAX_PARTS)):
        heard(with_lengths(recorded("wav", 400, 0.001), 0) * (MAX_PARTS + 1))


def test_samples_that_are_no_numbers_are_silence() -> None:
    content = io.BytesIO()
    soundfile.write(content, np.full(HEARING_RATE, np.nan, np.float32), HEARING_RATE, format="WAV", subtype="FLOAT")
    assert not heard(content.getvalue()).any()
