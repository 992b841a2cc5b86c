"""Whisper for torch, from either form in which its weights are kept: transformers' folder, or CTranslate2's with model.bin in float16.

The layout of model.bin is that of ctranslate2/specs/model_spec.py (`ModelSpec._serialize`, version 6); its names are those that
ctranslate2/converters/transformers.py (`WhisperLoader`) gives. Only the layout differs: there queries, keys and values are one matrix.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Weights = dict[str, np.ndarray]

FLOAT16 = 4
"""The number of the type in the file."""
HEAD_SIZE = 64
"""Of every Whisper."""
PARTS = {
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
    "embeddings": "embed_tokens",
    "position_encodings/encodings": "embed_positions.weight",
}
PROJECTIONS = {
    "self_attention/linear_0": ("self_attn", ("q_proj", "k_proj", "v_proj")),
    "self_attention/linear_1": ("self_attn", ("out_proj",)),
    "attention/linear_0": ("encoder_attn", ("q_proj",)),
    "attention/linear_1": ("encoder_attn", ("k_proj", "v_proj")),
    "attention/linear_2": ("encoder_attn", ("out_proj",)),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    model: Any
    """A `WhisperForConditionalGeneration`, float32 on the CPU where nothing else was asked for."""
    suppressed: list[int]
    """Tokens that are never written."""
    suppressed_first: list[int]
    """Nor as the first one."""


def load(folder: Path, dtype: Any, attention: str) -> Loaded:
    """Raises `EngineFailed` when the folder has neither form."""
    if (folder / "model.bin").is_file():
        return _from_ctranslate2(folder, dtype, attention)
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(folder, dtype=dtype, attn_implementation=attention)
    generation = model.generation_config
    return Loaded(model, list(generation.suppress_tokens or ()), list(generation.begin_suppress_tokens or ()))


def _from_ctranslate2(folder: Path, dtype: Any, attention: str) -> Loaded:
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    with (folder / "model.bin").open("rb") as file:
        weights = dict(renamed(read(file)))
    config = WhisperConfig(**_shape(weights), attn_implementation=attention)
    model = WhisperForConditionalGeneration(config).to(dtype)
    state = {name: torch.from_numpy(value.astype(np.float32)) for name, value in weights.items()}
    absent, strange = model.load_state_dict(state, strict=False)
    if strange or set(absent) - {"proj_out.weight"}:
        raise EngineFailed(f"model.bin is not all of a Whisper: {', '.join([*absent, *strange])}")
    model.tie_weights()
    told = json.loads((folder / "config.json").read_text())
    return Loaded(model.eval(), told["suppress_ids"], told["suppress_ids_begin"])


def read(file: BinaryIO) -> Iterator[tuple[str, np.ndarray]]:
    """Every float16 tensor with its name there. Raises `EngineFailed` when it is another kind of file."""

    def number(kind: str) -> int:
        (value,) = struct.unpack(kind, file.read(struct.calcsize(kind)))
        return int(value)

    def string() -> str:
        return file.read(number("<H"))[:-1].decode()

    version, name = number("<I"), string()
    if (version, name) != (6, "WhisperSpec"):
        raise EngineFailed(f"model.bin is {name} in version {version}, not WhisperSpec in version 6")
    number("<I")
    for _ in range(number("<I")):
        name = string()
        shape = [number("<I") for _ in range(number("<B"))]
        kind, size = number("<B"), number("<I")
        data = file.read(size)
        if kind == FLOAT16:
            yield name, np.frombuffer(data, np.float16).reshape(shape)


def renamed(tensors: Iterator[tuple[str, np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    """By transformers' names."""
    for name, tensor in tensors:
        side, _, rest = name.partition("/")
        prefix = f"model.{side}."
        if rest.startswith("layer_") and not rest.startswith("layer_norm"):
            layer, _, rest = rest.removeprefix("layer_").partition("/")
            prefix += f"layers.{layer}."
        part, _, kind = rest.rpartition("/")
        if part in PROJECTIONS:
            module, projections = PROJECTIONS[part]
            for projection, piece in zip(projections, np.split(tensor, len(projections)), strict=True):
                # Whisper's keys have no bias; CTranslate2 fills it with zeros.
                if (projection, kind) != ("k_proj", "bias"):
                    yield f"{prefix}{module}.{projection}.{kind}", piece
        elif rest in PARTS:
            yield prefix + PARTS[rest], tensor
        else:
            yield f"{prefix}{PARTS.get(part, part)}.{_NORM.get(kind, kind)}", tensor


_NORM = {"gamma": "weight", "beta": "bias"}


def _shape(weights: Weights) -> dict[str, int]:
    vocabulary, width = weights["model.decoder.embed_tokens.weight"].shape

    def layers(side: str) -> int:
        return sum(name.startswith(f"model.{side}.layers.") and name.endswith(".fc1.bias") for name in weights)

    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "num_mel_bins": weights["model.encoder.conv1.weight"].shape[1],
        "encoder_layers": layers("encoder"),
        "decoder_layers": layers("decoder"),
        "encoder_attention_heads": width // HEAD_SIZE,
        "decoder_attention_heads": width // HEAD_SIZE,
        "encoder_ffn_dim": weights["model.encoder.layers.0.fc1.bias"].shape[0],
        "decoder_ffn_dim": weights["model.decoder.layers.0.fc1.bias"].shape[0],
    }
