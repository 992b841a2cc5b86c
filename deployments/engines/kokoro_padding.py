"""Sentences of different lengths through Kokoro's decoder in one batch, each as if it were alone.

The decoder of the package kokoro (0.9.4) takes one sentence: its instance norms take the mean over all frames, its convolutions look past
the last one, and its Fourier transforms mirror the signal at the end, so the padding of a shorter sentence would be heard in it. Its own
`forward` stays in use; what it is made of is changed: convolutions see zeros beyond a sentence, as they do at the end of one alone; norms
leave the padding out; what depends on a signal's end, the harmonic source and the transforms, takes one sentence after the other (they are
a small part of the work).

The source adds noise. It is drawn from the same seed for each sentence, so that what is said does not depend on who else is speaking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 0


class Lengths:
    """How many frames each sentence of the batch under way has. Every layer's signal has a whole number of samples for each frame, and
    some have one sample more."""

    def __init__(self) -> None:
        self.frames: torch.Tensor | None = None
        """Shape [batch], int64; None while there is no padding."""
        self._longest = 0
        self._masks: dict[int, torch.Tensor] = {}

    def begin(self, frames: list[int], device: torch.device) -> None:
        self._masks.clear()
        self._longest = max(frames)
        self.frames = torch.tensor(frames, device=device) if min(frames) < self._longest else None

    def of(self, samples: int) -> torch.Tensor | None:
        """Shape [batch]: how much of a signal of `samples` belongs to each sentence."""
        scale, more = divmod(samples, self._longest)
        return None if self.frames is None else self.frames * scale + more

    def each(self, signal: torch.Tensor, samples: int) -> Iterator[tuple[torch.Tensor, int]]:
        """Each sentence's row, with the batch dimension left in, and how much of `samples` belongs to it."""
        lengths = self.of(samples)
        counts = [samples] * len(signal) if lengths is None else lengths.tolist()
        yield from zip(signal.split(1), counts, strict=True)

    def mask(self, samples: int) -> torch.Tensor | None:
        """Shape [batch, 1, samples]: 1 within the sentence, 0 beyond."""
        if samples not in self._masks and (lengths := self.of(samples)) is not None:
            within = torch.arange(samples, device=lengths.device) < lengths[:, None]
            self._masks[samples] = within[:, None].float()
        return self._masks.get(samples)


class PaddedNorm(nn.Module):
    """An instance norm over what belongs to the sentence."""

    def __init__(self, alone: nn.InstanceNorm1d, lengths: Lengths) -> None:
        super().__init__()
        self._alone = alone
        self._lengths = lengths

    def forward(self, signal: torch.Tensor) -> torch.Tensor:
        mask = self._lengths.mask(signal.shape[-1])
        if mask is None:
            return self._alone(signal)
        count = mask.sum(-1, keepdim=True)
        centred = (signal - (signal * mask).sum(-1, keepdim=True) / count) * mask
        variance = centred.square().sum(-1, keepdim=True) / count
        return centred * torch.rsqrt(variance + self._alone.eps) * self._alone.weight[:, None] + self._alone.bias[:, None]


class PackedLstm(nn.Module):
    """A bidirectional LSTM, [batch, frames, features], that begins its way back at the sentence's end."""

    def __init__(self, alone: nn.LSTM, lengths: Lengths) -> None:
        super().__init__()
        self._alone = alone
        self._lengths = lengths

    def forward(self, signal: torch.Tensor) -> tuple[torch.Tensor, None]:
        lengths = self._lengths.of(signal.shape[1])
        return packed(self._alone, signal, lengths.cpu()) if lengths is not None else self._alone(signal)[0], None


def packed(lstm: nn.LSTM, signal: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """`lengths` on the CPU. What lies beyond them is 0."""
    together = nn.utils.rnn.pack_padded_sequence(signal, lengths, batch_first=True, enforce_sorted=False)
    return nn.utils.rnn.pad_packed_sequence(lstm(together)[0], batch_first=True, total_length=signal.shape[1])[0]


class SourceOneByOne(nn.Module):
    """The harmonic source: pitch in hertz [batch, samples, 1] to [batch, samples, 1]."""

    def __init__(self, alone: nn.Module, lengths: Lengths) -> None:
        super().__init__()
        self._alone = alone
        self._lengths = lengths

    def forward(self, pitch: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        samples = pitch.shape[1]
        devices = [pitch.device] if pitch.is_cuda else []
        voiced = []
        with torch.random.fork_rng(devices), torch.autocast(pitch.device.type, enabled=False):
            for row, count in self._lengths.each(pitch.float(), samples):
                torch.manual_seed(SEED)
                voiced.append(functional.pad(self._alone(row[:, :count])[0], (0, 0, 0, samples - count)))
        # The generator does not use the other two things that a source gives.
        return torch.cat(voiced), None, None


class TransformOneByOne(nn.Module):
    """`alone` is one of kokoro's two Fourier transforms, or a patch of them. In float32, whatever the rest is computed in."""

    def __init__(self, alone: Any, lengths: Lengths) -> None:
        super().__init__()
        self._alone = alone
        self._lengths = lengths

    def transform(self, wave: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        samples = wave.shape[-1]
        with torch.autocast(wave.device.type, enabled=False):
            parts = [self._alone.transform(row[:, :count]) for row, count in self._lengths.each(wave.float(), samples)]
        bins = samples // self._alone.hop_length + 1
        padded = [[functional.pad(half, (0, bins - half.shape[-1])) for half in part] for part in parts]
        return torch.cat([part[0] for part in padded]), torch.cat([part[1] for part in padded])

    def inverse(self, magnitude: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
        bins = magnitude.shape[-1]
        waves = []
        with torch.autocast(magnitude.device.type, enabled=False):
            for (row, count), turn in zip(self._lengths.each(magnitude.float(), bins), phase.float().split(1), strict=True):
                waves.append(self._alone.inverse(row[..., :count], turn[..., :count]))
        longest = max(wave.shape[-1] for wave in waves)
        return torch.cat([functional.pad(wave, (0, longest - wave.shape[-1])) for wave in waves])


def take_batches(model: Any, lengths: Lengths) -> None:
    """Changes a `KModel` as said above. The text encoders mind their padding themselves."""
    generator, predictor = model.decoder.generator, model.predictor
    for part in (predictor.F0, predictor.N, predictor.F0_proj, predictor.N_proj, model.decoder):
        for module in part.modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
                module.register_forward_pre_hook(_within(lengths))
            if isinstance(getattr(module, "norm", None), nn.InstanceNorm1d):
                module.norm = PaddedNorm(module.norm, lengths)
    predictor.shared = PackedLstm(predictor.shared, lengths)
    generator.m_source = SourceOneByOne(generator.m_source, lengths)
    generator.stft = TransformOneByOne(generator.stft, lengths)


def _within(lengths: Lengths) -> Any:
    def hook(_: nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        mask = lengths.mask(given[0].shape[-1])
        return None if mask is None else (given[0] * mask.to(given[0].dtype),)

    return hook
