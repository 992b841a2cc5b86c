"""The log-mel spectrogram that Whisper and models after it were trained on (Radford et al. 2022, section 2.2), with numpy alone.

transformers computes the same, but importing it takes seconds; tests/engines/test_log_mel.py holds the two together.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]

WINDOW = 400
HOP = 160
"""Samples at 16 kHz: 25 ms windows every 10 ms."""
BANDS = 80


def log_mel(samples: Floats) -> npt.NDArray[np.float32]:
    """`samples`: shape [n] at 16 kHz, n > WINDOW / 2. Gives shape [BANDS, n // HOP], about -1 to 1.5."""
    padded = np.pad(samples, WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(samples) // HOP]
    # A window that is periodic, not symmetric: its end is the next one's beginning.
    window = np.hanning(WINDOW + 1)[:-1]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    levels = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    return ((np.maximum(levels, levels.max() - 8.0) + 4.0) / 4.0).astype(np.float32)


@cache
def _filters() -> Floats:
    """Triangles on Slaney's mel scale, each of the same area; shape [BANDS, WINDOW // 2 + 1]."""
    edges = _hertz(np.linspace(0.0, _mel(8000.0), BANDS + 2))
    bins = np.linspace(0.0, 8000.0, WINDOW // 2 + 1)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    area = 2.0 / (edges[2:] - edges[:-2])
    return np.maximum(0.0, np.minimum(rising, falling)) * area[:, None]


# Slaney's Auditory Toolbox (1998): linear below 1000 Hz, 3 mel to 200 Hz; above it 27 mel to each factor of 6.4.
_BREAK_HZ, _BREAK_MEL, _MEL_PER_LOG = 1000.0, 15.0, 27.0 / np.log(6.4)


def _mel(hertz: float) -> float:
    return hertz * 3.0 / 200.0 if hertz < _BREAK_HZ else _BREAK_MEL + float(np.log(hertz / _BREAK_HZ)) * _MEL_PER_LOG


def _hertz(mel: Floats) -> Floats:
    return np.where(mel < _BREAK_MEL, mel * 200.0 / 3.0, _BREAK_HZ * np.exp((mel - _BREAK_MEL) / _MEL_PER_LOG))
