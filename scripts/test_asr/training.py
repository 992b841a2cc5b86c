"""Teaches the phrases: RNN-T loss, with a CTC head beside it that is thrown away (it finds the alignment early), on clips that are made
faster and slower, louder and softer, noisier, and put at random places in silence."""

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
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    steps: int
    """The learning rate falls to nothing at their end."""
    rate: float = 2e-3
    alone: float = 0.3
    """The share of the steps in which the CTC head learns by itself: at once, the transducer would learn which phrases there are and not
    listen."""
    seed: int = 20261121
    threads: int = 1
    """Two wait for each other where other programs hold the cores."""


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


def train(model: Any, clips: list[Example], plan: Plan, kept: Path) -> None:
    """`kept`: where the model is written now and then."""
    random.seed(plan.seed)
    np.random.seed(plan.seed)
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    centre(model, clips)
    head = torch.nn.Linear(model.cfg.encoder.d_model, model.tokenizer.vocab_size + 1)
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=plan.rate, weight_decay=1e-3, betas=(0.9, 0.98))
    model.train()
    for step in range(plan.steps):
        done = step / plan.steps
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * done))
        losses = _losses(model, head if done < 0.8 else None, _batch(clips), done >= plan.alone)
        optimiser.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 50 == 0:
            log.info("step %d: losses %s", step, [round(float(loss), 3) for loss in losses])
        if step % 200 == 199:
            model.save_to(str(kept))
    model.eval()


def _batch(clips: list[Example]) -> list[Example]:
    """Of like length: what is padded is computed for nothing."""
    near = random.choice(clips)
    drawn = random.sample(clips, min(len(clips), 3 * BATCH))
    return sorted(drawn, key=lambda one: abs(len(one.pcm) - len(near.pcm)))[:BATCH]


def _losses(model: Any, head: torch.nn.Module | None, batch: list[Example], transduce: bool) -> list[torch.Tensor]:
    signal, lengths, tokens, token_lengths = _tensors(model, batch)
    with torch.no_grad():
        features, feature_lengths = model.preprocessor(input_signal=signal, length=lengths)
        _mask(features, float(features.mean()))
    encoded, encoded_lengths = model.encoder(audio_signal=features, length=feature_lengths)
    losses = []
    if head is not None:
        scores = head(encoded.transpose(1, 2)).log_softmax(-1).transpose(0, 1)
        blank = model.tokenizer.vocab_size
        losses.append(torch.nn.functional.ctc_loss(scores, tokens, encoded_lengths, token_lengths, blank, zero_infinity=True))
    if transduce:
        predicted, *_ = model.decoder(targets=tokens, target_length=token_lengths)
        joint = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
        losses.append(transducer_loss(joint.log_softmax(-1), tokens, encoded_lengths, token_lengths))
    return losses


def transducer_loss(scores: torch.Tensor, tokens: torch.Tensor, lengths: torch.Tensor, token_lengths: torch.Tensor) -> torch.Tensor:
    """RNN-T loss (Graves, 2012), the mean over the batch, by whole rows: NeMo's own for the CPU walks the lattice in Python, point by
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
    return -rows[batch, lengths - 1, token_lengths].mean()


def _tensors(model: Any, batch: list[Example]) -> tuple[torch.Tensor, ...]:
    heard = [_varied(example.pcm) for example in batch]
    texts = [random.choices(*zip(*PHRASES[example.phrase].written, strict=True))[0] for example in batch]
    spelt = [model.tokenizer.text_to_ids(text) for text in texts]
    signal = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(pcm) for pcm in heard], batch_first=True)
    tokens = torch.nn.utils.rnn.pad_sequence([torch.tensor(one) for one in spelt], batch_first=True)
    return signal, torch.tensor([len(pcm) for pcm in heard]), tokens, torch.tensor([len(one) for one in spelt])


def _varied(pcm: np.ndarray) -> np.ndarray:
    """As another microphone, in another room, at another moment would give it."""
    pcm = soxr.resample(pcm, RATE, RATE * random.choice((0.9, 0.95, 1.0, 1.0, 1.05, 1.1)), "LQ")
    quiet = [np.zeros(int(random.uniform(0, 0.6) * RATE), np.float32) for _ in range(2)]
    pcm = np.concatenate((quiet[0], pcm, quiet[1])) * 10 ** (random.uniform(-12, 6) / 20)
    noise = np.random.default_rng(random.getrandbits(32)).standard_normal(len(pcm)).astype(np.float32)
    return np.clip(pcm + noise * 10 ** (random.uniform(-90, -35) / 20), -1, 1).astype(np.float32)


def _mask(features: torch.Tensor, mean: float) -> None:
    """SpecAugment (Park et al., 2019): one band and one stretch of each clip."""
    for one in features:
        low, wide = random.randrange(0, one.shape[0] - 12), random.randrange(0, 12)
        start, long = random.randrange(0, max(1, one.shape[1] - 15)), random.randrange(0, 15)
        one[low : low + wide] = mean
        one[:, start : start + long] = mean
