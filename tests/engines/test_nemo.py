"""Streaming through NeMo, with a real model, small and of our own making (scripts/make_test_asr.py)."""

import asyncio

import numpy as np
import pytest

from deployments.engines import create
from deployments.engines.nemo_rnnt import CHUNKS_MS
from serve_app.engines import HEARING_RATE, Due, Hints, Hypothesis
from serve_app.errors import ArtifactMissing, EngineFailed, SettingsError
from serve_app.listening import Listening
from tests.engines.nemo import (
    COMPUTING,
    DRAGON,
    FRANCE,
    SKY,
    STORAGE,
    WORDS,
    alone,
    heard,
    nemo,
    pieces,
    spoken,
    together,
)
from tests.engines.test_speech_to_text import answers, say
from tests.recordings import alike, all_alike, word_error_rate

ROUNDING = 1e-4
"""Up to 2e-6 was seen: how a processor adds up a matrix product depends on its rows."""
every_chunk = pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
pytestmark = pytest.mark.weights


# --- what is heard ----------------------------------------------------------------------------------------------------------------------


@every_chunk
@pytest.mark.parametrize("file", [FRANCE, DRAGON, SKY, COMPUTING, STORAGE])
def test_the_words_are_heard(chunk_ms, file):
    assert word_error_rate(WORDS[file], alone(chunk_ms, file)) <= 0.1


@every_chunk
def test_a_stream_is_heard_as_the_whole_recording_is(chunk_ms):
    engine = nemo(chunk_ms)
    for file in (FRANCE, DRAGON):
        assert alike(whole(engine, spoken(file)), alone(chunk_ms, file))


@every_chunk
def test_features_and_encoder_frames_of_a_stream_are_those_of_the_whole_recording(chunk_ms, monkeypatch):
    engine, pcm = nemo(chunk_ms), spoken(DRAGON)
    features, encoded = spied(engine, monkeypatch)
    stream, random = engine.begin(Hints()), np.random.default_rng(chunk_ms)
    cuts = np.flatnonzero(random.random(len(pcm)) < 1 / 2000)
    parts = np.split(pcm, cuts)
    for number, part in enumerate(parts):
        engine.step([Due(stream, part, number == len(parts) - 1)])
    expected_features, expected_encoded = offline(engine, pcm)
    assert np.concatenate(features, 1) == pytest.approx(expected_features, abs=ROUNDING)
    assert np.concatenate(encoded) == pytest.approx(expected_encoded, abs=ROUNDING)
    steps = np.abs(np.diff(expected_features)).max(0)
    assert np.percentile(steps[steps > 0], 5) > 1000 * ROUNDING, "a frame in its neighbour's place is seen"


def test_features_are_never_computed_over_the_past(monkeypatch):
    engine = nemo(80)
    given = []
    preprocessor = engine._ready()._features._preprocessor
    run = preprocessor.forward

    def counted(input_signal, length):
        given.append(input_signal.shape[1])
        return run(input_signal=input_signal, length=length)

    monkeypatch.setattr(preprocessor, "forward", counted)
    heard(engine, np.tile(spoken(FRANCE), 3))
    assert len(given) > 60
    assert max(given) <= 2 * engine.step_samples


def test_a_partial_only_grows_and_all_of_it_is_stable():
    engine = nemo(80)
    stream, said = engine.begin(Hints()), ""
    parts = pieces(spoken(DRAGON), engine.step_samples)
    for number, part in enumerate(parts):
        (hypothesis,) = engine.step([Due(stream, part, number == len(parts) - 1)])
        assert hypothesis.text.startswith(said)
        assert hypothesis.stable_chars == len(hypothesis.text)
        said = hypothesis.text


@every_chunk
def test_a_final_has_the_words_with_their_times(chunk_ms):
    pcm = spoken(FRANCE)
    final = heard(nemo(chunk_ms), pcm)
    assert " ".join(word.text for word in final.words) == final.text
    starts = [word.start_s for word in final.words]
    assert starts == sorted(starts)
    assert all(0 <= word.start_s < word.end_s <= len(pcm) / HEARING_RATE + 0.08 for word in final.words)


@every_chunk
def test_less_than_a_chunk_is_no_error(chunk_ms):
    engine = nemo(chunk_ms)
    due = [Due(engine.begin(Hints()), spoken(FRANCE)[:samples], True) for samples in (0, 1, 159, 160, 1119, 1280, 5000)]
    assert [type(answer) for answer in engine.step(due)] == [Hypothesis] * len(due)


# --- many at once -----------------------------------------------------------------------------------------------------------------------


@every_chunk
@pytest.mark.parametrize("count", [1, 8, 32])
def test_streams_in_one_batch_are_heard_as_each_is_alone(chunk_ms, count):
    files = [list(WORDS)[n % len(WORDS)] for n in range(count)]
    answers = together(nemo(chunk_ms), [spoken(file) for file in files])
    assert all_alike([alone(chunk_ms, file) for file in files], [answer.text for answer in answers])


def test_what_waited_together_is_heard_in_one_call_of_the_encoder(monkeypatch):
    engine = nemo(160)
    streams = [engine.begin(Hints()) for _ in range(8)]
    engine.step([Due(stream, spoken(DRAGON)[: engine.step_samples], False) for stream in streams])
    encoder, sizes = engine._ready()._transducer._encoder, []
    step = encoder.cache_aware_stream_step
    monkeypatch.setattr(encoder, "cache_aware_stream_step", lambda **given: sizes.append(len(given["processed_signal"])) or step(**given))
    engine.step([Due(stream, spoken(DRAGON)[engine.step_samples : 2 * engine.step_samples], False) for stream in streams])
    assert sizes == [8]


def test_a_stream_that_falls_silent_or_is_dropped_changes_nothing_for_the_others():
    engine = nemo(160)
    wanted, silent, dropped = (engine.begin(Hints()) for _ in range(3))
    for number, part in enumerate(parts := pieces(spoken(DRAGON), engine.step_samples)):
        due = [Due(wanted, part, number == len(parts) - 1)]
        if number < 5:
            due.append(Due(silent, spoken(SKY)[number * engine.step_samples :][: engine.step_samples], False))
        if number < 8:
            due.append(Due(dropped, spoken(FRANCE)[number * engine.step_samples :][: engine.step_samples], False))
        answer = engine.step(due)[0]
    rest = spoken(SKY)[5 * engine.step_samples :]
    assert alike(alone(160, DRAGON), answer.text)
    assert alike(alone(160, SKY), engine.step([Due(silent, rest, True)])[0].text)


def test_a_stream_that_cannot_be_stepped_fails_alone():
    engine = nemo(160)
    good, bad, odd = (engine.begin(Hints()) for _ in range(3))
    engine.step([Due(bad, spoken(FRANCE)[:8000], False)])
    bad.caches = tuple(cache[..., :1] for cache in bad.caches[:2]) + (bad.caches[2],)
    answers = engine.step([Due(good, spoken(FRANCE), True), Due(bad, spoken(FRANCE), True), Due(odd, np.zeros(10, np.float32), True)])
    assert alike(alone(160, FRANCE), answers[0].text)
    assert [type(answer) for answer in answers[1:]] == [EngineFailed, EngineFailed]


async def test_several_sessions_are_heard_through_listening():
    listening = Listening(nemo(160))
    ears = [await listening.open(file) for file in WORDS]
    for ear, file in zip(ears, WORDS, strict=True):
        say(ear, "one", spoken(file))
    finals = [(await answers(ear))[0]["one"].text for ear in ears]
    await listening.close()
    assert [word_error_rate(WORDS[file], text) <= 0.1 for file, text in zip(WORDS, finals, strict=True)] == [True] * len(WORDS)


# --- what cannot be ---------------------------------------------------------------------------------------------------------------------


def test_a_chunk_that_no_model_has_is_refused():
    with pytest.raises(SettingsError, match="chunk_ms is 100, but must be one of 80, 160, 560, 1120"):
        create("recogniser", "nemo-rnnt", chunk_ms=100)


def test_a_chunk_that_the_model_was_not_trained_with_is_refused(monkeypatch):
    engine = nemo(160)
    encoder = engine._ready()._transducer._encoder
    monkeypatch.setattr(encoder, "att_context_size_all", [[70, 0], [70, 6]])
    from deployments.engines.nemo_streaming import set_context

    with pytest.raises(SettingsError, match="not trained with chunks of 1120 ms; it was with 80, 560"):
        set_context(engine._ready().model, 1120)


def test_a_model_that_is_not_there_is_said_to_be_missing():
    with pytest.raises(ArtifactMissing, match="there is no file /nowhere/model.nemo"):
        asyncio.run(create("recogniser", "nemo-rnnt", model="/nowhere/model.nemo").warm())


def test_a_file_that_is_no_model_is_an_error_of_ours(tmp_path):
    (tmp_path / "odd.nemo").write_bytes(b"nothing")
    with pytest.raises(EngineFailed, match="odd.nemo cannot be loaded"):
        asyncio.run(create("recogniser", "nemo-rnnt", model=str(tmp_path)).warm())


def test_an_unknown_option_of_decoding_is_refused_by_its_name():
    with pytest.raises(SettingsError, match="decoding has no wieght; it has phrases, weight"):
        create("recogniser", "nemo-rnnt", decoding={"wieght": 1})


def test_an_engine_that_was_not_warmed_says_so():
    with pytest.raises(EngineFailed, match="not warmed"):
        create("recogniser", "nemo-rnnt").step([])


# --- the model itself, as NeMo runs it on a whole recording ------------------------------------------------------------------------------


def offline(engine, pcm):
    """Features [bands, frames] and the encoder's frames [time, width]."""
    import torch

    model = engine._ready().model
    signal, length = torch.from_numpy(pcm / np.float32(32768))[None], torch.tensor([len(pcm)])
    with torch.inference_mode():
        features, frames = model.preprocessor(input_signal=signal, length=length)
        features = features[:, :, : int(frames)]
        encoded, steps = model.encoder(audio_signal=features, length=frames)
    return features[0].numpy(), encoded[0].T[: int(steps)].numpy()


def whole(engine, pcm):
    import torch

    model = engine._ready().model
    encoded = torch.from_numpy(offline(engine, pcm)[1]).T[None]
    with torch.inference_mode():
        (hypothesis,) = model.decoding.rnnt_decoder_predictions_tensor(encoded, torch.tensor([encoded.shape[2]]), return_hypotheses=True)
    return hypothesis.text


def spied(engine, monkeypatch):
    """What the features and the encoder of the one stream give, step by step."""
    loaded, features, encoded = engine._ready(), [], []
    push, encode = loaded._features.push, loaded._transducer._encode

    def pushed(pieces):
        features.append((given := push(pieces))[0].numpy())
        return given

    def encoding(chunks):
        given = encode(chunks)
        encoded.append(given[0][0][: int(given[1][0])].numpy())
        return given

    monkeypatch.setattr(loaded._features, "push", pushed)
    monkeypatch.setattr(loaded._transducer, "_encode", encoding)
    return features, encoded
