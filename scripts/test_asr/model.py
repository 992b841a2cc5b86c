"""The shape of the small model: what Nemotron Speech Streaming is (cache-aware FastConformer-RNNT, four lookaheads), with 0.7 million
parameters instead of 600."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

from test_asr.phrases import PHRASES

if TYPE_CHECKING:
    from pathlib import Path

CONTEXTS = [[70, 13], [70, 6], [70, 1], [70, 0]]
"""Left and right context in frames of 80 ms: chunks of 1120, 560, 160 and 80 ms."""
WIDTH, LAYERS, HIDDEN, MELS, PIECES = 80, 3, 128, 80, 192


def write_tokenizer(folder: Path) -> None:
    """Pieces of the phrases' words; every letter is one, so that any keyword can be spelt."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    texts = dict.fromkeys(text for phrase in PHRASES for text, _ in phrase.written)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=trained,
        model_type="bpe",
        vocab_size=PIECES,
        hard_vocab_limit=False,
        required_chars="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'-.,?",
        bos_id=-1,
        eos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(trained.getvalue())
    pieces = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    names = [pieces.id_to_piece(number) for number in range(1, pieces.get_piece_size())]
    (folder / "vocab.txt").write_text("\n".join(name.replace("▁", "", 1) if name[0] == "▁" else f"##{name}" for name in names) + "\n")


def build(tokenizer: Path) -> Any:
    """An untrained `EncDecRNNTBPEModel`."""
    from nemo.collections.asr.models import EncDecRNNTBPEModel
    from omegaconf import OmegaConf

    return EncDecRNNTBPEModel(OmegaConf.create(_config(str(tokenizer))))


def save(model: Any, path: Path) -> None:
    """NeMo's own file, but for what it tells of the machine: the folder of the tokenizer, the files' owner and their time."""
    from omegaconf import open_dict

    with open_dict(model.cfg):
        model.cfg.tokenizer.dir = "tokenizer"
    model.save_to(str(path))
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    with tarfile.open(path, "w") as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size = len(files[name])
            archive.addfile(member, io.BytesIO(files[name]))


def _config(tokenizer: str) -> dict[str, Any]:
    asr = "nemo.collections.asr.modules"
    return {
        "sample_rate": 16000,
        "model_defaults": {"enc_hidden": WIDTH, "pred_hidden": HIDDEN, "joint_hidden": HIDDEN},
        "tokenizer": {"dir": tokenizer, "type": "bpe"},
        "preprocessor": {"_target_": f"{asr}.AudioToMelSpectrogramPreprocessor", **_PREPROCESSOR},
        "encoder": {"_target_": f"{asr}.ConformerEncoder", **_ENCODER},
        "decoder": {
            "_target_": f"{asr}.RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {"pred_hidden": HIDDEN, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.2},
        },
        "joint": {
            "_target_": f"{asr}.RNNTJoint",
            "log_softmax": None,
            "preserve_memory": False,
            "fuse_loss_wer": False,
            "jointnet": {"joint_hidden": HIDDEN, "activation": "relu", "dropout": 0.0},
        },
        "decoding": {"strategy": "greedy_batch", "greedy": {"max_symbols": 10, "loop_labels": True, "use_cuda_graph_decoder": False}},
        "loss": {"loss_name": "warprnnt_numba", "warprnnt_numba_kwargs": {"fastemit_lambda": 5e-3, "clamp": -1.0}},
        "optim": {"name": "adamw", "lr": 1e-3},
    }


_PREPROCESSOR = {
    "sample_rate": 16000,
    "normalize": "NA",
    "window_size": 0.025,
    "window_stride": 0.01,
    "window": "hann",
    "features": MELS,
    "n_fft": 512,
    "log": True,
    "frame_splicing": 1,
    "dither": 1e-5,
    "pad_to": 0,
}
_ENCODER = {
    "feat_in": MELS,
    "feat_out": -1,
    "n_layers": LAYERS,
    "d_model": WIDTH,
    "subsampling": "dw_striding",
    "subsampling_factor": 8,
    "subsampling_conv_channels": 32,
    "causal_downsampling": True,
    "ff_expansion_factor": 4,
    "self_attention_model": "rel_pos",
    "n_heads": 4,
    "att_context_size": CONTEXTS,
    "att_context_style": "chunked_limited",
    "att_context_probs": [0.25, 0.25, 0.25, 0.25],
    "xscaling": False,
    "pos_emb_max_len": 5000,
    "conv_kernel_size": 9,
    "conv_norm_type": "layer_norm",
    "conv_context_size": "causal",
    "dropout": 0.05,
    "dropout_pre_encoder": 0.0,
    "dropout_emb": 0.0,
    "dropout_att": 0.05,
}
