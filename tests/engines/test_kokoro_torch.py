"""Kokoro in PyTorch with the weights that were unpacked from the ONNX file."""

import asyncio
import gc
import threading
import weakref
from contextlib import aclosing

import numpy as np
import pytest

from deployments.engines import create
from deployments.engines.kokoro_speech import FRAME_SAMPLES, style_row
from serve_app.engines import Speech
from serve_app.errors import EngineFailed, EngineGone
from tests.engines.every import warmed

pytest.importorskip("kokoro", reason="needs the extra kokoro")

# Of libraries that are imported: spaCy, torch, misaki.
pytestmark = [pytest.mark.weights, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

HELLO, YES = "həlˈO ðˈɛɹ.", "jˈɛs."


@pytest.fixture
def engine():
    return warmed("text_to_speech", "kokoro-torch")


@pytest.fixture
def network(engine):
    return engine._loaded[0]


@pytest.fixture
def batches(engine, monkeypatch):
    monkeypatch.setattr(engine._batches, "most", 8)
    return engine._batches


@pytest.fixture
def runs(network, monkeypatch):
    """How many sentences each run of the model had."""
    counted, run = [], network.run
    monkeypatch.setattr(network, "run", lambda sentences: counted.append(len(sentences)) or run(sentences))
    return counted


def sentence(engine, sounds, voice="af_heart", speed=1.5):
    from deployments.engines.kokoro_network import Sentence

    return Sentence(sounds, style_row(engine._loaded[1].style(voice), sounds), speed)


async def said(engine, text, voice="af_heart"):
    return np.concatenate([sound.pcm async for sound in engine.speak(Speech(text, voice, 1.5))])


# --- the batch ----------------------------------------------------------------------------------------------------------------------------


def test_a_sentence_in_a_batch_is_what_it_is_alone(engine, network):
    sentences = [sentence(engine, HELLO), sentence(engine, YES, "bm_george", 2.0)]
    for alone, together in zip([network.run([one])[0] for one in sentences], network.run(sentences), strict=True):
        assert np.array_equal(alone.ends, together.ends) and alone.begin == together.begin
        # A rounding error of the pitch adds up over the phases of the harmonics; the decoder alone agrees within 1e-6.
        assert np.corrcoef(alone.samples, together.samples)[0, 1] > 0.999
        assert np.abs(alone.samples - together.samples).max() < 0.05 * np.abs(alone.samples).max()


def test_a_sentence_alone_is_what_the_package_says(engine, network):
    import torch
    from kokoro.model import KModel

    one = sentence(engine, YES)
    ours = network.run([one])[0]
    torch.manual_seed(0)
    theirs = KModel.forward_with_tokens(network._model, network._tokens([one])[0], torch.from_numpy(one.style), one.speed)
    assert np.abs(theirs[0].numpy() - ours.samples).max() < 1e-4
    assert np.array_equal(np.cumsum(theirs[1].numpy())[1:-1] * FRAME_SAMPLES, ours.ends)


async def test_sentences_of_two_speeches_that_wait_together_are_one_batch(engine, batches, runs):
    held = threading.Event()
    holding = asyncio.ensure_future(batches.call(held.wait, 60))
    both = [asyncio.ensure_future(said(engine, text)) for text in ("Hello there.", "Good morning.")]
    async with asyncio.timeout(60):
        while len(batches._waiting) < len(both):  # noqa: ASYNC110
            await asyncio.sleep(0)
    held.set()
    await holding
    assert all(len(pcm) for pcm in await asyncio.gather(*both))
    assert runs == [2]


# --- leaving, failing, closing ----------------------------------------------------------------------------------------------------------


async def test_nothing_is_computed_for_a_listener_who_left(engine, runs):
    async with aclosing(engine.speak(Speech("One. Two. Three.", "af_heart", 1.5))) as sounds:
        await anext(sounds)
    await said(engine, "Yes.")
    assert runs == [1, 1], "the first sentence of the speech that was left, and the other speech"


async def test_a_failure_of_the_model_is_ours_and_the_next_speech_is_said(engine, network, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(network._model.decoder, "forward", lambda *_: 1 / 0)
        with pytest.raises(EngineFailed, match="Kokoro: division by zero"):
            await said(engine, "Yes.")
    assert len(await said(engine, "Yes."))


async def test_closing_frees_the_model_and_ends_what_waits():
    engine = create("text_to_speech", "kokoro-torch")
    await engine.warm()
    model = weakref.ref(engine._loaded[0]._model)
    await engine.close()
    await engine.close()
    gc.collect()
    assert model() is None
    with pytest.raises(EngineGone, match="closed"):
        await said(engine, "Yes.")


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"patch": "spoof"}, "no patch 'spoof'"), ({"dtype": "int8"}, "not 'int8'"), ({"device": "cuda:9"}, "no CUDA device")],
)
async def test_an_option_that_cannot_be_is_refused_when_it_is_warmed(options, reason):
    import torch

    if "device" in options and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    with pytest.raises(EngineFailed, match=reason):
        await create("text_to_speech", "kokoro-torch", **options).warm()


# --- the weights ------------------------------------------------------------------------------------------------------------------------


def spectrum(samples):
    """Logarithmic magnitudes, its own mean taken away: the two forms do not give the same level."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 1024)[::256] * np.hanning(1024)
    heights = np.log(np.abs(np.fft.rfft(frames)) + 1e-3)
    return heights - heights.mean()


def test_the_unpacked_weights_say_what_the_onnx_file_says(engine, network):
    onnx = warmed("text_to_speech", "kokoro-onnx")._loaded[0]
    theirs = onnx.run(HELLO, engine._loaded[1].style("af_heart"), 1.0)
    [ours] = network.run([sentence(engine, HELLO, speed=1.0)])
    # The ONNX form rounds what it computes to 8 bits, so a duration may fall on the other side of a half.
    assert np.abs(np.diff(ours.ends) - np.diff(theirs.ends)).max() <= FRAME_SAMPLES
    length = min(len(ours.samples), len(theirs.samples))
    assert np.corrcoef(spectrum(ours.samples[:length]).ravel(), spectrum(theirs.samples[:length]).ravel())[0, 1] > 0.85
