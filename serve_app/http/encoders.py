"""Samples -> the bytes of an audio file, as they come. What was given out cannot be changed any more: lengths that a format keeps at its
beginning say "unknown" there, as in any live stream."""

import struct
from typing import Any, Literal, Protocol

from serve_app.audio import bytes_of_pcm
from serve_app.engines import Pcm

RATE = 24_000
Form = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
MEDIA_TYPES: dict[Form, str] = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
UNKNOWN_LENGTH = 0xFFFFFFFF

_SOUNDFILE: dict[str, dict[str, Any]] = {
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    # 80 kbit/s, constant: a player takes the length of what has no header from the bitrate of the first frame.
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.5},
}


class Encoder(Protocol):
    def feed(self, pcm: Pcm) -> bytes:
        """`pcm` at `RATE`. As much of the file as is ready, perhaps nothing: ogg comes in pages of about a second."""

    def finish(self) -> bytes:
        """The rest of the file."""


def encoder(form: Form) -> Encoder:
    if form in _SOUNDFILE:
        return _Packed(_SOUNDFILE[form])
    if form == "aac":
        return _Adts()
    return _Plain(wav_header() if form == "wav" else b"")


def wav_header() -> bytes:
    """Mono 16-bit PCM at `RATE`, of a length not known yet."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, RATE, RATE * 2, 2, 16)
    return b"RIFF" + struct.pack("<I", UNKNOWN_LENGTH) + b"WAVEfmt " + form + b"data" + struct.pack("<I", UNKNOWN_LENGTH)


class _Plain:
    def __init__(self, header: bytes) -> None:
        self._header = header

    def feed(self, pcm: Pcm) -> bytes:
        header, self._header = self._header, b""
        return header + bytes_of_pcm(pcm)

    def finish(self) -> bytes:
        header, self._header = self._header, b""
        return header


class _Packed:
    """By libsndfile, which takes well under a hundredth of the audio's time."""

    def __init__(self, how: dict[str, Any]) -> None:
        import soundfile

        self._sink = _Sink()
        self._file = soundfile.SoundFile(self._sink, "w", RATE, 1, **how)

    def feed(self, pcm: Pcm) -> bytes:
        self._file.write(pcm)
        return self._sink.take()

    def finish(self) -> bytes:
        self._file.close()
        return self._sink.take()


class _Adts:
    """AAC in frames that each have a header, by FFmpeg's own encoder (PyAV)."""

    def __init__(self) -> None:
        import av

        self._sink = _Sink()
        self._file = av.open(self._sink, "w", format="adts")
        self._stream = self._file.add_stream("aac", rate=RATE, layout="mono")

    def feed(self, pcm: Pcm) -> bytes:
        import av

        if len(pcm):
            frame = av.AudioFrame.from_ndarray(pcm.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate = RATE
            self._file.mux(self._stream.encode(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        self._file.mux(self._stream.encode(None))
        self._file.close()
        return self._sink.take()


class _Sink:
    """A file that only grows: what libsndfile writes over the header when it closes is dropped, because the header is gone."""

    def __init__(self) -> None:
        self._fresh = bytearray()
        self._taken = 0
        self._at = 0

    def take(self) -> bytes:
        fresh = bytes(self._fresh)
        self._taken += len(fresh)
        self._fresh.clear()
        return fresh

    def write(self, data: bytes) -> int:
        start = self._at - self._taken
        self._at += len(data)
        kept = bytes(data)[max(0, -start) :]
        at = max(0, start)
        self._fresh[at : at + len(kept)] = kept
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._taken + len(self._fresh))[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        return b""

    def flush(self) -> None: ...
