"""Speech-to-text by Whisper (OpenAI, MIT) through faster-whisper (MIT) and CTranslate2 (MIT), int8 on the CPU.

On a DGX Spark too this runs on the CPU: the wheels of CTranslate2 for aarch64 have no CUDA (github.com/OpenNMT/CTranslate2/issues/1306),
and Arm's own pipeline for the Spark uses it so, with 70 to 90 ms a phrase (learn.arm.com, "offline voice chatbot"). On its GPU Whisper
runs by whisper_torch.py. On x86-64 the wheels have CUDA, and `device=cuda` works where its libraries are.

Whisper hears 30 s at a time, padded: a partial costs as much as a final, so there are none unless `partial_s` asks for them. What it
makes up in silence or noise is kept out three times: clips are trimmed and quiet ones not heard (quiet.py); windows that are probably no
speech and of which it is unsure are left out (Whisper's own thresholds); what repeats itself is decoded once more, then cleaned.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.by_pieces import ByPieces, Heard
from deployments.engines.languages import likeliest, told
from deployments.engines.repetitions import cleaned
from serve_app import models
from serve_app.engines import HEARING_RATE, Hints, Word
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deployments.engines.by_pieces import Clip, Utterance
    from serve_app.engines import Due, Hypothesis

LONGEST_S = 28.0
"""Of the 30 s that a window has."""
TEMPERATURES = (0.0, 0.4)
"""The second where the first gives what repeats itself or is unlikely. Whisper's own six would be six times the wait."""
COMPRESSION_RATIO = 2.4
MOST_REPEATED, LONGEST_REPEATED = 4, 60
"""In a text beyond that ratio."""


@dataclass(eq=False)
class WhisperCt2:
    model: str = "whisper-tiny-en"
    """An artifact, a folder that CTranslate2 has converted, or such a repository of the hub (Systran/faster-whisper-small)."""
    compute_type: str = "int8"
    device: str = "cpu"
    threads: int = 0
    """0: CTranslate2's own choice, four."""
    language: str = ""
    """Where the hints name none. Empty: found."""
    beam: int = 1
    partial_s: float = 0.0
    """A partial for so much new audio; 0: none."""
    word_times: bool = True
    _model: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.step_samples = int(self.partial_s * HEARING_RATE)
        self._pieces = ByPieces(self._hear, LONGEST_S)

    @property
    def languages(self) -> tuple[str, ...] | None:
        return None if self._model is None else tuple(self._model.supported_languages)

    async def warm(self) -> None:
        if self._model is None:
            self._model = await asyncio.to_thread(self._load)
        noise = np.random.default_rng(0).normal(0, 500, HEARING_RATE).astype(np.int16)
        await asyncio.to_thread(self._heard, noise, Hints())

    def begin(self, hints: Hints) -> Utterance:
        return self._pieces.begin(hints)

    def fork(self, stream: Utterance) -> Utterance:
        return self._pieces.fork(stream)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        """Raises `EngineFailed` before `warm`."""
        if self._model is None:
            raise EngineFailed("Whisper was not warmed")
        return self._pieces.step(due)

    def _load(self) -> Any:
        folder = models.ensure(self.model)
        try:
            from faster_whisper import WhisperModel

            model = WhisperModel(str(folder), device=self.device, compute_type=self.compute_type, cpu_threads=self.threads)
        except Exception as error:
            raise EngineFailed(f"faster-whisper does not load {self.model}: {error}") from error
        model.encode = _EncodesOnce(model.encode)
        return model

    def _hear(self, clips: list[Clip]) -> None:
        # One after the other: CTranslate2 spreads each over the cores.
        for clip in clips:
            try:
                clip.heard = self._heard(clip.pcm, clip.hints)
            except Exception as error:
                clip.heard = EngineFailed(f"faster-whisper: {error}")

    def _heard(self, pcm: np.ndarray, hints: Hints) -> Heard:
        audio = pcm.astype(np.float32) / 32768.0
        language = told(hints, self.language, self._model.supported_languages) or self._found(audio, hints)
        segments, _ = self._model.transcribe(
            audio,
            language=language,
            beam_size=self.beam,
            temperature=TEMPERATURES,
            compression_ratio_threshold=COMPRESSION_RATIO,
            condition_on_previous_text=False,
            initial_prompt=hints.prompt or None,
            hotwords=", ".join(hints.keywords) or None,
            word_timestamps=self.word_times,
        )
        kept = [_cleaned(segment) for segment in segments]
        text = "".join(text for text, _ in kept).strip()
        return Heard(text, tuple(word for _, words in kept for word in words), language if text else None)

    def _found(self, audio: np.ndarray, hints: Hints) -> str:
        if not self._model.model.is_multilingual:
            return "en"
        from faster_whisper.audio import pad_or_trim

        features = self._model.feature_extractor(audio)
        # As `transcribe` takes its first window, so that it is encoded once for both.
        window = pad_or_trim(features[:, : min(self._model.feature_extractor.nb_max_frames, features.shape[-1] - 1)])
        (tokens,) = self._model.model.detect_language(self._model.encode(window))
        return likeliest({token[2:-2]: probability for token, probability in tokens}, hints)


class _EncodesOnce:
    """The encoder, which is most of the time, with its last answer kept: finding the language and transcribing ask for the same."""

    def __init__(self, encode: Callable[[np.ndarray], Any]) -> None:
        self._encode = encode
        self._last: tuple[np.ndarray, Any] | None = None

    def __call__(self, features: np.ndarray) -> Any:
        if self._last is None or not np.array_equal(self._last[0], features):
            self._last = features, self._encode(features)
        return self._last[1]


def _cleaned(segment: Any) -> tuple[str, tuple[Word, ...]]:
    if segment.compression_ratio > COMPRESSION_RATIO:
        # Its words would not be those of the text any more.
        return cleaned(segment.text, MOST_REPEATED, LONGEST_REPEATED), ()
    return segment.text, tuple(Word(word.word.strip(), float(word.start), float(word.end)) for word in segment.words or ())
