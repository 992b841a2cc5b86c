"""The networks of Moonshine (Jeffries et al. 2024, arXiv 2410.15608): an encoder and a decoder that writes tokens greedily.

Clips are encoded one by one, because the encoder normalises over the whole clip and padding would change what it hears (seen on the tiny
model), and a CPU gains nothing from a batch of it. The decoder takes all clips at once: its weights, not its arithmetic, are what each
token costs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deployments.engines.onnx_session import OnnxSession
from serve_app.engines import HEARING_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Floats = npt.NDArray[np.float32]

FRAME_SAMPLES = 384
"""Audio to one frame of the encoder."""
SHORTEST_SAMPLES = 1024
"""The encoder's convolutions give no frame for less than 895 samples."""
TOKENS_PER_S = 6.5
"""No speaker needs more; a model that repeats itself does (the paper's own limit)."""
MARGIN_TOKENS = 3
"""For clips of one short word."""
HEADS, HEAD_SIZE = 8, 36
BEGIN, END = 1, 2
MARK = "\N{LOWER ONE EIGHTH BLOCK}"


class MoonshineModel:
    def __init__(self, folder: Path, threads: int = 1) -> None:
        """`folder` holds encoder_model.ort, decoder_model_merged.ort and tokenizer.bin. Raises `EngineFailed` when they cannot be
        loaded."""
        self._encoder = OnnxSession(folder / "encoder_model.ort", threads)
        self._decoder = OnnxSession(folder / "decoder_model_merged.ort", threads)
        self._tokens = read_tokens((folder / "tokenizer.bin").read_bytes())
        self._caches = [name for name in self._decoder.inputs if name.startswith("past_key_values")]

    def encode(self, clip: Floats) -> Floats:
        """`clip`: shape [n], -1 to 1 at 16 kHz. Gives shape [frames, 288]."""
        padded = np.pad(clip, (0, max(0, SHORTEST_SAMPLES - len(clip))))[None]
        (encoded,) = self._encoder.run(input_values=padded, attention_mask=np.ones(padded.shape, np.int64))
        return encoded[0]

    def decode(self, encoded: Sequence[Floats]) -> list[str]:
        """The text of each clip."""
        hidden, mask = _together(encoded)
        limits = [_most_tokens(len(frames)) for frames in encoded]
        written: list[list[int]] = [[] for _ in encoded]
        open_clips = set(range(len(encoded)))
        caches: dict[str, Any] = {name: np.zeros((len(encoded), HEADS, 0, HEAD_SIZE), np.float32) for name in self._caches}
        newest = np.full((len(encoded), 1), BEGIN, np.int64)
        while open_clips:
            newest = self._next(newest, hidden, mask, caches)
            for clip in list(open_clips):
                token = int(newest[clip, 0])
                if token == END or len(written[clip]) == limits[clip]:
                    open_clips.discard(clip)
                else:
                    written[clip].append(token)
        return [self._text(tokens) for tokens in written]

    def _next(
        self, newest: npt.NDArray[np.int64], hidden: Floats, mask: npt.NDArray[np.int64], caches: dict[str, Any]
    ) -> npt.NDArray[np.int64]:
        begun = caches[self._caches[0]].shape[2] > 0
        logits, *present = self._decoder.run_named(
            {"input_ids": newest, "encoder_hidden_states": hidden, "encoder_attention_mask": mask, "use_cache_branch": np.array([begun])}
            | caches
        )
        for name, value in zip(self._caches, present, strict=True):
            # Of the encoder's frames the first step gives the keys and values; later steps give empty ones.
            if not begun or ".decoder." in name:
                caches[name] = value
        return logits[:, -1].argmax(-1).astype(np.int64)[:, None]

    def _text(self, tokens: Sequence[int]) -> str:
        spelled = b"".join(self._tokens[token] for token in tokens)
        return spelled.decode("utf-8", "replace").replace(MARK, " ").strip()


def read_tokens(data: bytes) -> list[bytes]:
    """The vocabulary of a tokenizer.bin: each token as its length and its bytes; a length above 127 takes a second byte, for the
    multiples of 128.

    Control tokens (<s>, <<ST_7>>) are given as nothing, as no speaker says them.
    """
    tokens, at = [], 0
    while at < len(data):
        length, at = data[at], at + 1
        if length > 127:
            length, at = length - 128 + 128 * data[at], at + 1
        token, at = data[at : at + length], at + length
        control = token in (b"<unk>", b"<s>", b"</s>") or token.startswith(b"<<ST_")
        tokens.append(b"" if control else token)
    return tokens


def _most_tokens(frames: int) -> int:
    return math.ceil(TOKENS_PER_S * frames * FRAME_SAMPLES / HEARING_RATE) + MARGIN_TOKENS


def _together(encoded: Sequence[Floats]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Clips padded to the longest: hidden states [clips, frames, 288], and the mask over *samples* that the decoder wants: it takes every
    384th of it (github.com/k2-fsa/sherpa-onnx/issues/3975; one over frames fails above 384 frames, which is 9.3 s)."""
    longest = max(len(frames) for frames in encoded)
    hidden = np.zeros((len(encoded), longest, encoded[0].shape[1]), np.float32)
    mask = np.zeros((len(encoded), longest * FRAME_SAMPLES), np.int64)
    for number, frames in enumerate(encoded):
        hidden[number, : len(frames)] = frames
        mask[number, : len(frames) * FRAME_SAMPLES] = 1
    return hidden, mask
