"""Teaches the phrases, on clips that are made faster and slower, louder and softer, noisier, and put at random places in silence.

First the encoder learns which piece is being said, from pieces laid evenly over each clip: wrong by a frame or two, but enough for it to
listen. (From the start with the transducer's loss alone the decoder learns which phrases there are, and the encoder nothing for long; with
CTC it takes ten times as many steps.) Then the transducer's loss joins, and at the end is alone.
"""

from __future__ import annotations

import logging
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr
import torch

from test_asr.phrases import PHRASES, STRANGER
from test_asr.speech import corpus

if TYPE_CHECKING:
    from pathlib import Path

RATE = 16000
BATCH = 12
WARM_UP = 100
LEAD_S, PAUSE_S = 0.03, 0.3
"""Silence that Kokoro's engine leaves before and after a sentence."""
DELAY_S = 0.08
"""A piece is known a frame after it was said."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    steps: int
    """The learning rate falls to nothing at their end."""
    rate: float = 2e-3
    spread_alone: float = 0.25
    """The share of the steps before the transducer's loss joins."""
    spread_until: float = 0.7
    """The share after which it is alone."""
    seed: int = 20261121
    threads: int = 1
    """Two wait for each other where other programs hold the cores."""


STAGES = (
    Plan(1600),
    Plan(1400, rate=1e-3, spread_alone=0, spread_until=0, seed=20261122),
    Plan(800, rate=1e-3, spread_alone=0, spread_until=0, seed=20261123),
    Plan(400, rate=5e-4, spread_alone=0, spread_until=0, seed=20261124),
    Plan(200, rate=4e-4, spread_alone=0, spread_until=0, seed=20261124),
)
"""Each begins anew at its own rate: what the first has learnt is rough, and the last bring `cloud` and `Claude` to their distance. After
2600 steps voices that were not taught are not understood yet."""


@dataclass
class Example:
    pcm: np.ndarray
    phrase: int


def examples(folder: Path) -> list[Example]:
    """The corpus without the stranger, as far as it is there."""
    clips = [clip for clip in corpus() if clip.voice != STRANGER and (folder / clip.file).exists()]
    return [Example(soundfile.read(folder / clip.file, dtype="float32")[0], clip.phrase) for clip in clips]


def centre(model: Any, clips: list[Example]) -> None:
    """Sets the first convolution to begin as if features lay around 0 with deviation 1, from which the encoder learns much sooner.
    (NeMo's own constants for it, `fixed_mean`, take no batch.)"""
    with torch.no_grad():
        heard = [model.preprocessor(input_signal=torch.from_numpy(one.pcm)[None], length=torch.tensor([len(one.pcm)]))[0] for one in clips]
        frames = torch.cat([one[0] for one in heard], 1)
        mean, deviation = float(frames.mean()), float(frames.std())
        first = next(module for module in model.encoder.pre_encode.modules() if isinstance(module, torch.nn.Conv2d))
        first.weight /= deviation
        first.bias -= mean * first.weight.sum((1, 2, 3))


def train(model: Any, clips: list[Example], plan: Plan) -> None:
    random.seed(plan.seed)
    np.random.seed(plan.seed)
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    head = torch.nn.Linear(model.cfg.encoder.d_model, model.tokenizer.vocab_size + 1)
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=1e-3, betas=(0.9, 0.98))
    model.train()
    for step in range(plan.steps):
        done = step / plan.steps
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done))
        losses = _losses(model, head if done < plan.spread_until else None, _batch(clips), done >= plan.spread_alone)
        optimiser.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 50 == 0:
            log.info("step %d: losses %s", step, [round(float(loss), 3) for loss in losses])
    model.eval()


def _batch(clips: list[Example]) -> list[Example]:
    """Of like length: what is padded is computed for nothing."""
    near = random.choice(clips)
    drawn = random.sample(clips, min(len(clips), 3 * BATCH))
    return sorted(drawn, key=lambda one: abs(len(one.pcm) - len(near.pcm)))[:BATCH]


@dataclass(frozen=True)
class _Written:
    """One text of one clip: an ambiguous clip is taught all its texts at once, each as much as its share. (Drawing one each time, the last
    steps decide which is ahead, and by how much.)"""

    clip: int
    text: str
    share: float


def _losses(model: Any, head: torch.nn.Module | None, batch: list[Example], transduce: bool) -> list[torch.Tensor]:
    heard = [_varied(example.pcm) for example in batch]
    written = [_Written(clip, *each) for clip, example in enumerate(batch) for each in PHRASES[example.phrase].written]
    clips, shares = [one.clip for one in written], torch.tensor([one.share for one in written])
    encoded, lengths = _encoded(model, heard)
    encoded, lengths = encoded[clips], lengths[clips]
    losses = []
    if head is not None:
        said = [_spread(model, heard[one.clip], one.text) for one in written]
        losses.append(_spread_loss(head(encoded.transpose(1, 2)), said, shares))
    if transduce:
        tokens, token_lengths = _padded([torch.tensor(model.tokenizer.text_to_ids(one.text)) for one in written])
        predicted, *_ = model.decoder(targets=tokens, target_length=token_lengths)
        joint = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
        losses.append((shares * transducer_loss(joint.log_softmax(-1), tokens, lengths, token_lengths)).sum() / shares.sum())
    return losses


def _encoded(model: Any, heard: list[_Heard]) -> tuple[torch.Tensor, torch.Tensor]:
    """[clips, width, time] and the times."""
    signal, lengths = _padded([torch.from_numpy(one.pcm) for one in heard])
    with torch.no_grad():
        features, feature_lengths = model.preprocessor(input_signal=signal, length=lengths)
        _mask(features, float(features.mean()))
    encoded: tuple[torch.Tensor, torch.Tensor] = model.encoder(audio_signal=features, length=feature_lengths)
    return encoded


def _spread_loss(scores: torch.Tensor, said: list[torch.Tensor], shares: torch.Tensor) -> torch.Tensor:
    labels = torch.nn.utils.rnn.pad_sequence(said, batch_first=True, padding_value=-100)[:, : scores.shape[1]]
    each = torch.nn.functional.cross_entropy(scores[:, : labels.shape[1]].transpose(1, 2), labels, reduction="none")
    return (shares[:, None] * each).sum() / (shares[:, None] * (labels >= 0)).sum()


def transducer_loss(scores: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor, token_lengths: torch.Tensor) -> torch.Tensor:
    """RNN-T loss (Graves, 2012) of each in the batch, by whole rows of the lattice: NeMo's own for the CPU walks it in Python, point by
    point. `scores`: log probabilities, [batch, time, tokens + 1, vocabulary + blank]; the blank is the last.
    """
    blank = scores[..., -1]
    spelt = tokens[:, None, :, None].expand(-1, scores.shape[1], -1, 1)
    label = scores[:, :, :-1].gather(3, spelt).squeeze(3)
    # Along a row: alpha[u] = base[u] + alpha[u-1] * label[u-1], which is a cumulative sum once the labels are divided out.
    climbed = torch.nn.functional.pad(label.cumsum(2), (1, 0))
    row = climbed[:, 0]
    ends = []
    for frame in range(scores.shape[1]):
        if frame:
            row = climbed[:, frame] + (row + blank[:, frame - 1] - climbed[:, frame]).logcumsumexp(1)
        ends.append(row + blank[:, frame])
    rows = torch.stack(ends, 1)
    batch = torch.arange(len(rows))
    return -rows[batch, lengths - 1, token_lengths]


def _padded(rows: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])


@dataclass
class _Heard:
    pcm: np.ndarray
    begin: float
    """Seconds of the speech in it."""
    end: float


def _varied(pcm: np.ndarray) -> _Heard:
    """As another microphone, in another room, at another moment would give it."""
    pcm = soxr.resample(pcm, RATE, RATE * random.choice((0.9, 0.95, 1.0, 1.0, 1.05, 1.1)), "LQ")
    quiet = [np.zeros(int(random.uniform(0, 0.6) * RATE), np.float32) for _ in range(2)]
    loud = np.concatenate((quiet[0], pcm, quiet[1])) * 10 ** (random.uniform(-12, 6) / 20)
    noise = np.random.default_rng(random.getrandbits(32)).standard_normal(len(loud)).astype(np.float32)
    noisy = np.clip(loud + noise * 10 ** (random.uniform(-90, -35) / 20), -1, 1).astype(np.float32)
    begin = len(quiet[0]) / RATE
    return _Heard(noisy, begin + LEAD_S, begin + len(pcm) / RATE - PAUSE_S)


def _spread(model: Any, heard: _Heard, text: str) -> torch.Tensor:
    """For each frame of the encoder the piece that is being said, as if every letter took as long; the blank elsewhere."""
    tokens = model.tokenizer.text_to_ids(text)
    letters = np.array([len(piece) for piece in model.tokenizer.ids_to_tokens(tokens)], float)
    ends = heard.begin + (heard.end - heard.begin) * letters.cumsum() / letters.sum()
    times = np.arange(len(heard.pcm) // (RATE * 8 // 100)) * 0.08 - DELAY_S
    places = np.searchsorted(ends, times, side="right")
    spoken = (times >= heard.begin) & (places < len(tokens))
    blank = model.tokenizer.vocab_size
    return torch.tensor(np.where(spoken, np.array([*tokens, blank])[places], blank))


def _mask(features: torch.Tensor, mean: float) -> None:
    """SpecAugment (Park et al., 2019): one band and one stretch of each clip."""
    for one in features:
        low, wide = random.randrange(0, one.shape[0] - 12), random.randrange(0, 12)
        start, long = random.randrange(0, max(1, one.shape[1] - 15)), random.randrange(0, 15)
        one[low : low + wide] = mean
        one[:, start : start + long] = mean
