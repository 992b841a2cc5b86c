"""What every TurnDetector must do, and what Smart Turn must hear."""

import asyncio

import numpy as np
import pytest

from serve_app.engines import HEARING_RATE
from tests.engines.every import every, warmed
from tests.recordings import BEST_OF_TIMES, EVERYTHING


@pytest.fixture(params=every("turn_detector"))
def detector(request):
    return warmed("turn_detector", request.param)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 3.0, 8.0, 30.0])
async def test_audio_of_any_length_has_a_probability(detector, seconds):
    pcm = np.resize(BEST_OF_TIMES.pcm, int(seconds * HEARING_RATE))
    assert 0.0 <= await detector.score(pcm) <= 1.0


async def test_the_same_audio_has_the_same_score_also_beside_others(detector):
    alone = await detector.score(EVERYTHING.pcm)
    beside = await asyncio.gather(*(detector.score(pcm) for pcm in (EVERYTHING.pcm, BEST_OF_TIMES.pcm, EVERYTHING.pcm)))
    assert (beside[0], beside[2]) == (alone, alone)


async def test_the_audio_given_is_not_changed(detector):
    pcm = EVERYTHING.pcm.copy()
    await detector.score(pcm)
    assert np.array_equal(pcm, EVERYTHING.pcm)


@pytest.fixture
def smart_turn():
    return warmed("turn_detector", "smart-turn")


@pytest.mark.weights
async def test_smart_turn_tells_a_finished_sentence_from_one_that_breaks_off(smart_turn):
    finished = EVERYTHING.pcm
    broken_off = finished[: int(2.4 * HEARING_RATE)]
    assert await smart_turn.score(finished) > 0.5 > await smart_turn.score(broken_off)
