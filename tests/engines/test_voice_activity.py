"""What every VoiceActivity must do."""

import numpy as np
import pytest

from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed
from tests.engines.every import every, warmed
from tests.recordings import BEST_OF_TIMES, EVERYTHING


@pytest.fixture(params=every("voice_activity"))
def detector(request):
    return warmed("voice_activity", request.param)


def scores(detector, stream, pcm):
    size = detector.frame_samples
    return np.array([stream.score(pcm[start : start + size]) for start in range(0, len(pcm) - size + 1, size)])


def test_a_reader_is_heard_most_of_the_time(detector):
    speech = scores(detector, detector.open(), BEST_OF_TIMES.pcm)
    assert np.all((speech >= 0) & (speech <= 1))
    assert np.mean(speech > 0.5) > 0.5


def test_silence_and_a_quiet_room_are_no_speech(detector):
    hiss = np.random.default_rng(1).normal(0, 30, 2 * HEARING_RATE).astype(np.int16)
    for quiet in (np.zeros(2 * HEARING_RATE, np.int16), hiss):
        assert np.all(scores(detector, detector.open(), quiet) < 0.5)


def test_the_pause_after_the_words_is_seen(detector):
    pause = np.zeros(HEARING_RATE, np.int16)
    stream = detector.open()
    scores(detector, stream, BEST_OF_TIMES.pcm)
    assert np.all(scores(detector, stream, pause)[-15:] < 0.5)


def test_two_sessions_do_not_disturb_each_other(detector):
    size = detector.frame_samples
    alone = scores(detector, detector.open(), EVERYTHING.pcm)
    one, other, beside = detector.open(), detector.open(), []
    for start in range(0, len(EVERYTHING.pcm) - size + 1, size):
        beside.append(one.score(EVERYTHING.pcm[start : start + size]))
        other.score(BEST_OF_TIMES.pcm[start : start + size])
    assert alone == pytest.approx(beside, abs=1e-4)


def test_a_frame_of_another_length_is_refused(detector):
    with pytest.raises(EngineFailed, match="not 100"):
        detector.open().score(np.zeros(100, np.int16))
