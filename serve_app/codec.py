"""Between the wire's audio formats and samples: one for each session, because resampling has a past."""

from serve_app import audio
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.live_resampler import LiveResampler

WIRE_RATES = {"audio/pcm": 24_000, "audio/pcmu": 8_000, "audio/pcma": 8_000}
"""Samples a second of the formats that the Realtime protocol has."""


def seconds_of(encoded: bytes, form: str) -> float:
    return len(encoded) / WIRE_RATES[form] / (2 if form == "audio/pcm" else 1)


class Codec:
    def __init__(self) -> None:
        self._in_format = ""
        self._in: LiveResampler | None = None
        self._out_key: tuple[str, str, int] | None = None
        self._out: audio.Resampler | None = None

    def heard(self, encoded: bytes, form: str) -> Pcm:
        """Samples at HEARING_RATE. Raises ValueError for bytes that are no whole samples."""
        if form != self._in_format:
            self._in_format, self._in = form, LiveResampler(WIRE_RATES[form], HEARING_RATE)
        assert self._in is not None
        return self._in.push(audio.decode(encoded, form))

    def heard_rest(self) -> Pcm:
        """What the filter still holds: the last milliseconds before a commit by hand."""
        return audio.NO_PCM if self._in is None else self._in.flush()

    def said(self, pcm: Pcm, rate: int, form: str, response_id: str) -> bytes:
        """`pcm` at `rate` in the wire's format. A new response starts afresh: nothing of an interrupted one is left in the filter."""
        if rate == WIRE_RATES[form]:
            return audio.encode(pcm, form)
        if (key := (response_id, form, rate)) != self._out_key:
            self._out_key, self._out = key, audio.Resampler(rate, WIRE_RATES[form])
        assert self._out is not None
        return audio.encode(self._out.push(pcm), form)

    def said_rest(self, form: str) -> bytes:
        """What the filter still holds of the clause that has ended."""
        return b"" if self._out is None else audio.encode(self._out.flush(), form)
