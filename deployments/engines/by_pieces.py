"""Utterances for a model that hears whole clips: its audio is fixed in pieces, and what is not fixed yet is heard again.

A piece has at most `longest_s`, and is cut where it is quietest. Its text does not change any more. What follows is loose: a step hears
all of it again, so the dearest step costs as much as the longest piece. The longer it is, the more new audio it takes to hear it again,
up to a second. What two hypotheses agree on is stable (serve_app/core/agreement.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.quiet import heard, quietest
from serve_app.audio import NO_PCM
from serve_app.core.agreement import Agreement
from serve_app.engines import HEARING_RATE, Hypothesis, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serve_app.engines import Due, Hints, Pcm


@dataclass(frozen=True, slots=True)
class Heard:
    """What the model makes of one clip."""

    text: str
    words: tuple[Word, ...] = ()
    """From the clip's first sample."""
    language: str | None = None


NOTHING = Heard("")
NOTHING_SAID = Hypothesis("")
AGAIN = 1 / 8
"""Of the loose audio, how much has to be new before it is heard again for a partial, up to `AGAIN_S`."""
AGAIN_S = 1.0


@dataclass(eq=False, slots=True)
class Clip:
    """A piece of an utterance without the quiet at its ends."""

    hints: Hints
    pcm: Pcm
    start_s: float
    """Of its first sample in the utterance."""
    heard: Heard | Exception = NOTHING
    """The answer, which `hear` sets; an exception fails the utterance."""


@dataclass(slots=True)
class Utterance:
    hints: Hints
    fixed: list[Heard] = field(default_factory=list)
    """What will not change any more, its words timed from the start of the utterance."""
    fixed_samples: int = 0
    loose: Pcm = field(default_factory=lambda: NO_PCM)
    """Audio after it, less than the longest piece between steps."""
    unheard: int = 0
    """Samples at its end that came since it was heard last."""
    agreement: Agreement = field(default_factory=Agreement)
    said: Hypothesis = NOTHING_SAID
    """The last one."""


class ByPieces:
    """`begin`, `fork` and `step` of a Recogniser around `hear`, which answers all clips of a step."""

    def __init__(self, hear: Callable[[list[Clip]], None], longest_s: float, shortest_s: float = 0.2) -> None:
        """Clips shorter than `shortest_s` have no words, and `hear` does not see them: from less than a word a model makes up a
        phrase."""
        self._hear = hear
        self._longest = int(longest_s * HEARING_RATE)
        self._shortest = int(shortest_s * HEARING_RATE)

    def begin(self, hints: Hints) -> Utterance:
        return Utterance(hints)

    def fork(self, stream: Utterance) -> Utterance:
        # Steps put new audio in place of old.
        return replace(stream, fixed=list(stream.fixed), agreement=replace(stream.agreement))

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        clips = [self._clips(one) for one in due]
        if wanted := [clip for some in clips for clip in some if len(clip.pcm) >= max(1, self._shortest)]:
            self._hear(wanted)
        return [_answer(one, some) for one, some in zip(due, clips, strict=True)]

    def _clips(self, due: Due) -> list[Clip]:
        """The audio that is not fixed, cut so that each is short enough; the last one stays loose. None where nobody waits for the answer
        and too little is new."""
        utterance: Utterance = due.stream
        utterance.loose = np.concatenate((utterance.loose, due.pcm))
        utterance.unheard += len(due.pcm)
        if not due.last and utterance.unheard < min(AGAIN * len(utterance.loose), AGAIN_S * HEARING_RATE):
            return []
        utterance.unheard = 0
        clips = []
        while len(utterance.loose) > self._longest:
            cut = quietest(utterance.loose, self._longest // 2, self._longest) or self._longest
            clips.append(_clip(utterance, utterance.loose[:cut]))
            utterance.loose = utterance.loose[cut:]
            utterance.fixed_samples += cut
        return [*clips, _clip(utterance, utterance.loose)]


def _clip(utterance: Utterance, pcm: Pcm) -> Clip:
    start, end = heard(pcm)
    return Clip(utterance.hints, pcm[start:end], (utterance.fixed_samples + start) / HEARING_RATE)


def _answer(due: Due, clips: list[Clip]) -> Hypothesis | Exception:
    utterance: Utterance = due.stream
    if not clips:
        return utterance.said
    timed = [_timed(clip) for clip in clips]
    for one in timed:
        if isinstance(one, Exception):
            return one
    *fixed, loose = [one for one in timed if isinstance(one, Heard)]
    utterance.fixed += fixed
    text = _joined([one.text for one in utterance.fixed])
    fixed_chars = len(text)
    known = [*utterance.fixed, loose]
    text, stable = utterance.agreement.heard(_joined([text, loose.text]), due.last, fixed_chars)
    language = next((one.language for one in known if one.text and one.language), None)
    utterance.said = Hypothesis(text, stable, tuple(word for one in known for word in one.words), language)
    return utterance.said


def _timed(clip: Clip) -> Heard | Exception:
    if isinstance(clip.heard, Exception):
        return clip.heard
    words = (Word(word.text, word.start_s + clip.start_s, word.end_s + clip.start_s) for word in clip.heard.words)
    return replace(clip.heard, words=tuple(words))


def _joined(texts: Sequence[str]) -> str:
    # A piece that was cut within a sentence may begin with the comma that the one before has ended with.
    first, *rest = texts or ("",)
    return " ".join(filter(None, [first, *(text.lstrip(",.; ") for text in rest)]))
