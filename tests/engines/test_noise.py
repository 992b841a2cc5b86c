"""No words are made of noise, and faint or short speech is not taken for noise: Silero's gate in front of Moonshine."""

import asyncio
import wave

import numpy as np
import pytest
import soxr

from deployments.engines.quiet import heard
from serve_app.audio import pcm_of_bytes
from serve_app.engines import HEARING_RATE, Due, Hints, Speech
from serve_app.http.phrases import phrases
from serve_app.speech_gate import speech_in
from tests.engines.every import warmed
from tests.recordings import BEST_OF_TIMES, Recording, word_error_rate

pytestmark = [
    pytest.mark.weights,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

QUESTION = Recording("capital_of_france.wav", "What is the capital of France?")
SECONDS = 6
AT = np.arange(SECONDS * HEARING_RATE) / HEARING_RATE


def samples(sound):
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def amplitude(dbfs):
    return 32768 * 10 ** (dbfs / 20)


def white(dbfs, length=SECONDS * HEARING_RATE):
    return np.random.default_rng(4).normal(0, amplitude(dbfs), length)


def pink(dbfs):
    spectrum = np.fft.rfft(white(0))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(AT))
    return noise / noise.std() * amplitude(dbfs)


def tones(*hz, peak=6000):
    return sum(peak * np.sin(2 * np.pi * one * AT) for one in hz)


def hum(peak=2000):
    return sum(peak / k * np.sin(2 * np.pi * 50 * k * AT + k) for k in range(1, 10))


def struck(hz, every_s, fades, peak):
    """Notes or knocks: `hz` and its overtones, struck again and again, each dying away."""
    since = AT % every_s
    return peak * np.exp(-fades * since) * sum(np.sin(2 * np.pi * hz * k * since) / k for k in (1, 2, 3))


def breath(dbfs):
    return np.convolve(white(dbfs), np.ones(6) / 6, "same") * np.clip(np.sin(2 * np.pi * 0.3 * AT), 0, 1) ** 2


NOISES = {
    **{f"white {db}": white(db) for db in (-60, -50, -40, -30, -20, -10)},
    **{f"pink {db}": pink(db) for db in (-60, -45, -30, -15)},
    "hum": hum(),
    "loud hum": hum(9000),
    "tone": tones(440),
    "dial tone": tones(350, 440),
    "chord": struck(220, 0.5, 3, 3000) + struck(277, 0.5, 3, 3000) + struck(330, 0.5, 3, 3000),
    "knocks": np.clip(white(-8), -32768, 32767) * np.exp(-80 * (AT % 0.5)),
    "breath": breath(-25),
    "offset": white(-85) + 3000,
    "silence": np.zeros(len(AT)),
}


@pytest.fixture(scope="module")
def silero():
    return warmed("voice_activity", "silero")


@pytest.fixture(scope="module")
def moonshine():
    return warmed("recogniser", "moonshine")


@pytest.fixture(scope="module")
def said():
    """A word, spoken: fills the whole range of 16 bits."""
    voice = warmed("text_to_speech", "kokoro-onnx")

    async def spoken(text):
        return np.concatenate([sound.pcm async for sound in voice.speak(Speech(text, "af_heart"))])

    def word(text):
        pcm = soxr.resample(asyncio.run(spoken(text)).astype(np.float32), voice.sample_rate, HEARING_RATE)
        return pcm / np.abs(pcm).max() * 32767

    return word


def at_hearing_rate(recording):
    with wave.open(str(recording.path)) as file:
        pcm = pcm_of_bytes(file.readframes(file.getnframes()))
        return soxr.resample(pcm.astype(np.float32), file.getframerate(), HEARING_RATE)


def text_of(recogniser, pcm):
    (answer,) = recogniser.step([Due(recogniser.begin(Hints()), pcm, True)])
    return answer.text


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_not_recognised(noise, silero):
    pcm = samples(NOISES[noise])
    assert len(speech_in(pcm, silero)) == 0
    assert list(phrases(pcm, silero)) == []


@pytest.mark.parametrize("dbfs", [-45, -40])
@pytest.mark.parametrize("before_s", [0, 10])
def test_a_sentence_in_long_noise_is_recognised_and_nothing_else(dbfs, before_s, silero, moonshine):
    pcm = np.concatenate((np.zeros(before_s * HEARING_RATE), at_hearing_rate(QUESTION), np.zeros(8 * HEARING_RATE)))
    heard_words = text_of(moonshine, speech_in(samples(pcm + white(dbfs, len(pcm))), silero))
    assert word_error_rate(QUESTION.words, heard_words) < 0.2


@pytest.mark.parametrize("peak_dbfs", [-20, -36, -48, -52, -56])
def test_faint_speech_is_recognised(peak_dbfs, silero, moonshine):
    pcm = BEST_OF_TIMES.pcm * (amplitude(peak_dbfs) / np.abs(BEST_OF_TIMES.pcm.astype(int)).max())
    pcm = samples(np.concatenate((np.zeros(HEARING_RATE), pcm, np.zeros(HEARING_RATE))))
    assert word_error_rate(BEST_OF_TIMES.words, text_of(moonshine, speech_in(pcm, silero))) < 0.15
    assert word_error_rate(BEST_OF_TIMES.words, " ".join(text_of(moonshine, one.pcm) for one in phrases(pcm, silero))) < 0.15


@pytest.mark.parametrize("word", ["yes", "no"])
@pytest.mark.parametrize("peak_dbfs", [-6, -44, -52])
def test_a_short_word_is_recognised_alone_and_in_silence(word, peak_dbfs, said, silero, moonshine):
    pcm = said(f"{word.capitalize()}.") / 32768 * amplitude(peak_dbfs)
    for pause_s in (0.0, 2.0):
        pause = np.zeros(int(pause_s * HEARING_RATE))
        heard_words = text_of(moonshine, speech_in(samples(np.concatenate((pause, pcm, pause))), silero))
        assert heard_words.lower().startswith(word)


def test_a_click_does_not_make_faint_words_beside_it_silent():
    faint = samples(white(-45, HEARING_RATE))
    click = samples(white(-6, 640))
    start, end = heard(np.concatenate((faint, click, faint)))
    assert (start, end) == (0, 2 * HEARING_RATE + 640)
