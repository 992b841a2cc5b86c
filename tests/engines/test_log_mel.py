import numpy as np
import pytest

from deployments.engines.log_mel import log_mel
from deployments.engines.smart_turn import HEARD_SAMPLES, features
from serve_app.engines import HEARING_RATE
from tests.recordings import BEST_OF_TIMES


@pytest.fixture(scope="module")
def reference():
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(chunk_length=8)


def test_the_features_are_those_of_transformers(reference):
    for samples in (BEST_OF_TIMES.pcm, BEST_OF_TIMES.pcm[: 2 * HEARING_RATE], np.resize(BEST_OF_TIMES.pcm, 12 * HEARING_RATE)):
        heard = samples[-HEARD_SAMPLES:].astype(np.float32) / 32768
        padded = np.pad(heard, (HEARD_SAMPLES - len(heard), 0))
        wanted = reference(padded, sampling_rate=HEARING_RATE, return_tensors="np", do_normalize=True).input_features[0]
        assert wanted.shape == features(samples).shape == (80, 800)
        np.testing.assert_allclose(features(samples), wanted, atol=1e-4)


def test_a_tone_stands_in_its_band_alone():
    tone = np.sin(2 * np.pi * 1000 * np.arange(HEARING_RATE) / HEARING_RATE)
    bands = log_mel(tone).mean(axis=1)
    # 1000 Hz is 15 mel of 45.2 (8000 Hz), in 81 steps: between the triangles 25 and 26.
    assert bands.argmax() in (25, 26)
    assert bands.max() - np.median(bands) > 1
