"""Speech-to-text by NeMo models that hear a whole utterance at once: Parakeet (CTC, RNNT, TDT, hybrids), Canary, IndicConformer.

What is said is kept until it ends, and the utterances that end together are heard in one batch. With `partial_s` they are heard again each
time that so much was added, while they are short: a partial of 30 s costs as much as a final. Transducers take phrase boosting as
the streaming engine does; CTC and Canary have none here.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deployments.engines.nemo_boosting import phrases_of
from deployments.engines.nemo_model import DTYPES, Decoding, load
from deployments.engines.nemo_whole import hearing
from serve_app.engines import HEARING_RATE, Hypothesis
from serve_app.errors import EngineFailed, SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deployments.engines.nemo_boosting import Tree
    from deployments.engines.nemo_whole import Hearing
    from serve_app.engines import Due, Hints, Pcm

log = logging.getLogger(__name__)

LONGEST_PARTIAL_S = 30.0
"""Of an utterance that is longer only the end is heard."""
BATCH_S = 240.0
"""Audio in one batch, its padding included: an encoder of 0.6 billion parameters takes some 10 MB a second of it."""
SHORTEST = HEARING_RATE // 10
"""Samples; less is silence."""


@dataclass(eq=False, slots=True)
class Utterance:
    language: str | None
    tree: Tree | None = None
    parts: list[Pcm] = field(default_factory=list)

    @property
    def pcm(self) -> Pcm:
        if len(self.parts) > 1:
            self.parts = [np.concatenate(self.parts)]
        return self.parts[0] if self.parts else np.zeros(0, np.int16)


class NemoOffline:
    def __init__(
        self,
        model: str = "nvidia/parakeet-tdt-0.6b-v2",
        partial_s: float = 0.0,
        device: str = "auto",
        dtype: str = "float32",
        decoding: Mapping[str, Any] | None = None,
    ) -> None:
        """`model`, `device`, `dtype`, `decoding`: as of the engine nemo-rnnt. `partial_s`: seconds of new audio after which a partial is
        made; 0: none. Raises `SettingsError`."""
        if partial_s < 0:
            raise SettingsError(f"partial_s is {partial_s}, but must not be negative")
        if dtype not in DTYPES:
            raise SettingsError(f"dtype is {dtype!r}, but must be one of {', '.join(DTYPES)}")
        self.step_samples = int(partial_s * HEARING_RATE)
        self._model = (model, device, dtype)
        self._decoding = Decoding.of(decoding)
        self._hearing: Hearing | None = None

    async def warm(self) -> None:
        if self._hearing is None:
            self._hearing = await asyncio.to_thread(lambda: hearing(load(*self._model), self._decoding))
        ready = self._hearing
        await asyncio.to_thread(lambda: ready.hear([np.zeros(HEARING_RATE, np.int16)], [Utterance(None)]))

    def begin(self, hints: Hints) -> Utterance:
        """Raises `EngineFailed` before `warm`."""
        boosting = self._ready().boosting
        phrases = phrases_of(hints, self._decoding.phrases)
        return Utterance(hints.language, boosting.tree(phrases) if boosting and phrases else None)

    def fork(self, stream: Utterance) -> Utterance:
        return replace(stream, parts=list(stream.parts))

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        ready = self._ready()
        answers: list[Hypothesis | Exception] = [Hypothesis("")] * len(due)
        for one in due:
            one.stream.parts.append(one.pcm)
        heard = [n for n, one in enumerate(due) if len(one.stream.pcm) >= SHORTEST and (one.last or _short(one.stream))]
        for batch in _batches(heard, [len(one.stream.pcm) for one in due]):
            for number, answer in zip(batch, _hear(ready, [due[n].stream for n in batch]), strict=True):
                answers[number] = answer if due[number].last or isinstance(answer, Exception) else replace(answer, stable_chars=0)
        return answers

    def _ready(self) -> Hearing:
        if self._hearing is None:
            raise EngineFailed("the NeMo model was not warmed")
        return self._hearing


def _short(utterance: Utterance) -> bool:
    return len(utterance.pcm) <= LONGEST_PARTIAL_S * HEARING_RATE


def _batches(numbers: list[int], lengths: list[int]) -> list[list[int]]:
    """Of like length, because the shorter are padded, and none of more than `BATCH_S` but of one."""
    batches: list[list[int]] = []
    for number in sorted(numbers, key=lambda one: lengths[one]):
        if batches and (len(batches[-1]) + 1) * lengths[number] <= BATCH_S * HEARING_RATE:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def _hear(ready: Hearing, utterances: list[Utterance]) -> Sequence[Hypothesis | Exception]:
    """Together; where that fails each alone, so that the one at fault fails alone."""
    try:
        return ready.hear([one.pcm for one in utterances], utterances)
    except Exception as error:
        if len(utterances) == 1:
            log.exception("an utterance cannot be transcribed")
            return [EngineFailed(f"the model failed: {error}")]
        return [answer for one in utterances for answer in _hear(ready, [one])]
