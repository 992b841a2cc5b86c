"""What every TextToSpeech must do, and what Kokoro must say: it is transcribed again."""

from contextlib import aclosing
from itertools import pairwise

import numpy as np
import pytest
import soxr

from deployments.engines import ELSEWHERE
from deployments.engines.kokoro_speech import MOST_PHONEMES, cut
from deployments.engines.phonemes import SpokenWord
from serve_app.audio import level_dbfs
from serve_app.engines import HEARING_RATE, Due, Hints, Speech
from serve_app.errors import UnknownVoice
from tests.engines.every import at_hand, every, warmed
from tests.recordings import word_error_rate

# Of libraries that are imported: spaCy, torch, misaki.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PARIS = "The capital of France is Paris."


@pytest.fixture(params=every("text_to_speech"))
async def engine(request):
    async with at_hand("text_to_speech", request) as engine:
        yield engine


@pytest.fixture(params=every("text_to_speech", but=("riva",)))
async def mixing_engine(request):
    """Riva mixes no voices."""
    async with at_hand("text_to_speech", request) as engine:
        yield engine


@pytest.fixture(params=every("text_to_speech", but=ELSEWHERE))
def timing_engine(request):
    """An endpoint sends samples alone."""
    return warmed("text_to_speech", request.param)


async def said(engine, text, voice="af_heart", speed=1.0):
    """All samples, and all words."""
    sounds = [sound async for sound in engine.speak(Speech(text, voice, speed))]
    assert all(sound.pcm.dtype == np.int16 and sound.pcm.ndim == 1 and len(sound.pcm) for sound in sounds)
    samples = np.concatenate([sound.pcm for sound in sounds]) if sounds else np.zeros(0, np.int16)
    return samples, [word for sound in sounds for word in sound.words]


async def test_a_sentence_is_heard_piece_by_piece(engine):
    sounds = [sound async for sound in engine.speak(Speech(PARIS, "af_heart"))]
    assert len(sounds) > 3
    pcm = np.concatenate([sound.pcm for sound in sounds])
    assert 1.0 < len(pcm) / engine.sample_rate < 4.0
    assert level_dbfs(pcm) > -40


async def test_words_have_times_in_order_within_the_sound(timing_engine):
    pcm, words = await said(timing_engine, "It is ten o'clock. Good night!")
    assert [word.text for word in words] == ["It", "is", "ten", "o'clock.", "Good", "night!"]
    assert all(word.start_s < word.end_s for word in words)
    assert all(before.end_s <= after.start_s + 1e-6 for before, after in pairwise(words))
    assert 0 <= words[0].start_s and words[-1].end_s <= len(pcm) / timing_engine.sample_rate + 1e-6


@pytest.mark.parametrize("text", ["", " ", "\n"])
async def test_nothing_to_say_is_no_sound(engine, text):
    assert len((await said(engine, text))[0]) == 0


async def test_a_faster_speech_is_shorter(engine):
    slow, fast = [len((await said(engine, PARIS, speed=speed))[0]) for speed in (0.8, 1.6)]
    assert fast < 0.75 * slow


async def test_voices_differ(engine):
    heart, bella = [(await said(engine, "Hello there.", voice))[0] for voice in ("af_heart", "af_bella")]
    assert {"af_heart", "af_bella"} <= set(engine.voices)
    assert not np.array_equal(heart, bella)


async def test_voices_can_be_mixed(mixing_engine):
    assert len((await said(mixing_engine, "Hello there.", "af_heart+af_bella"))[0])


@pytest.mark.parametrize("voice", ["nobody", "af_heart+nobody", ""])
async def test_an_unknown_voice_is_refused_by_its_name(engine, voice):
    with pytest.raises(UnknownVoice, match=repr(voice.rpartition("+")[2])):
        await said(engine, "Hello.", voice)


async def test_a_speech_that_is_not_heard_out_does_not_disturb_the_next(engine):
    before = await said(engine, PARIS)
    async with aclosing(engine.speak(Speech("One. Two. Three.", "af_heart"))) as sounds:
        await anext(sounds)
    again, first = (await said(engine, PARIS))[0], before[0]
    assert len(again) == len(first) and np.abs(again.astype(float) - first).max() <= 0.01 * np.abs(first.astype(float)).max()


# --- Kokoro -------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kokoro():
    return warmed("text_to_speech", "kokoro-onnx")


@pytest.fixture
def heard():
    """Transcribes."""
    moonshine = warmed("recogniser", "moonshine")

    def transcribed(pcm, rate):
        [hypothesis] = moonshine.step([Due(moonshine.begin(Hints()), soxr.resample(pcm, rate, HEARING_RATE), last=True)])
        return hypothesis.text

    return transcribed


@pytest.mark.weights
@pytest.mark.parametrize("voice", ["af_heart", "am_michael", "bf_emma", "af_heart+af_bella"])
async def test_what_kokoro_says_is_understood(kokoro, heard, voice):
    pcm, _ = await said(kokoro, PARIS, voice)
    assert word_error_rate(PARIS, heard(pcm, kokoro.sample_rate)) <= 0.2


@pytest.mark.weights
async def test_a_word_is_where_its_time_says(kokoro, heard):
    text = "The quick brown fox jumps over the lazy dog."
    pcm, words = await said(kokoro, text)
    end_s = next(word for word in words if word.text == "jumps").end_s
    cut_there = np.concatenate([pcm[: int(end_s * kokoro.sample_rate)], np.zeros(kokoro.sample_rate // 4, np.int16)])
    assert word_error_rate("The quick brown fox jumps", heard(cut_there, kokoro.sample_rate)) <= 0.2


@pytest.mark.weights
async def test_the_first_sound_is_not_spent_on_silence(kokoro):
    pcm, _ = await said(kokoro, "Hello there.")
    assert level_dbfs(pcm[: kokoro.sample_rate // 10]) > -50


@pytest.mark.weights
async def test_a_text_longer_than_the_model_takes_is_said_to_its_end(kokoro):
    text = "a very long list of " + ", ".join(["apples and pears"] * 35) + " and one plum"
    pcm, words = await said(kokoro, text, speed=2.0)
    assert [word.text for word in words] == text.split()
    assert words[-1].end_s > 0.9 * len(pcm) / kokoro.sample_rate


def spoken(*sounds):
    return [SpokenWord(sound, sound) for sound in sounds]


def phonemes_of(pieces):
    return [" ".join(word.phonemes for word in piece) for piece in pieces]


def test_sentences_are_pieces():
    assert phonemes_of(cut(spoken("wˈʌn.", "tˈu", "θɹˈi?”", "fˈɔɹ"))) == ["wˈʌn.", "tˈu θɹˈi?”", "fˈɔɹ"]


def test_a_sentence_too_long_is_cut_at_clauses_as_late_as_possible():
    clause = ["a" * 99, "b" * 99 + ","]
    pieces = phonemes_of(cut(spoken(*clause * 4)))
    assert pieces == [" ".join(clause * 2)] * 2


def test_a_clause_too_long_is_cut_between_words_and_a_word_too_long_within():
    words = [*["c" * 100] * 12, "d" * 1200]
    pieces = phonemes_of(cut(spoken(*words)))
    assert all(0 < len(piece) <= MOST_PHONEMES for piece in pieces)
    assert "".join(pieces).replace(" ", "") == "".join(words)
