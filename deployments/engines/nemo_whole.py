"""Whole utterances through a NeMo model: one way for transducers, one for CTC, one for models that are asked with a prompt (Canary)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from deployments.engines.nemo_boosting import Boosting
from deployments.engines.nemo_model import Decoding, decode_greedily, quiet
from deployments.engines.nemo_text import Transcript, Writer
from serve_app.engines import Hypothesis
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deployments.engines.nemo_boosting import Tree
    from serve_app.engines import Pcm


class Asked(Protocol):
    """What is known of an utterance beside its audio."""

    language: str | None
    tree: Tree | None


class Hearing(Protocol):
    boosting: Boosting | None

    def hear(self, pcm: Sequence[Pcm], asked: Sequence[Asked]) -> list[Hypothesis]:
        """One batch."""


def hearing(model: Any, decoding: Decoding) -> Hearing:
    """The way that fits the model. Raises `EngineFailed` when none does."""
    if hasattr(model, "joint"):
        return _Transducer(model, decoding)
    if type(model).__name__.startswith("EncDecMultiTask"):
        return _Prompted(model)
    if hasattr(model.decoding, "ctc_decoder_predictions_tensor"):
        return _Ctc(model)
    raise EngineFailed(f"{type(model).__name__} is no model that this engine knows how to ask")


class _Transducer:
    """RNNT and TDT, and hybrids by their transducer."""

    def __init__(self, model: Any, decoding: Decoding) -> None:
        self._model = model
        self._computer = decode_greedily(model, decoding)
        self._writer = Writer(model.tokenizer, _frame_s(model))
        trees = self._computer.biasing_multi_model if self._computer.per_stream_biasing_enabled else None
        self.boosting = Boosting(model.tokenizer, trees, decoding.weight) if trees is not None else None

    def hear(self, pcm: Sequence[Pcm], asked: Sequence[Asked]) -> list[Hypothesis]:
        import torch

        with torch.inference_mode():
            encoded, lengths = _encoded(self._model, pcm)
            trees = torch.tensor([one.tree.number if one.tree else -1 for one in asked], device=encoded.device) if self.boosting else None
            found, _ = self._computer(x=encoded.transpose(1, 2), out_len=lengths, multi_biasing_ids=trees)
        counts, tokens, frames = (one.tolist() for one in found.get_data_without_blank()[:3])
        return [self._written(some[:count], at[:count]) for count, some, at in zip(counts, tokens, frames, strict=True)]

    def _written(self, tokens: list[int], frames: list[int]) -> Hypothesis:
        transcript = Transcript()
        self._writer.add(transcript, tokens, frames)
        text, _ = self._writer.read(transcript)
        return Hypothesis(text, len(text), self._writer.words(transcript))


class _Ctc:
    boosting: Boosting | None = None

    def __init__(self, model: Any) -> None:
        self._model = model

    def hear(self, pcm: Sequence[Pcm], asked: Sequence[Asked]) -> list[Hypothesis]:
        import torch

        with torch.inference_mode():
            encoded, lengths = _encoded(self._model, pcm)
            scores = self._model.decoder(encoder_output=encoded)
            found = self._model.decoding.ctc_decoder_predictions_tensor(scores, lengths, return_hypotheses=True)
        return [Hypothesis(one.text.strip(), len(one.text.strip())) for one in found]


class _Prompted:
    """Canary: NeMo's own `transcribe` builds the prompt, of language and task."""

    boosting: Boosting | None = None

    def __init__(self, model: Any) -> None:
        self._model = model

    def hear(self, pcm: Sequence[Pcm], asked: Sequence[Asked]) -> list[Hypothesis]:
        """Languages are asked for one after the other."""
        texts = [""] * len(pcm)
        for language in sorted({_language(one) for one in asked}):
            places = [n for n, one in enumerate(asked) if _language(one) == language]
            audio = [pcm[n] / np.float32(32768) for n in places]
            prompt = {"source_lang": language, "target_lang": language, "pnc": "yes"}
            with quiet():
                found = self._model.transcribe(audio, batch_size=len(audio), verbose=False, **prompt)
            for place, text in zip(places, found, strict=True):
                texts[place] = str(getattr(text, "text", text)).strip()
        return [Hypothesis(text, len(text), language=_language(one)) for text, one in zip(texts, asked, strict=True)]


def _language(asked: Asked) -> str:
    return (asked.language or "en").split("-")[0]


def _encoded(model: Any, pcm: Sequence[Pcm]) -> tuple[Any, Any]:
    """[batch, width, time] and the times."""
    import torch

    parameter = next(model.encoder.parameters())
    lengths = torch.tensor([len(one) for one in pcm], device=parameter.device)
    signal = torch.zeros((len(pcm), int(lengths.max())), device=parameter.device)
    for row, one in zip(signal, pcm, strict=True):
        row[: len(one)] = torch.from_numpy(one / np.float32(32768))
    features, frames = model.preprocessor(input_signal=signal, length=lengths)
    encoded, times = model.encoder(audio_signal=features.to(parameter.dtype), length=frames)
    return encoded, times


def _frame_s(model: Any) -> float:
    return float(model.cfg.preprocessor.window_stride * model.encoder.subsampling_factor)
