"""A: Kokoro's Fourier transforms without complex numbers (`CustomSTFT`, made for ONNX), put right where it differs from `TorchSTFT`.

Why: on sm_121 (DGX Spark) and sm_120, PyTorch builds whose NVRTC does not know the chip fail at the first complex `abs`, `angle` or `exp`,
which PyTorch compiles on the card when first used: "nvrtc: error: invalid value for --gpu-architecture (-arch)". The default there.
How: the package has the transform as real convolutions (`KModel(disable_complex=True)`). It is not the same transform. Its inverse leaves
out that the inner frequencies of a real signal count twice and that overlapping windows add up to 1.5: they come out at 0.75 of their
level, the lowest and the highest at 1.5. It repeats the last sample at either end where `TorchSTFT` mirrors. Rounding puts the phase of the
highest frequency, whose imaginary part is zero, at random on plus or minus pi. All of these are set right here (`exact`), and so are the
first and last samples, where fewer windows overlap. Figures in README.md.
Upstream: pytorch/pytorch#87595 (same error, earlier cards), m-bain/whisperX#1326 (sm_121), remsky/Kokoro-FastAPI#365 (Kokoro).
Versions: kokoro 0.9.4, torch 2.13.0.
When it goes: when complex abs works on sm_121 with the locked torch (tests/patches/test_kokoro_patches.py, skipped where there is no such
card), and the corrections when `CustomSTFT` equals `TorchSTFT` (same file, everywhere).
"""

from __future__ import annotations

from typing import Any


def apply(model: Any) -> None:
    """Of a `KModel`."""
    model.decoder.generator.stft = exact(model.decoder.generator.stft)


def exact(transform: Any) -> Any:
    """A `CustomSTFT` that gives what `transform`, a `TorchSTFT`, gives."""
    import torch
    from kokoro.custom_stft import CustomSTFT

    class ExactStft(CustomSTFT):
        def __init__(self) -> None:
            super().__init__(transform.filter_length, transform.hop_length, transform.win_length, pad_mode="reflect")
            # Plus 0, so that the phase of a negative number is pi and not minus pi.
            self.weight_forward_imag[[0, -1]] = 0.0
            counted = torch.full((self.freq_bins, 1, 1), 2.0)
            counted[[0, -1]] = 1.0
            self.weight_backward_real *= counted
            self.weight_backward_imag *= counted

        def inverse(self, magnitude: torch.Tensor, phase: torch.Tensor, length: int | None = None) -> torch.Tensor:
            wave = super().inverse(magnitude, phase)
            ones = torch.ones_like(magnitude[:1, :1])
            squared = self.window.square()[None, None]
            # As torch.istft does: what the windows add up to at each sample.
            added = torch.nn.functional.conv_transpose1d(ones, squared, stride=self.hop_length)
            centre = self.n_fft // 2
            return (wave / added[..., centre:-centre])[..., :length]

    return ExactStft()
