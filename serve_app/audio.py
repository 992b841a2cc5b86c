"""Samples: between bytes and numbers, between sample rates, the recent past, and how loud it is.

Everything here is mono. `Pcm` is int16, shape [n].
"""

import numpy as np

from serve_app import g711
from serve_app.engines import Pcm
from serve_app.errors import SparkvoxError

NO_PCM: Pcm = np.zeros(0, np.int16)
SILENCE_DBFS = -100.0
"""What `level_dbfs` says of digital silence; one step of 16 bits is -90."""


class BadAudio(SparkvoxError, ValueError):
    """Bytes that are not audio of the format that was named."""


def sample_bytes(form: str) -> int:
    """How many bytes one sample takes in a format of the Realtime protocol."""
    return 2 if form == "audio/pcm" else 1


def check_whole(data: bytes, form: str) -> None:
    """Raises `BadAudio` for bytes that end in half a sample."""
    if len(data) % sample_bytes(form):
        raise BadAudio(f"16-bit audio has two bytes a sample, and {len(data)} bytes end in half a sample")


def pcm_of_bytes(data: bytes) -> Pcm:
    """Little-endian 16-bit samples. Raises `BadAudio` for half a sample."""
    check_whole(data, "audio/pcm")
    return np.frombuffer(data, "<i2").astype(np.int16, copy=False)


def bytes_of_pcm(pcm: Pcm) -> bytes:
    return pcm.astype("<i2", copy=False).tobytes()


def decode(data: bytes, form: str) -> Pcm:
    """`form` is a format's name in the Realtime protocol: audio/pcm, audio/pcmu or audio/pcma. Raises `BadAudio`."""
    match form:
        case "audio/pcm":
            return pcm_of_bytes(data)
        case "audio/pcmu":
            return g711.of_ulaw(data)
        case "audio/pcma":
            return g711.of_alaw(data)
    raise BadAudio(f"{form!r} is no audio format; there are audio/pcm, audio/pcmu and audio/pcma")


def encode(pcm: Pcm, form: str) -> bytes:
    """The other way from `decode`."""
    match form:
        case "audio/pcm":
            return bytes_of_pcm(pcm)
        case "audio/pcmu":
            return g711.ulaw(pcm)
        case "audio/pcma":
            return g711.alaw(pcm)
    raise BadAudio(f"{form!r} is no audio format; there are audio/pcm, audio/pcmu and audio/pcma")


def duration_s(pcm: Pcm, rate: int) -> float:
    return len(pcm) / rate


def level_dbfs(pcm: Pcm) -> float:
    """Root mean square against full scale, in decibels: a full square wave is 0, a full sine -3."""
    if not len(pcm):
        return SILENCE_DBFS
    power = float(np.mean(np.square(pcm, dtype=np.float64))) / 32768.0**2
    return max(10.0 * float(np.log10(power)), SILENCE_DBFS) if power > 0.0 else SILENCE_DBFS


class Resampler:
    """Changes the sample rate of a stream. What comes out does not depend on how the stream is cut into chunks, so there are no clicks.

    The filter holds back 12 to 37 ms between 16 and 24 kHz, and up to 115 ms from 8 to 16 kHz, until more comes or `flush` is called
    (measured, soxr 1.1.0, 20 ms chunks).
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._rates = (from_rate, to_rate)
        self._stream = self._start()

    def push(self, pcm: Pcm) -> Pcm:
        """As much as is ready, perhaps nothing."""
        return pcm if self._stream is None else self._stream.resample_chunk(pcm)

    def flush(self) -> Pcm:
        """The rest of the stream; the next `push` begins another."""
        if self._stream is None:
            return NO_PCM
        rest = self._stream.resample_chunk(NO_PCM, last=True)
        self._stream = self._start()
        return rest

    def _start(self):  # type: ignore[no-untyped-def]  # soxr has no types
        import soxr

        from_rate, to_rate = self._rates
        return None if from_rate == to_rate else soxr.ResampleStream(from_rate, to_rate, 1, dtype="int16")


class Ring:
    """The last samples of a stream, found by their position since its beginning. Memory is taken once."""

    def __init__(self, capacity: int) -> None:
        self._samples: Pcm = np.zeros(capacity, np.int16)
        self.position = 0
        """Samples pushed so far; where the next one goes."""

    def push(self, pcm: Pcm) -> None:
        kept = pcm[-len(self._samples) :]
        at = (self.position + len(pcm) - len(kept)) % len(self._samples)
        first = min(len(kept), len(self._samples) - at)
        self._samples[at : at + first] = kept[:first]
        self._samples[: len(kept) - first] = kept[first:]
        self.position += len(pcm)

    def since(self, position: int) -> Pcm:
        """A copy of what came from `position` on. What is no longer kept is left out in front."""
        return self.last(self.position - position)

    def last(self, samples: int) -> Pcm:
        """A copy of the newest `samples`, or of as many as there are."""
        count = max(0, min(samples, self.position, len(self._samples)))
        end = self.position % len(self._samples)
        if count <= end:
            return self._samples[end - count : end].copy()
        return np.concatenate((self._samples[end - count :], self._samples[:end]))
