"""Whole utterances through NeMo: the small transducer of the repository for true words, untrained models for the other families."""

import asyncio

import numpy as np
import pytest

from deployments.engines import create
from deployments.engines.nemo_model import Decoding, quiet
from deployments.engines.nemo_whole import hearing
from serve_app.engines import HEARING_RATE, Due, Hints
from serve_app.errors import EngineFailed, SettingsError
from tests.engines.every import warmed
from tests.engines.nemo import BOOSTED, CLAUDE, CODE, COMPUTING, DRAGON, FRANCE, MODEL, SKY, WORDS, spoken
from tests.recordings import alike, all_alike, word_error_rate

pytestmark = pytest.mark.weights


@pytest.fixture
def offline():
    return warmed("recogniser", "nemo-offline", decoding=BOOSTED)


def hear(engine, *files, hints=()):
    streams = [engine.begin(one) for one in hints or [Hints()] * len(files)]
    return [answer.text for answer in engine.step([Due(stream, spoken(file), True) for stream, file in zip(streams, files, strict=True)])]


def test_the_words_of_a_whole_utterance_are_heard(offline):
    for file in (FRANCE, DRAGON, SKY):
        assert word_error_rate(WORDS[file], hear(offline, file)[0]) <= 0.1


def test_utterances_in_one_batch_are_heard_as_each_is_alone(offline):
    files = [FRANCE, DRAGON, SKY, COMPUTING] * 2
    assert all_alike([hear(offline, file)[0] for file in files], hear(offline, *files))


def test_keywords_turn_the_ambiguous_phrase_of_their_own_utterance(offline):
    boosted = Hints(keywords=("Claude Code",))
    texts = hear(offline, CODE, CODE, COMPUTING, hints=[Hints(), boosted, boosted])
    assert texts == [WORDS[CODE], CLAUDE, WORDS[COMPUTING]]


def test_with_an_interval_there_are_partials():
    engine = create("recogniser", "nemo-offline", model=MODEL, device="cpu", partial_s=1.0)
    asyncio.run(engine.warm())
    assert engine.step_samples == HEARING_RATE
    stream = engine.begin(Hints())
    (partial,) = engine.step([Due(stream, spoken(DRAGON)[: 2 * HEARING_RATE], False)])
    (final,) = engine.step([Due(stream, spoken(DRAGON)[2 * HEARING_RATE :], True)])
    assert partial.text and partial.stable_chars == 0
    assert word_error_rate(WORDS[DRAGON], final.text) <= 0.1


def test_an_utterance_that_fails_does_so_alone(offline, monkeypatch):
    model = offline._ready()._model
    encode = model.encoder.forward

    def failing(audio_signal, length, **given):
        if audio_signal.shape[2] > 1000:
            raise MemoryError("too long")
        return encode(audio_signal=audio_signal, length=length, **given)

    monkeypatch.setattr(model.encoder, "forward", failing)
    streams = [offline.begin(Hints()) for _ in range(2)]
    good, bad = offline.step([Due(streams[0], spoken(FRANCE), True), Due(streams[1], np.tile(spoken(FRANCE), 6), True)])
    assert alike(WORDS[FRANCE], good.text)
    assert isinstance(bad, EngineFailed)


def test_a_negative_interval_is_refused():
    with pytest.raises(SettingsError, match="partial_s"):
        create("recogniser", "nemo-offline", partial_s=-1)


# --- families of which no trained model is small enough ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["ctc", "tdt", "hybrid"])
def test_a_family_is_heard_in_a_batch_as_alone(family, tmp_path):
    way = hearing(untrained(family, tmp_path), Decoding())
    clips = [spoken(file) for file in (FRANCE, DRAGON, SKY)]
    alone = [way.hear([clip], [_Asked()])[0].text for clip in clips]
    assert all_alike(alone, [one.text for one in way.hear(clips, [_Asked()] * 3)])
    assert any(alone)


class _Asked:
    language = None
    tree = None


def untrained(family, folder):
    """A model of one layer, from NeMo's own classes, whose random weights write something."""
    import torch

    with quiet():
        from nemo.collections.asr import models
        from omegaconf import OmegaConf

        torch.manual_seed(5)
        trained = warmed("recogniser", "nemo-offline")._ready()._model
        shape = OmegaConf.to_container(trained.cfg, resolve=True)
        shape = {name: shape[name] for name in ("sample_rate", "preprocessor", "encoder", "decoder", "joint", "decoding", "model_defaults")}
        shape["tokenizer"] = {"dir": spelling(folder), "type": "bpe"}
        shape["encoder"]["n_layers"] = 1
        made = getattr(models, SHAPED[family](shape))(OmegaConf.create(shape))
    for parameter in made.parameters():
        parameter.data *= 2
    return made.eval()


def spelling(folder):
    """A tokenizer, as NeMo wants one."""
    import sentencepiece

    prefix = str(folder / "tokenizer")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(WORDS.values()), model_prefix=prefix, model_type="bpe", vocab_size=60, bos_id=-1, eos_id=-1, minloglevel=2
    )
    pieces = (folder / "tokenizer.vocab").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join(piece.split("\t")[0] for piece in pieces[1:]))
    return str(folder)


def _ctc(shape):
    shape["decoder"] = _ctc_decoder(shape)
    shape["decoding"] = {"strategy": "greedy"}
    del shape["joint"]
    return "EncDecCTCModelBPE"


def _hybrid(shape):
    shape["aux_ctc"] = {"ctc_loss_weight": 0.3, "decoder": _ctc_decoder(shape), "decoding": {"strategy": "greedy"}}
    return "EncDecHybridRNNTCTCBPEModel"


def _tdt(shape):
    durations = [0, 1, 2, 3, 4]
    shape["joint"]["num_extra_outputs"] = len(durations)
    shape["model_defaults"] |= {"tdt_durations": durations, "num_tdt_durations": len(durations)}
    shape["decoding"] |= {"durations": durations, "model_type": "tdt"}
    shape["loss"] = {"loss_name": "tdt", "tdt_kwargs": {"durations": durations}}
    return "EncDecRNNTBPEModel"


def _ctc_decoder(shape):
    width = shape["encoder"]["d_model"]
    return {"_target_": "nemo.collections.asr.modules.ConvASRDecoder", "feat_in": width, "num_classes": -1, "vocabulary": []}


SHAPED = {"ctc": _ctc, "hybrid": _hybrid, "tdt": _tdt}
