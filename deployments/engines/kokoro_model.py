"""Kokoro-82M's ONNX file: phonemes in, samples and durations out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

Floats = npt.NDArray[np.float32]

MOST_PHONEMES = 510
"""Of one run; the model's context is 512, and a pad stands at either end."""
FRAME_SAMPLES = 600
"""Samples for one unit of the predicted durations: hop of 300, upsampled by 2 (verified: their sum times this is the audio's length)."""
DURATIONS = "/encoder/Cast_output_0"
"""The tensor inside the graph that holds the rounded durations, int64 [1, tokens]."""


@dataclass(frozen=True, slots=True)
class Voiced:
    samples: Floats
    """Shape [n], -1 to 1, at 24 kHz."""
    ends: npt.NDArray[np.int64] | None
    """The sample at which each phoneme of the input ends, shape [phonemes]; None when the file does not tell."""
    begin: int
    """The sample at which the first phoneme begins."""


class KokoroModel:
    def __init__(self, folder: Path, threads: int) -> None:
        """`folder` holds kokoro.onnx and vocab.json. Raises `EngineFailed` when they cannot be read."""
        try:
            vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
            content = (folder / "kokoro.onnx").read_bytes()
        except (OSError, ValueError) as error:
            raise EngineFailed(f"Kokoro's files in {folder.name} cannot be read: {error}") from error
        self._vocabulary: dict[str, int] = vocabulary["vocab"]
        self._tells_durations = DURATIONS.encode() in content
        self._session = _session(content + (_as_output(DURATIONS) if self._tells_durations else b""), threads)

    def known(self, phonemes: str) -> str:
        """The phonemes without those that the model does not know."""
        return "".join(phoneme for phoneme in phonemes if phoneme in self._vocabulary)

    def run(self, phonemes: str, voice: Floats, speed: float) -> Voiced:
        """`phonemes`: 1 to `MOST_PHONEMES` known ones; `voice`: [510, 256], a row for each length. Raises `EngineFailed`."""
        tokens = [0, *(self._vocabulary[phoneme] for phoneme in phonemes), 0]
        # KPipeline.infer of the package `kokoro` takes the row len - 1.
        style = voice[len(phonemes) - 1][None]
        try:
            samples, *durations = self._session.run(
                None, {"tokens": np.array([tokens], np.int64), "style": style, "speed": np.array([speed], np.float32)}
            )
        except Exception as error:
            raise EngineFailed(f"Kokoro: {error}") from error
        flat = np.asarray(samples, np.float32).ravel()
        if not durations:
            return Voiced(flat, None, 0)
        edges = np.cumsum(durations[0].ravel()) * FRAME_SAMPLES
        return Voiced(flat, edges[1:-1], int(edges[0]))


def _session(content: bytes, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait by spinning would take the cores from the other engines of a small machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineFailed(f"kokoro.onnx cannot be loaded: {error}") from error


def _as_output(tensor: str) -> bytes:
    """Bytes that, put behind a model, make one of its tensors an output too.

    Protobuf merges a message that occurs twice, and appends to its lists (protobuf.dev, "Encoding", last one wins). The numbers are those
    of onnx.proto: ModelProto.graph 7, GraphProto.output 12, ValueInfoProto.name 1. So the package onnx is not needed to run.
    """
    return _field(7, _field(12, _field(1, tensor.encode())))


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited field. Lengths under 128 take one byte, and these are."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content
