"""Qwen3-ASR with a small model of our own (tests/qwen3_asr, made by scripts/make_test_qwen3_asr.py) that knows the recordings by heart.
What is seen is that prompt, audio, prefix and answer are put together rightly, not how well it hears."""

import asyncio
from functools import cache
from importlib.util import find_spec

import numpy as np
import pytest

from deployments.engines.qwen3_aligner import Qwen3Aligner, can_align
from deployments.engines.qwen3_asr import Qwen3Asr
from deployments.engines.qwen3_prompt import prompt
from deployments.engines.qwen3_torch import Qwen3Torch
from deployments.engines.qwen3_vllm import Request
from serve_app.engines import HEARING_RATE, Due, Hints, Word
from serve_app.errors import ArtifactMissing, EngineFailed, EngineGone, SettingsError
from tests.engines.every import QWEN3_ASR
from tests.recordings import BEST_OF_TIMES, EVERYTHING, alike, all_alike

BOTH = np.concatenate([BEST_OF_TIMES.pcm, np.zeros(3 * HEARING_RATE // 10, np.int16), EVERYTHING.pcm])
"""With a short pause."""


@cache
def warm(**options):
    engine = Qwen3Asr(QWEN3_ASR, **options)
    asyncio.run(engine.warm())
    return engine


@pytest.fixture
def qwen():
    return warm()


def heard(engine, *clips):
    """Each clip with its hints, in one step."""
    return engine.step([Due(engine.begin(hints), pcm, True) for pcm, hints in clips])


def test_words_and_language_are_heard(qwen):
    (answer,) = heard(qwen, (BEST_OF_TIMES.pcm, Hints()))
    assert alike(BEST_OF_TIMES.words, answer.text) and answer.language == "en"


def test_a_forced_language_and_a_context_leave_the_words_as_they_are(qwen):
    (answer,) = heard(qwen, (EVERYTHING.pcm, Hints(language="en-GB", prompt="We talk about books.")))
    assert alike(EVERYTHING.words, answer.text) and answer.language == "en"


def test_utterances_of_one_step_are_not_mixed(qwen):
    answers = heard(qwen, (BEST_OF_TIMES.pcm, Hints()), (EVERYTHING.pcm, Hints(language="en")), (BEST_OF_TIMES.pcm[:0], Hints()))
    assert all_alike([BEST_OF_TIMES.words, EVERYTHING.words, ""], [answer.text for answer in answers])


@pytest.mark.parametrize(("recording", "step_s"), [(EVERYTHING, 1.0), (BEST_OF_TIMES, 1.5)], ids=["everything", "best of times"])
def test_what_is_said_while_it_is_said_ends_in_the_same_words(qwen, recording, step_s):
    stream, stable, promised = qwen.begin(Hints()), "", []
    pcm, samples = recording.pcm, int(step_s * HEARING_RATE)
    for start in range(0, len(pcm), samples):
        (answer,) = qwen.step([Due(stream, pcm[start : start + samples], start + samples >= len(pcm))])
        assert answer.text.startswith(stable)
        stable = answer.text[: answer.stable_chars]
        promised.append(len(stable))
    assert stable == answer.text and alike(recording.words, stable)
    assert promised[0] == 0 < promised[1] < promised[2] < promised[-1]


def test_a_pause_between_two_sentences_parts_them(qwen):
    (answer,) = heard(warm(longest_s=10.0), (BOTH, Hints()))
    assert alike(f"{BEST_OF_TIMES.words} {EVERYTHING.words}", answer.text)


@pytest.mark.parametrize("level", [0, 20])
def test_the_model_is_not_asked_about_silence(qwen, level, monkeypatch):
    asked = []
    monkeypatch.setattr(qwen._writer, "write", lambda requests: asked.extend(requests) or [])
    noise = np.random.default_rng(1).normal(0, level, HEARING_RATE).astype(np.int16)
    assert heard(qwen, (noise, Hints()))[0].text == ""
    assert asked == []


def test_a_request_that_fails_fails_its_utterance_alone(qwen, monkeypatch):
    write = qwen._writer.write
    monkeypatch.setattr(qwen._writer, "write", lambda requests: [EngineFailed("no memory"), *write(requests[1:])])
    bad, good = heard(qwen, (BEST_OF_TIMES.pcm, Hints()), (EVERYTHING.pcm, Hints()))
    assert isinstance(bad, EngineFailed)
    assert alike(EVERYTHING.words, good.text)


def test_the_session_is_asked_with_its_context_and_its_language(qwen, monkeypatch):
    asked = []
    monkeypatch.setattr(qwen._writer, "write", lambda requests: asked.extend(requests) or [EngineFailed("seen")] * len(requests))
    heard(qwen, (EVERYTHING.pcm, Hints(language="de", prompt="Rajesh ruft Annie an.", keywords=("Claude Code",))))
    assert "system\nRajesh ruft Annie an. " in asked[0].prompt and "Claude Code" in asked[0].prompt
    assert asked[0].prompt.endswith("language German<asr_text>")


def test_the_answer_goes_on_after_the_prefix():
    model = Qwen3Torch(QWEN3_ASR)
    question = prompt("", "en")
    ((whole,), (start, end)) = model.write([Request(question, (), EVERYTHING.pcm)]), divmod(len(EVERYTHING.words), 2)
    assert model.decode(whole) == EVERYTHING.words
    (rest,) = model.write([Request(question, whole[: start + end], EVERYTHING.pcm)])
    assert whole[: start + end] + rest == whole


async def test_one_that_was_closed_says_so_and_can_be_closed_again():
    engine = Qwen3Asr(QWEN3_ASR)
    await engine.warm()
    await engine.check()
    await engine.close()
    await engine.close()
    with pytest.raises(EngineGone):
        await engine.check()
    with pytest.raises(EngineFailed, match="not warmed"):
        engine.step([])


@pytest.mark.parametrize("options", [{"longest_s": 1300}, {"longest_s": 0.5}, {"longest_s": 200, "aligner": "x"}, {"backend": "onnx"}])
def test_what_the_model_cannot_do_is_refused(options):
    with pytest.raises(SettingsError):
        Qwen3Asr(**options)


async def test_a_model_that_does_not_exist_is_named():
    with pytest.raises(ArtifactMissing, match="'no-such-model'"):
        await Qwen3Asr("no-such-model").warm()


async def test_a_folder_without_a_model_is_our_error(tmp_path):
    with pytest.raises(EngineFailed, match="does not load"):
        await Qwen3Asr(str(tmp_path)).warm()


# --- vLLM -------------------------------------------------------------------------------------------------------------------------------


def lacks_vllm():
    """vLLM's module of this model imports the image processing of another, and that torchvision; see docs/engines.md."""
    return [name for name in ("vllm", "torchvision") if find_spec(name) is None]


# Of libraries that are imported: vLLM, torch, torchvision.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.weights
@pytest.mark.skipif(bool(lacks_vllm()), reason=f"{', '.join(lacks_vllm())} cannot be imported")
async def test_vllm_writes_what_torch_writes(qwen):
    engine = Qwen3Asr(QWEN3_ASR, backend="vllm", max_model_len=1024, max_num_seqs=4)
    await engine.warm()
    try:
        clips = [(BEST_OF_TIMES.pcm, Hints()), (EVERYTHING.pcm, Hints(language="en"))]
        answers = await asyncio.to_thread(heard, engine, *clips)
        assert all_alike([answer.text for answer in heard(qwen, *clips)], [answer.text for answer in answers])
        await engine.check()
    finally:
        await engine.close()


# --- times of words ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "audio_s", "can"), [("en", 180, True), ("en", 180.1, False), ("hi", 5, False), ("kn", 5, False), (None, 5, False)]
)
def test_the_aligner_takes_180_seconds_of_eleven_languages(language, audio_s, can):
    assert can_align(language, audio_s) is can


@pytest.mark.parametrize(("language", "package"), [("ja", "nagisa"), ("ko", "soynlp")])
def test_japanese_and_korean_need_their_packages(language, package):
    assert can_align(language, 5) is (find_spec(package) is not None)


@pytest.fixture(scope="module")
def aligner_folder(tmp_path_factory):
    """Not taught anything: its times mean nothing, but that they are some, in order, within the audio."""
    import torch
    from transformers import Qwen3ASRConfig, Qwen3ASRForTokenClassification, Qwen3ASRProcessor

    folder = tmp_path_factory.mktemp("aligner")
    made = Qwen3ASRProcessor.from_pretrained(QWEN3_ASR)
    made.chat_template = (
        "<|audio_start|><|audio_pad|><|audio_end|>{% for part in messages[0].content if part.type == 'text' %}"
        "{{ part.text }}<timestamp><timestamp>{% endfor %}"
    )
    config = Qwen3ASRConfig.from_pretrained(QWEN3_ASR, num_labels=50)
    torch.manual_seed(0)
    Qwen3ASRForTokenClassification(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def test_each_word_is_given_a_time(aligner_folder):
    words = Qwen3Aligner(aligner_folder).words(EVERYTHING.pcm, EVERYTHING.words, "en")
    assert [word.text for word in words] == [word.strip(",.") for word in EVERYTHING.words.split()]
    assert all(0 <= word.start_s <= word.end_s <= len(EVERYTHING.pcm) / HEARING_RATE for word in words)


def test_the_aligner_refuses_what_it_cannot_align(aligner_folder):
    with pytest.raises(EngineFailed, match="180 s"):
        Qwen3Aligner(aligner_folder).words(EVERYTHING.pcm, EVERYTHING.words, "hi")


def test_words_of_later_pieces_are_timed_from_the_start_of_the_utterance(aligner_folder, monkeypatch):
    engine = warm(longest_s=10.0, aligner=str(aligner_folder))
    monkeypatch.setattr(engine._aligner, "words", lambda pcm, text, language: (Word(text, 0.5, 1.0),))
    (answer,) = heard(engine, (BOTH, Hints()))
    assert all_alike([BEST_OF_TIMES.words, EVERYTHING.words], [word.text for word in answer.words])
    first, second = (word.start_s for word in answer.words)
    assert (first, answer.words[0].end_s) == (0.5, 1.0)
    assert second == pytest.approx(0.5 + len(BEST_OF_TIMES.pcm) / HEARING_RATE, abs=0.5)
