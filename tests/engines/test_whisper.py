"""What Whisper must hear, by CTranslate2 and by torch, beyond the contract."""

import asyncio
import io
import struct
from functools import cache
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from deployments.engines import create
from deployments.engines.languages import likeliest, primary, told
from deployments.engines.whisper_ct2 import WhisperCt2, _EncodesOnce
from deployments.engines.whisper_torch import WhisperTorch
from deployments.engines.whisper_weights import read, renamed
from serve_app.engines import HEARING_RATE, Due, Hints
from serve_app.errors import ArtifactMissing, EngineFailed
from tests.engines.every import warmed
from tests.recordings import BEST_OF_TIMES, EVERYTHING, all_alike, word_error_rate

needs_ctranslate2 = pytest.mark.skipif(find_spec("faster_whisper") is None, reason="faster-whisper is not installed (extra whisper)")
BOTH = [pytest.param("whisper", marks=needs_ctranslate2), "whisper-torch"]


@pytest.fixture(params=BOTH)
def whisper(request):
    return warmed("recogniser", request.param)


@cache
def knowing_languages(kind):
    engine = kind("whisper-base", threads=1)
    asyncio.run(engine.warm())
    return engine


@pytest.fixture(params=[pytest.param(WhisperCt2, marks=needs_ctranslate2), WhisperTorch], ids=["whisper", "whisper-torch"])
def multilingual(request):
    return knowing_languages(request.param)


def heard(engine, *clips):
    """Each clip with its hints, in one step."""
    return engine.step([Due(engine.begin(hints), pcm, True) for pcm, hints in clips])


@pytest.mark.weights
def test_the_model_says_which_languages_it_knows(whisper, multilingual):
    assert {"en", "de", "kn"} <= set(multilingual.languages)
    assert whisper.languages == ("en",)


@pytest.mark.weights
@pytest.mark.parametrize("recording", [BEST_OF_TIMES, EVERYTHING], ids=lambda recording: recording.file)
def test_the_words_are_heard(whisper, recording):
    (answer,) = heard(whisper, (recording.pcm, Hints()))
    assert word_error_rate(recording.words, answer.text) <= 0.2
    assert answer.language == "en"


@pytest.mark.weights
@pytest.mark.parametrize("level", [0, 20, 300, 2000])
def test_nothing_is_heard_in_silence_and_noise(whisper, level):
    noise = np.random.default_rng(1).normal(0, level, 3 * HEARING_RATE).astype(np.int16)
    (answer,) = heard(whisper, (noise, Hints()))
    assert (answer.text, answer.words, answer.language) == ("", (), None)


@pytest.mark.weights
def test_a_minute_is_heard_in_pieces(whisper):
    pause = np.zeros(HEARING_RATE // 2, np.int16)
    passage = np.concatenate([BEST_OF_TIMES.pcm, pause, EVERYTHING.pcm, pause])
    (answer,) = heard(whisper, (np.tile(passage, 6), Hints()))
    assert word_error_rate(" ".join([BEST_OF_TIMES.words, EVERYTHING.words] * 6), answer.text) <= 0.2


@pytest.mark.weights
@needs_ctranslate2
def test_words_have_times_from_the_start_of_the_utterance():
    late = np.concatenate([np.zeros(2 * HEARING_RATE, np.int16), EVERYTHING.pcm])
    (answer,) = heard(warmed("recogniser", "whisper"), (late, Hints()))
    assert " ".join(word.text for word in answer.words) == answer.text
    assert answer.words[0].start_s == pytest.approx(2.0, abs=0.5)
    assert all(before.end_s <= after.start_s + 0.05 for before, after in pairwise(answer.words))
    assert answer.words[-1].end_s <= len(late) / HEARING_RATE


@pytest.mark.weights
def test_the_language_is_found(multilingual):
    (answer,) = heard(multilingual, (BEST_OF_TIMES.pcm, Hints()))
    assert answer.language == "en"
    assert word_error_rate(BEST_OF_TIMES.words, answer.text) <= 0.2


@pytest.mark.weights
def test_the_language_is_one_of_those_that_the_hints_leave(multilingual):
    told_one, may_be_two = heard(
        multilingual, (EVERYTHING.pcm, Hints(language="de-DE")), (EVERYTHING.pcm, Hints(languages=("fr-FR", "de-DE")))
    )
    assert told_one.language == "de"
    assert may_be_two.language in ("fr", "de")


@pytest.mark.weights
@pytest.mark.parametrize("hints", [Hints(prompt="Mr Ondraj spoke."), Hints(keywords=("Ondraj", "Ockham"))], ids=["prompt", "keywords"])
def test_a_prompt_is_no_part_of_the_text(whisper, hints):
    (answer,) = heard(whisper, (EVERYTHING.pcm, hints))
    assert word_error_rate(EVERYTHING.words, answer.text) <= 0.2


@pytest.mark.weights
def test_utterances_with_prompts_of_different_lengths_are_heard_in_one_batch_as_alone():
    engine = warmed("recogniser", "whisper-torch")
    clips = [(BEST_OF_TIMES.pcm, Hints(prompt="A Tale of Two Cities, by Charles Dickens, begins.")), (EVERYTHING.pcm, Hints())]
    alone = [heard(engine, clip)[0].text for clip in clips]
    assert all_alike(alone, [answer.text for answer in heard(engine, *clips)])


@pytest.mark.weights
@needs_ctranslate2
def test_both_forms_hear_the_same():
    answers = [heard(warmed("recogniser", name), (BEST_OF_TIMES.pcm, Hints()))[0].text for name in ("whisper", "whisper-torch")]
    assert word_error_rate(answers[0], answers[1]) <= 0.1


@pytest.mark.parametrize("name", ["whisper", "whisper-torch"])
def test_one_that_was_not_warmed_says_so(name):
    with pytest.raises(EngineFailed, match="not warmed"):
        create("recogniser", name).step([])


@pytest.mark.parametrize("name", ["whisper", "whisper-torch"])
async def test_a_model_that_does_not_exist_is_named(name):
    with pytest.raises(ArtifactMissing, match="'no-such-model'"):
        await create("recogniser", name, model="no-such-model").warm()


@pytest.mark.parametrize("name", [pytest.param("whisper", marks=needs_ctranslate2), "whisper-torch"])
async def test_a_folder_without_a_model_is_our_error(name, tmp_path):
    with pytest.raises(EngineFailed, match="does not load"):
        await create("recogniser", name, model=str(tmp_path)).warm()


@pytest.mark.parametrize(("partial_s", "samples"), [(0, 0), (1.5, 24_000)])
def test_partials_come_as_often_as_they_are_wanted(partial_s, samples):
    assert WhisperCt2(partial_s=partial_s).step_samples == WhisperTorch(partial_s=partial_s).step_samples == samples


def test_the_encoder_runs_once_for_the_same_audio():
    ran = []
    encode = _EncodesOnce(lambda features: ran.append(features.sum()) or len(ran))
    ones, twos = np.ones((2, 3)), np.full((2, 3), 2.0)
    assert [encode(ones), encode(ones.copy()), encode(twos), encode(ones)] == [1, 1, 2, 3]


# --- languages --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "language"), [("en", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("ZH-Hans", "zh")])
def test_a_tag_has_a_primary_language(tag, language):
    assert primary(tag) == language


def test_a_language_that_the_model_does_not_know_must_be_found():
    assert told(Hints(language="tlh"), "", {"en", "de"}) is None
    assert told(Hints(), "de", {"en", "de"}) == "de"


def test_the_likeliest_language_is_taken_among_the_allowed_ones():
    found = {"en": 0.6, "de": 0.3, "fr": 0.1}
    assert likeliest(found, Hints()) == "en"
    assert likeliest(found, Hints(languages=("fr-CA", "de"))) == "de"
    assert likeliest(found, Hints(languages=("tlh",))) == "en"


# --- weights ----------------------------------------------------------------------------------------------------------------------------


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def tensor(name, value, kind):
    shape = b"".join(struct.pack("<I", size) for size in value.shape)
    return text(name) + struct.pack("<B", value.ndim) + shape + struct.pack("<BI", kind, value.nbytes) + value.tobytes()


def model_bin(*tensors, version=6, name="WhisperSpec"):
    return io.BytesIO(struct.pack("<I", version) + text(name) + struct.pack("<II", 3, len(tensors)) + b"".join(tensors))


def test_the_weights_of_ctranslate2_are_read_and_its_other_numbers_left_out():
    weight = np.arange(6, dtype=np.float16).reshape(2, 3)
    file = model_bin(tensor("encoder/num_heads", np.array(8, np.int16), 2), tensor("encoder/conv1/weight", weight, 4))
    ((name, value),) = read(file)
    assert name == "encoder/conv1/weight"
    assert np.array_equal(value, weight)


@pytest.mark.parametrize("other", [{"version": 7}, {"name": "TransformerSpec"}])
def test_another_file_is_refused(other):
    with pytest.raises(EngineFailed, match="not WhisperSpec"):
        list(read(model_bin(**other)))


def test_queries_keys_and_values_are_parted_and_keys_have_no_bias():
    bias = np.arange(6, dtype=np.float16)
    got = dict(renamed(iter([("decoder/layer_3/self_attention/linear_0/bias", bias)])))
    assert {name: list(value) for name, value in got.items()} == {
        "model.decoder.layers.3.self_attn.q_proj.bias": [0, 1],
        "model.decoder.layers.3.self_attn.v_proj.bias": [4, 5],
    }


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("decoder/embeddings/weight", "model.decoder.embed_tokens.weight"),
        ("decoder/position_encodings/encodings", "model.decoder.embed_positions.weight"),
        ("encoder/layer_norm/gamma", "model.encoder.layer_norm.weight"),
        ("encoder/conv2/bias", "model.encoder.conv2.bias"),
        ("encoder/layer_0/ffn/layer_norm/beta", "model.encoder.layers.0.final_layer_norm.bias"),
        ("encoder/layer_0/ffn/linear_1/weight", "model.encoder.layers.0.fc2.weight"),
        ("decoder/layer_5/attention/layer_norm/gamma", "model.decoder.layers.5.encoder_attn_layer_norm.weight"),
        ("decoder/layer_5/attention/linear_2/weight", "model.decoder.layers.5.encoder_attn.out_proj.weight"),
    ],
)
def test_names_become_those_of_transformers(theirs, ours):
    assert [name for name, _ in renamed(iter([(theirs, np.zeros(4, np.float16))]))] == [ours]
