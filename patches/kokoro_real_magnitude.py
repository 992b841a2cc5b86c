"""B: magnitude and phase of Kokoro's Fourier transform from its real and imaginary parts, and back by cosine and sine.

Why: as A (kokoro_disable_complex.py). Here `torch.stft` and `torch.istft` stay, which are cuFFT and were compiled when PyTorch was built;
only the elementwise functions of complex numbers that are compiled on the card are gone: `abs`, `angle`, and `exp` in the inverse, too.
How: `TorchSTFT` of the model is replaced by one with other arithmetic and the same results, within 1e-5.
Upstream: pytorch/pytorch#87595, m-bain/whisperX#1326 (whose fix this is), remsky/Kokoro-FastAPI#365.
Versions: kokoro 0.9.4, torch 2.13.0.
When it goes: with A; also when the package no longer takes abs and angle of a complex tensor (tests/patches/test_kokoro_patches.py).
"""

from __future__ import annotations

from typing import Any


def apply(model: Any) -> None:
    """Of a `KModel`."""
    model.decoder.generator.stft = by_parts(model.decoder.generator.stft)


def by_parts(transform: Any) -> Any:
    """A `TorchSTFT` that gives what `transform` gives."""
    import torch
    from kokoro.istftnet import TorchSTFT

    class PartsStft(TorchSTFT):
        def transform(self, input_data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            shape = (self.filter_length, self.hop_length, self.win_length)
            window = self.window.to(input_data.device)
            real, imaginary = torch.view_as_real(torch.stft(input_data, *shape, window=window, return_complex=True)).unbind(-1)
            return torch.sqrt(real.square() + imaginary.square()), torch.atan2(imaginary, real)

        def inverse(self, magnitude: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
            shape = (self.filter_length, self.hop_length, self.win_length)
            return torch.istft(spectrum, *shape, window=self.window.to(magnitude.device)).unsqueeze(-2)

    return PartsStft(transform.filter_length, transform.hop_length, transform.win_length)
