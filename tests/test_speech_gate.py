"""What of an utterance is recognised, with a voice activity that takes what is loud for speech."""

import numpy as np
import pytest

from deployments.engines.fake import FakeVoiceActivity
from serve_app.engines import HEARING_RATE, Pcm
from serve_app.speech_gate import LEAD_S, TAIL_S, LevelledVoice, SpeechGate, speech_in

FRAME = FakeVoiceActivity.frame_samples
RNG = np.random.default_rng(3)


def speech(seconds: float) -> Pcm:
    """Noise, of which no two stretches are alike."""
    return RNG.integers(-9000, 9000, int(seconds * HEARING_RATE)).astype(np.int16)


def pause(seconds: float) -> Pcm:
    """Too faint for the fake even when it is raised."""
    return RNG.integers(-1, 2, int(seconds * HEARING_RATE)).astype(np.int16)


def joined(*parts: Pcm) -> Pcm:
    return np.concatenate(parts)


def starts_at(part: Pcm, whole: Pcm) -> int | None:
    """Where `part` lies in `whole`."""
    for at in np.flatnonzero(whole[: len(whole) - len(part) + 1] == part[0]):
        if np.array_equal(whole[at : at + len(part)], part):
            return int(at)
    return None


@pytest.mark.parametrize("nothing", [pause(0), pause(0.05), pause(20), joined(pause(2), speech(0.1), pause(2))])
def test_without_speech_nothing_is_recognised(nothing):
    assert len(speech_in(nothing, FakeVoiceActivity())) == 0


@pytest.mark.parametrize("before_s", [0.0, 0.1, 7.0])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 7.0])
@pytest.mark.parametrize("said_s", [0.25, 3.3])
def test_all_of_the_speech_is_recognised_and_a_little_around_it(before_s, said_s, after_s):
    said = speech(said_s)
    whole = joined(pause(before_s), said, pause(after_s))
    passed = speech_in(whole, FakeVoiceActivity())
    assert starts_at(said, passed) is not None
    assert starts_at(passed, whole) is not None, "what is passed is one stretch of what came"
    assert len(passed) / HEARING_RATE <= said_s + min(before_s, LEAD_S + 0.3) + min(after_s, TAIL_S + 0.1) + 1e-6


def test_a_long_pause_within_loses_its_middle_alone():
    first, second = speech(1.0), speech(1.0)
    passed = speech_in(joined(first, pause(10), second), FakeVoiceActivity())
    assert starts_at(first, passed) == 0 and starts_at(second, passed) == len(passed) - len(second)
    assert TAIL_S + LEAD_S <= (len(passed) - len(first) - len(second)) / HEARING_RATE < 2.0


def test_a_short_pause_is_left_as_it_is():
    whole = joined(speech(1.0), pause(0.5), speech(1.0))
    assert np.array_equal(speech_in(whole, FakeVoiceActivity()), whole)


def test_a_word_that_the_end_cuts_off_is_recognised():
    said = speech(0.12)
    assert starts_at(said, speech_in(joined(pause(2), said), FakeVoiceActivity())) is not None


@pytest.mark.parametrize("cut", [1, 7, 320, FRAME, 960, 100_000])
def test_how_the_audio_is_cut_into_messages_changes_nothing(cut):
    whole = joined(pause(1.3), speech(0.7), pause(3.1), speech(0.9), pause(0.2))
    gate = SpeechGate(FakeVoiceActivity())
    passed = [gate.feed(whole[at : at + cut]) for at in range(0, len(whole), cut)]
    assert np.array_equal(joined(*passed, gate.finish()), speech_in(whole, FakeVoiceActivity()))
    assert gate.withheld_s == pytest.approx((len(whole) - gate.passed) / HEARING_RATE) and gate.came == len(whole)


class Loudest:
    """Voice activity that tells how loud the frame is that it was given."""

    def score(self, frame: Pcm) -> float:
        return float(np.abs(frame.astype(int)).max()) / 32768


def test_faint_sound_is_raised_before_it_is_scored_and_loud_sound_is_not():
    faint, loud = np.full(FRAME, 80, np.int16), np.full(FRAME, 20_000, np.int16)
    voice = LevelledVoice(Loudest())
    assert voice.score(faint) > 0.05
    assert voice.score(loud) == pytest.approx(20_000 / 32768)
    assert voice.score(faint) < 0.01, "what follows something loud is faint by itself"
    for _ in range(200):
        voice.score(faint)
    assert voice.score(faint) > 0.05, "and after a while it is all there is"
