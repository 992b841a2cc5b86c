"""Between the wire's audio formats and samples. Resampling has a past: a session has one codec for what it hears, and each of its spoken
responses one of its own, because several may be spoken at once."""

from collections.abc import Iterator

from serve_app import audio
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.live_resampler import LiveResampler
from serve_app.realtime.client_events import RATES as WIRE_RATES

BLOCK_S = 0.2
"""Audio that is decoded and resampled in one go, in a fraction of a millisecond: one message may hold half an hour. A product of half a
second wakes OpenBLAS's pool of threads, which cost 9 to 40 times as much on a machine with other work (numpy 2.3, two cores)."""


def seconds_of(size: int, form: str) -> float:
    """How long that many bytes of a format last."""
    return size / WIRE_RATES[form] / audio.sample_bytes(form)


class Codec:
    def __init__(self) -> None:
        self._in_format = ""
        self._in: LiveResampler | None = None
        self._out_key: tuple[str, int] | None = None
        self._out: audio.Resampler | None = None

    def heard(self, encoded: bytes, form: str) -> Iterator[Pcm]:
        """Samples at HEARING_RATE, block by block: let others have their turn between two. Raises ValueError at once for bytes that are no
        whole samples."""
        audio.check_whole(encoded, form)
        return self._blocks(encoded, form)

    def _blocks(self, encoded: bytes, form: str) -> Iterator[Pcm]:
        if form != self._in_format:
            yield self.heard_rest()  # of the format before
            self._in_format, self._in = form, LiveResampler(WIRE_RATES[form], HEARING_RATE)
        assert self._in is not None
        block = int(BLOCK_S * WIRE_RATES[form]) * audio.sample_bytes(form)
        for start in range(0, len(encoded), block):
            yield self._in.push(audio.decode(encoded[start : start + block], form))

    def heard_rest(self) -> Pcm:
        """What the filter still holds: the last milliseconds before a commit by hand."""
        return audio.NO_PCM if self._in is None else self._in.flush()

    def said(self, pcm: Pcm, rate: int, form: str) -> bytes:
        """`pcm` at `rate` in the wire's format."""
        if rate == WIRE_RATES[form]:
            return audio.encode(pcm, form)
        if (key := (form, rate)) != self._out_key:
            self._out_key, self._out = key, audio.Resampler(rate, WIRE_RATES[form])
        assert self._out is not None
        return audio.encode(self._out.push(pcm), form)

    def said_rest(self, form: str) -> bytes:
        """What the filter still holds of the clause that has ended."""
        return b"" if self._out is None else audio.encode(self._out.flush(), form)
