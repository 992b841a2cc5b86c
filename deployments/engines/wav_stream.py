"""Reading audio that arrives in pieces of bytes cut anywhere: bare samples, or a WAV file whose end nobody knows yet. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from serve_app.audio import NO_PCM, Resampler, pcm_of_bytes
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from serve_app.engines import Pcm

PCM_FORMATS = {1, 0xFFFE}
"""WAVE_FORMAT_PCM, and WAVE_FORMAT_EXTENSIBLE, whose samples are the same at 16 bits."""
LONGEST_HEADER = 64 * 1024


class BareSamples:
    """Little-endian, 16 bits."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> Pcm:
        data = self._odd + data
        whole = len(data) // 2 * 2
        self._odd = data[whole:]
        return pcm_of_bytes(data[:whole])

    def finish(self) -> Pcm:
        return NO_PCM


class WavStream:
    """The samples at `rate`, whatever the file's own is. The lengths in the header are not believed: of a file that is still being made
    they are 0 or the greatest number there is."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._header: bytes | None = b""
        """None once the samples have begun."""
        self._resampler: Resampler | None = None
        self._samples = BareSamples()

    def feed(self, data: bytes) -> Pcm:
        """Raises `EngineFailed` for what is no mono 16-bit WAV."""
        if self._header is not None:
            self._header += data
            if (start := self._begin(self._header)) is None:
                return NO_PCM
            data, self._header = self._header[start:], None
        assert self._resampler is not None
        return self._resampler.push(self._samples.feed(data))

    def finish(self) -> Pcm:
        return NO_PCM if self._resampler is None else self._resampler.flush()

    def _begin(self, header: bytes) -> int | None:
        """Where the samples begin; None when more of the header is to come."""
        if len(header) >= 12 and (header[:4] != b"RIFF" or header[8:12] != b"WAVE"):
            raise EngineFailed(f"the endpoint sent no WAV file: it begins with {header[:12]!r}")
        at = 12
        while len(header) >= at + 8:
            name, length = struct.unpack_from("<4sI", header, at)
            if name == b"data":
                return at + 8 if self._resampler else self._lacking("a fmt chunk")
            if name == b"fmt " and len(header) >= at + 24:
                self._resampler = Resampler(_rate(header, at + 8), self._rate)
            at += 8 + length + length % 2
        return self._lacking("an end of its header") if len(header) > LONGEST_HEADER else None

    def _lacking(self, what: str) -> int:
        raise EngineFailed(f"the endpoint sent a WAV file without {what}")


def _rate(header: bytes, at: int) -> int:
    form, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", header, at)
    if form not in PCM_FORMATS or channels != 1 or bits != 16:
        raise EngineFailed(f"the endpoint sent WAV with {channels} channels of {bits} bits (format {form}); wanted is mono with 16 bits")
    return int(rate)
