"""Kokoro-82M's ONNX file: phonemes in, samples and durations out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.kokoro_speech import FRAME_SAMPLES, Voiced, style_row, vocabulary
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

    from deployments.engines.kokoro_speech import Floats

DURATIONS = "/encoder/Cast_output_0"
"""The tensor inside the graph that holds the rounded durations, int64 [1, tokens]."""


class KokoroModel:
    def __init__(self, folder: Path, threads: int) -> None:
        """`folder` holds kokoro.onnx and vocab.json. Raises `EngineFailed` when they cannot be read."""
        self._vocabulary = vocabulary(folder)
        try:
            content = (folder / "kokoro.onnx").read_bytes()
        except OSError as error:
            raise EngineFailed(f"Kokoro's files in {folder.name} cannot be read: {error}") from error
        self._tells_durations = DURATIONS.encode() in content
        self._session = _session(content + (_as_output(DURATIONS) if self._tells_durations else b""), threads)
        self._gives_back = _giving_back()

    def known(self, phonemes: str) -> str:
        """The phonemes without those that the model does not know."""
        return "".join(phoneme for phoneme in phonemes if phoneme in self._vocabulary)

    def run(self, phonemes: str, voice: Floats, speed: float) -> Voiced:
        """`phonemes`: 1 to `MOST_PHONEMES` known ones; `voice`: [510, 256], a row for each length. Raises `EngineFailed`."""
        tokens = [0, *(self._vocabulary[phoneme] for phoneme in phonemes), 0]
        style = style_row(voice, phonemes)
        try:
            samples, *durations = self._session.run(
                None,
                {"tokens": np.array([tokens], np.int64), "style": style, "speed": np.array([speed], np.float32)},
                self._gives_back,
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


def _giving_back() -> Any:
    """Options of a run after which its memory is given back. Kept for the next run, it would be that of the longest clause so far for good:
    330 MiB after 300 phonemes, for a twentieth of the time."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


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
