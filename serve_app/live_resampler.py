"""Another sample rate for sound that somebody waits for: what comes in goes out but for some 4 ms.

soxr (serve_app/audio.py) holds back 7 to 37 ms of a microphone's 20 ms chunks, and a turn ends, and a text is final, as much later. This is
a sinc under a Kaiser window, as one matrix: from the samples of a short block and those around it to the samples of the other rate.
"""

from functools import cache
from math import gcd

import numpy as np
import numpy.typing as npt

from serve_app.engines import Pcm

CROSSINGS = 48
"""Zero crossings of the sinc on each side: the delay and the steepness."""
BETA = 9.0
"""Of the Kaiser window: what is too high for the new rate is 90 dB down."""
CUTOFF = 0.94
"""Of half the lower rate, where the filter is half way down; it is all the way down at 1."""
BLOCK = 20
"""Samples that come out at once: the more, the better the matrix is used, and the longer the first of them waits."""


class LiveResampler:
    """What comes out does not depend on how the stream is cut into chunks, but for the rounding of single steps."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        divisor = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // divisor, from_rate // divisor
        self._takes, self._around, self._weights = _matrix(self._up, self._down)
        self._came, self._gave = 0, 0
        self._buffer = self._silence()
        """What the next block needs; silence before the first sample."""

    def push(self, pcm: Pcm) -> Pcm:
        """As much as is ready, perhaps nothing."""
        self._came += len(pcm)
        self._buffer = np.concatenate((self._buffer, pcm), dtype=np.float32)
        span = len(self._weights)
        blocks = max(0, (len(self._buffer) - span) // self._takes + 1)
        windows = np.ndarray((blocks, span), np.float32, self._buffer, 0, (4 * self._takes, 4)).copy()  # as_strided, 8 us cheaper
        self._buffer = self._buffer[blocks * self._takes :]
        out = np.rint(windows @ self._weights).ravel()
        self._gave += len(out)
        return np.minimum(np.maximum(out, -32768.0, out), 32767.0, out).astype(np.int16)

    def flush(self) -> Pcm:
        """The rest of the stream; the next `push` begins another."""
        left = -(-self._came * self._up // self._down) - self._gave
        rest = self.push(np.zeros(self._around + self._takes, np.int16))[:left]
        self._came, self._gave, self._buffer = 0, 0, self._silence()
        return rest

    def _silence(self) -> npt.NDArray[np.float32]:
        return np.zeros(self._around, np.float32)


@cache
def _matrix(up: int, down: int) -> tuple[int, int, npt.NDArray[np.float32]]:
    """Samples that a block takes; how many it needs before and after them; the weights, [before + block + after, what it gives]."""
    blocks = max(1, BLOCK // up)
    takes, gives, widest = blocks * down, blocks * up, max(up, down)
    around = CROSSINGS * widest // up + 1
    heard_at = np.arange(-around, takes + around)[:, None] * up
    distance = (heard_at - np.arange(gives) * down) / widest
    window = np.i0(BETA * np.sqrt(np.clip(1 - (distance / CROSSINGS) ** 2, 0, None))) * (np.abs(distance) <= CROSSINGS)
    weights = np.sinc(CUTOFF * distance) * window
    return takes, around, (weights / weights.sum(axis=0)).astype(np.float32)
