"""Times of words by Qwen3-ForcedAligner (Apache-2.0): one pass over audio and text, in torch through transformers.

Its limits are kept here (qwen_asr/inference/utils.py: `MAX_FORCE_ALIGN_INPUT_SECONDS`): 180 s of audio, eleven languages, Hindi and Kannada
not among them, Japanese and Korean only where nagisa or soynlp is installed. Where one is passed there are no times.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.qwen3_prompt import ALIGNED, LANGUAGES
from serve_app.engines import HEARING_RATE, Word
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.engines import Pcm

LONGEST_S = 180.0
TOKENIZERS = {"ja": "nagisa", "ko": "soynlp"}


def can_align(language: str | None, audio_s: float) -> bool:
    """`language`: a primary tag."""
    if language not in ALIGNED or audio_s > LONGEST_S:
        return False
    return language not in TOKENIZERS or importlib.util.find_spec(TOKENIZERS[language]) is not None


class Qwen3Aligner:
    def __init__(self, folder: Path, device: str = "auto", dtype: str = "auto") -> None:
        """`folder`: in transformers' form (Qwen/Qwen3-ForcedAligner-0.6B-hf). Raises `EngineFailed`."""
        try:
            import torch
            from transformers import Qwen3ASRForTokenClassification, Qwen3ASRProcessor

            self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
            kind = (torch.float32 if self._device == "cpu" else torch.bfloat16) if dtype == "auto" else getattr(torch, dtype)
            self._processor = Qwen3ASRProcessor.from_pretrained(folder)
            model = Qwen3ASRForTokenClassification.from_pretrained(folder, dtype=kind, attn_implementation="sdpa")
            self._model = model.to(self._device).eval()
        except Exception as error:
            raise EngineFailed(f"the forced aligner does not load from {folder}: {error}") from error

    def words(self, pcm: Pcm, text: str, language: str) -> tuple[Word, ...]:
        """From the first sample, without punctuation; in Chinese each character is one. Raises `EngineFailed` for what it cannot align."""
        if not can_align(language, len(pcm) / HEARING_RATE):
            raise EngineFailed(f"the forced aligner takes at most {LONGEST_S:g} s of {', '.join(sorted(ALIGNED))}")
        import torch

        audio = pcm.astype(np.float32) / 32768.0
        inputs, words = self._processor.prepare_forced_aligner_inputs(audio, text, LANGUAGES[language])
        if not words[0]:
            return ()
        inputs = inputs.to(self._device, self._model.dtype)
        with torch.inference_mode():
            logits = self._model(**inputs).logits
        marks = self._model.config.timestamp_token_id
        (times,) = self._processor.decode_forced_alignment(logits, inputs["input_ids"], words, marks)
        longest = len(pcm) / HEARING_RATE
        return tuple(Word(one["text"], min(one["start_time"], longest), min(one["end_time"], longest)) for one in times)
