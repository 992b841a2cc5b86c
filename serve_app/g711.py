"""G.711 (ITU-T, 11/88): telephone audio, one byte a sample, by mu-law and by A-law. Tables, made once, turn whole arrays."""

import numpy as np
import numpy.typing as npt

from serve_app.engines import Pcm

_EVERY_SAMPLE = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
_EVERY_CODE = np.arange(256, dtype=np.int32)


def _segment(value: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """The position of the highest bit of each value, 0 for none."""
    return np.frexp(value.astype(np.float64))[1].astype(np.int32) - 1


def _ulaw_encoding() -> npt.NDArray[np.uint8]:
    # Table 2a: 14-bit magnitudes with 33 added, eight segments whose steps double, all bits inverted.
    wide = _EVERY_SAMPLE >> 2
    value = np.minimum(np.abs(wide), 8158) + 33
    segment = _segment(value) - 5
    code = segment << 4 | value >> segment + 1 & 0x0F
    return (np.where(wide < 0, code | 0x80, code) ^ 0xFF).astype(np.uint8)


def _ulaw_decoding() -> Pcm:
    code = _EVERY_CODE ^ 0xFF
    value = ((code & 0x0F) << 3) + 132 << (code >> 4 & 7)
    return np.where(code & 0x80, 132 - value, value - 132).astype(np.int16)


def _alaw_encoding() -> npt.NDArray[np.uint8]:
    # Table 1a: 13-bit values, the two lowest segments with one step, even bits inverted; a negative value counts from -1.
    wide = _EVERY_SAMPLE >> 3
    value = np.where(wide < 0, ~wide, wide)
    segment = np.maximum(_segment(value) - 4, 0)
    code = segment << 4 | value >> np.maximum(segment, 1) & 0x0F
    return (np.where(wide < 0, code, code | 0x80) ^ 0x55).astype(np.uint8)


def _alaw_decoding() -> Pcm:
    code = _EVERY_CODE ^ 0x55
    segment = code >> 4 & 7
    value = ((code & 0x0F) << 4) + np.where(segment, 0x108, 8) << np.maximum(segment - 1, 0)
    return np.where(code & 0x80, value, -value).astype(np.int16)


_TO_ULAW, _FROM_ULAW = _ulaw_encoding(), _ulaw_decoding()
_TO_ALAW, _FROM_ALAW = _alaw_encoding(), _alaw_decoding()


def ulaw(pcm: Pcm) -> bytes:
    return _TO_ULAW[pcm.view(np.uint16)].tobytes()


def of_ulaw(data: bytes) -> Pcm:
    return _FROM_ULAW[np.frombuffer(data, np.uint8)]


def alaw(pcm: Pcm) -> bytes:
    return _TO_ALAW[pcm.view(np.uint16)].tobytes()


def of_alaw(data: bytes) -> Pcm:
    return _FROM_ALAW[np.frombuffer(data, np.uint8)]
