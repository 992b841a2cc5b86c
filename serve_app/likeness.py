"""How much a sound is like another, and with which lag: what tells an echo from other speech.

Likeness is the whitened cross-correlation of both (a generalised cross-correlation: Knapp and Carter, IEEE ASSP 24(4), 1976, with
exponent `WHITENING` instead of 1), its highest value against the highest elsewhere: an echo has one lag, other speech has none.
Coherence says how much of one comes from the other by any linear way (Carter, Knapp and Nuttall, IEEE AU 21(4), 1973), over segments that
are short against the half second that is compared: two voices are now and then alike at some lag, and seldom coherent there.
"""

import numpy as np

from serve_app.engines import HEARING_RATE, Pcm

WHITENING = 0.8
SPEECH_BAND_HZ = (200, 6000)
NEIGHBOURS = 80
"""Lags that belong to one peak: 5 ms to either side."""
SEGMENT = 512
ENOUGH = 8
"""Segments: half of one is shared with its neighbour, and any two sounds are coherent over a few."""


def likeness(heard: Pcm, played: Pcm, early: int = 0) -> tuple[int, float]:
    """The lag in samples at which `heard` is most like `played`, and how much more than at any other. `played` begins earlier than `heard`
    by the longest lag, and ends `early` samples later than it: the shortest lag is `-early`."""
    size = _fft_size(len(played))
    longest = len(played) - len(heard) - early
    one, other = np.fft.rfft(heard, size), np.fft.rfft(played, size)
    hertz = np.arange(len(one)) * (HEARING_RATE / size)
    weight = (hertz > SPEECH_BAND_HZ[0]) & (hertz < SPEECH_BAND_HZ[1])
    cross = one * np.conj(other) * weight / ((np.abs(one) * np.abs(other)) ** WHITENING + 1.0)
    correlation = np.abs(np.fft.irfft(cross, size))[(np.arange(-early, longest + 1) - longest) % size]
    at = int(correlation.argmax())
    highest = float(correlation[at])
    correlation[max(0, at - NEIGHBOURS) : at + NEIGHBOURS] = 0.0
    elsewhere = float(correlation.max())
    return at - early, highest / elsewhere if elsewhere > 0.0 else 0.0


def _fft_size(samples: int) -> int:
    """Three times a power of two, or a power of two: quick sizes."""
    power = 1 << (samples - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= samples else power


def coherence(heard: Pcm, played: Pcm) -> float | None:
    """Magnitude-squared, 0 to 1, the mean over the band of speech with the weight of what is loud; None where fewer than `ENOUGH` segments
    have sound in both, which tells nothing. Both int16 [n], n >= 2 * `SEGMENT`."""
    one, other = _spectra(heard), _spectra(played)
    if _segments(np.abs(one).sum(1) * np.abs(other).sum(1)) < ENOUGH:
        return None
    both = np.sqrt((np.abs(one) ** 2).sum(0) * (np.abs(other) ** 2).sum(0))
    shared = np.abs((one * np.conj(other)).sum(0)) ** 2
    return float((shared / (both + 1.0)).sum() / (both.sum() + 1.0))


def _segments(loudness: np.ndarray) -> float:
    """How many segments equally loud would be as much (the inverse of the Herfindahl index)."""
    return float(loudness.sum() ** 2 / (np.square(loudness).sum() + 1.0))


def _spectra(pcm: Pcm) -> np.ndarray:
    """[segment, frequency]"""
    segments = np.lib.stride_tricks.sliding_window_view(pcm, SEGMENT)[:: SEGMENT // 2]
    hertz = np.fft.rfftfreq(SEGMENT, 1 / HEARING_RATE)
    return np.fft.rfft(segments * np.hanning(SEGMENT))[:, (hertz > SPEECH_BAND_HZ[0]) & (hertz < SPEECH_BAND_HZ[1])]
