"""The resampler of a microphone: as good as soxr where speech is, and hardly anything is held back."""

import numpy as np
import pytest
import soxr

from serve_app.audio import level_dbfs
from serve_app.engines import Pcm
from serve_app.live_resampler import LiveResampler

RATES = [(24_000, 16_000), (8_000, 16_000), (44_100, 16_000), (48_000, 16_000)]


def tone(rate: int, hertz: float, seconds: float = 1.0) -> Pcm:
    return (20_000 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def through(from_rate: int, to_rate: int, pcm: Pcm, chunk: int = 480) -> Pcm:
    resampler = LiveResampler(from_rate, to_rate)
    pieces = [resampler.push(pcm[start : start + chunk]) for start in range(0, len(pcm), chunk)]
    return np.concatenate([*pieces, resampler.flush()])


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("part", [0.05, 0.2, 0.43])
def test_tones_that_the_lower_rate_has_are_those_of_soxr(from_rate: int, to_rate: int, part: float) -> None:
    pcm = tone(from_rate, part * min(from_rate, to_rate))
    heard, wanted = through(from_rate, to_rate, pcm), soxr.resample(pcm, from_rate, to_rate)
    assert abs(len(heard) - len(wanted)) <= 1
    common = slice(500, min(len(heard), len(wanted)) - 500)
    assert np.abs(heard[common].astype(int) - wanted[common]).max() <= 20


@pytest.mark.parametrize("hertz", [8_100, 9_500, 11_500])
def test_what_the_new_rate_cannot_have_is_gone_and_not_folded_back(hertz: float) -> None:
    assert level_dbfs(through(24_000, 16_000, tone(24_000, hertz))[500:-500]) < -85


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("chunk", [1, 77, 5_000])
def test_chunks_make_no_difference_beyond_rounding(from_rate: int, to_rate: int, chunk: int) -> None:
    noise = np.random.default_rng(1).integers(-20_000, 20_000, 9_000).astype(np.int16)
    one, other = through(from_rate, to_rate, noise), through(from_rate, to_rate, noise, chunk)
    assert len(one) == len(other)
    assert np.abs(one.astype(int) - other).max() <= 1


@pytest.mark.parametrize(("from_rate", "most_ms"), [(24_000, 4), (8_000, 7)])
def test_of_a_microphones_frames_hardly_anything_is_held_back(from_rate: int, most_ms: float) -> None:
    resampler, heard = LiveResampler(from_rate, 16_000), 0
    for frame in range(1, 50):
        heard += len(resampler.push(np.zeros(from_rate // 50, np.int16)))
        assert 0 <= frame * 320 - heard <= most_ms * 16


def test_after_a_flush_another_stream_begins() -> None:
    resampler, pcm = LiveResampler(24_000, 16_000), tone(24_000, 440)
    once = np.concatenate([resampler.push(pcm), resampler.flush()])
    again = np.concatenate([resampler.push(pcm), resampler.flush()])
    assert np.array_equal(once, again)


def test_the_loudest_sound_is_cut_and_does_not_wrap() -> None:
    square = np.where(np.sin(np.arange(9_600) / 3) > 0, 32_767, -32_768).astype(np.int16)
    heard = through(24_000, 16_000, square)
    assert heard.max() == 32_767 and heard.min() == -32_768
    assert np.abs(np.diff(heard.astype(int))).max() < 65_535
