"""Log-mel features of a stream, computed as its audio comes and never again over the past.

A frame t hears the samples around t * hop, half a window to each side, and the one before them (pre-emphasis). What NeMo's own
preprocessor is given is a slice that begins `MARGIN` frames before the first frame wanted: the frames at the slice's edge, which hear its
end, are thrown away, and the others are those of the whole recording. At the very end the recording's own edge is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from serve_app.audio import NO_PCM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serve_app.engines import Pcm

MARGIN = 2
"""Frames: half a window of 25 ms and a sample, with frames 10 ms apart."""


@dataclass(slots=True)
class Recording:
    """One stream's audio, as much of it as features still have to come from."""

    frames: int = 0
    """Frames that were given."""
    samples: int = 0
    """Since the beginning."""
    kept: Pcm = field(default_factory=lambda: NO_PCM)
    """The last ones."""


@dataclass(frozen=True, slots=True)
class _Cut:
    pcm: Pcm
    skip: int
    """Frames at the slice's start that were given already."""
    take: int


class Features:
    """NeMo's preprocessor of one model, on a batch of slices."""

    def __init__(self, preprocessor: Any) -> None:
        banks = preprocessor.featurizer
        self.bands: int = banks.nfilt
        self._preprocessor = preprocessor
        self._hop: int = banks.hop_length
        self._half_window: int = banks.win_length // 2

    def push(self, pieces: Sequence[tuple[Recording, Pcm, bool]]) -> list[Any]:
        """The frames that the new samples complete, [bands, frames] each, float32. The flag says that the recording ends here."""
        cuts = [self._cut(*piece) for piece in pieces]
        lengths = [len(cut.pcm) for cut in cuts]
        nothing = self._nothing()
        if not any(cut.take for cut in cuts):
            return [nothing] * len(cuts)
        spectra = self._run([cut.pcm for cut in cuts if cut.take], max(lengths))
        rows = iter(spectra)
        return [next(rows)[:, cut.skip : cut.skip + cut.take] if cut.take else nothing for cut in cuts]

    def _cut(self, recording: Recording, pcm: Pcm, last: bool) -> _Cut:
        recording.samples += len(pcm)
        recording.kept = np.concatenate((recording.kept, pcm))
        first = max(0, recording.frames - MARGIN)
        complete = recording.samples // self._hop if last else (recording.samples - self._half_window) // self._hop + 1
        take = max(0, complete - recording.frames)
        cut = _Cut(recording.kept, recording.frames - first, take)
        recording.frames += take
        begin = max(0, recording.frames - MARGIN) * self._hop
        recording.kept = recording.kept[len(recording.kept) - (recording.samples - begin) :]
        return cut

    def _run(self, slices: list[Pcm], longest: int) -> Any:
        import torch

        device = self._preprocessor.featurizer.fb.device
        signal = np.zeros((len(slices), longest), np.float32)
        for row, pcm in zip(signal, slices, strict=True):
            row[: len(pcm)] = pcm / np.float32(32768)
        lengths = torch.tensor([len(pcm) for pcm in slices], device=device)
        return self._preprocessor(input_signal=torch.from_numpy(signal).to(device), length=lengths)[0]

    def _nothing(self) -> Any:
        import torch

        return torch.zeros((self.bands, 0), device=self._preprocessor.featurizer.fb.device)
