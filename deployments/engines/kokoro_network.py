"""Kokoro-82M in PyTorch (package kokoro): phonemes of several sentences in, samples and durations of each out.

`KModel.forward_with_tokens` of the package says one sentence: it squeezes the batch out of the durations and lays them out for the first
only. So the same steps are here for many, over the modules of the model (kokoro_padding.py for its decoder).
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.kokoro_speech import FRAME_SAMPLES, Voiced
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from deployments.engines.kokoro_speech import Floats

MANNER = 128
"""A style's first half is for the decoder, its second for prosody."""
DTYPES = ("float32", "bfloat16", "float16")
LIBRARY_WARNINGS = (
    # The package kokoro uses what PyTorch 2.13 calls old, and asks for dropout where there is one layer.
    (".*weight_norm.* is deprecated", FutureWarning),
    ("dropout option adds dropout", UserWarning),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    sounds: str
    """1 to `MOST_PHONEMES` known phonemes."""
    style: Floats
    """Shape [1, 256]."""
    speed: float


class KokoroNetwork:
    def __init__(self, folder: Path, device: str, dtype: str, patch: str) -> None:
        """`folder` holds config.json and one .pth, as hexgrad/Kokoro-82M does. Raises `EngineFailed`."""
        if dtype not in DTYPES:
            raise EngineFailed(f"Kokoro's dtype is one of {', '.join(DTYPES)}, not {dtype!r}")
        import torch

        from deployments.engines.kokoro_padding import Lengths, take_batches
        from patches import kokoro

        self.device = torch.device(_device(device))
        self._dtype = getattr(torch, dtype)
        self._lengths = Lengths()
        model = _loaded(folder)
        self.patch = kokoro.apply(model, patch, self.device)
        take_batches(model, self._lengths)
        self._model = model.to(self.device).eval()

    def known(self, phonemes: str) -> str:
        """The phonemes without those that the model does not know."""
        return "".join(phoneme for phoneme in phonemes if phoneme in self._model.vocab)

    def run(self, sentences: Sequence[Sentence]) -> list[Voiced]:
        """All in one batch, each as if it were alone. Raises `EngineFailed`."""
        import torch

        single = self._dtype == torch.float32
        try:
            with torch.inference_mode(), nullcontext() if single else torch.autocast(self.device.type, self._dtype):
                audio, durations = self._say(sentences)
                audio = audio.float().cpu()
        except Exception as error:
            raise EngineFailed(f"Kokoro: {error}") from error
        return [_voiced(samples, frames.numpy(), one) for samples, frames, one in zip(audio, durations, sentences, strict=True)]

    def _say(self, sentences: Sequence[Sentence]) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples [batch, n] and, on the CPU, the frames of each token [batch, tokens]; what lies beyond a sentence is 0."""
        import torch

        model, tokens, lengths = self._model, *self._tokens(sentences)
        beyond = torch.arange(tokens.shape[1]) >= lengths[:, None]
        style = torch.from_numpy(np.concatenate([one.style for one in sentences])).to(self.device)
        tokens, hidden, manner = tokens.to(self.device), beyond.to(self.device), style[:, MANNER:]
        text = model.bert_encoder(model.bert(tokens, attention_mask=(~hidden).int())).transpose(1, 2)
        prosody = model.predictor.text_encoder(text, manner, lengths, hidden)
        durations = self._durations(prosody, lengths, [one.speed for one in sentences]).masked_fill(beyond, 0)
        frames = durations.sum(1).tolist()
        laid_out = _laid_out(durations, max(frames)).to(self.device, text.dtype)
        self._lengths.begin(frames, self.device)
        pitch, loudness = model.predictor.F0Ntrain(prosody.transpose(1, 2).to(text.dtype) @ laid_out, manner)
        said = model.text_encoder(tokens, lengths, hidden).to(text.dtype) @ laid_out
        return model.decoder(said, pitch, loudness, style[:, :MANNER])[:, 0], durations

    def _tokens(self, sentences: Sequence[Sentence]) -> tuple[torch.Tensor, torch.Tensor]:
        """[batch, tokens] and lengths [batch]. 0 pads a sentence at either end, and fills the batch."""
        import torch

        rows = [torch.tensor([0, *(self._model.vocab[sound] for sound in one.sounds), 0]) for one in sentences]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def _durations(self, prosody: torch.Tensor, lengths: torch.Tensor, speeds: list[float]) -> torch.Tensor:
        """Frames of each token, at least one, int64 [batch, tokens] on the CPU."""
        import torch

        from deployments.engines.kokoro_padding import packed

        projected = self._model.predictor.duration_proj(packed(self._model.predictor.lstm, prosody, lengths))
        frames = torch.sigmoid(projected.float()).sum(-1).cpu() / torch.tensor(speeds)[:, None]
        return frames.round().clamp(min=1).long()


def _device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineFailed(f"Kokoro is set to {device}, but PyTorch sees no CUDA device")
    return device


def _loaded(folder: Path) -> Any:
    """A `KModel` whose weight norm is multiplied out, because it would be again in every run."""
    try:
        [weights] = folder.glob("*.pth")
        with warnings.catch_warnings():
            for message, category in LIBRARY_WARNINGS:
                warnings.filterwarnings("ignore", message, category)
            from kokoro.model import KModel
            from torch.nn.utils import remove_weight_norm

            model = KModel(repo_id=folder.name, config=str(folder / "config.json"), model=str(weights))
            for module in model.modules():
                if hasattr(module, "weight_g"):
                    remove_weight_norm(module)
    except Exception as error:
        raise EngineFailed(f"Kokoro's files in {folder.name} cannot be read: {error}") from error
    return model


def _laid_out(durations: torch.Tensor, longest: int) -> torch.Tensor:
    """Which token sounds in which frame: [batch, tokens, frames], 1 where it does."""
    import torch

    ends = durations.cumsum(1)
    at = torch.arange(longest)
    return (at >= (ends - durations)[..., None]) & (at < ends[..., None])


def _voiced(samples: torch.Tensor, frames: Any, sentence: Sentence) -> Voiced:
    edges = np.cumsum(frames[: len(sentence.sounds) + 2]) * FRAME_SAMPLES
    return Voiced(samples[: edges[-1]].numpy(), edges[1:-1], int(edges[0]))
