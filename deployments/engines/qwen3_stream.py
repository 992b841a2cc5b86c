"""One utterance on its way through Qwen3-ASR, which hears a whole piece of audio anew at each step.

The model is not streaming. What makes its partials steady is the prefix: the answer of the last step, without its last few tokens, is
given back as the beginning of the next answer. That prefix never shrinks, so its text is what the session is told will not change. For the
first steps of a piece there is none: of a second of audio the model makes anything.

A step costs as much as the piece is long, so pieces end: where it is quiet once they are half as long as they may be, else at the quietest
place of what is new. Never within audio that was answered already, because its words are in the prefix.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.quiet import heard, is_lull, quietest
from deployments.engines.qwen3_text import parse, repeats, rolled_back
from serve_app.audio import NO_PCM
from serve_app.engines import HEARING_RATE, Hints, Hypothesis, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deployments.engines.qwen3_text import Answer
    from serve_app.engines import Pcm

    Decode = Callable[[Sequence[int]], str]

STEPS_WITHOUT_PREFIX = 2
"""Qwen3-ASR's own figure (`unfixed_chunk_num`)."""

SHORTEST = HEARING_RATE // 5
"""From a quarter of a second the model makes "Yeah." (seen on a Spark)."""


@dataclass(eq=False, slots=True)
class Piece:
    """Audio that the model hears at once, and its answer so far."""

    start: int
    """Of its first sample in the utterance."""
    pcm: Pcm = field(default_factory=lambda: NO_PCM)
    answered: int = 0
    """Samples that the last answer was for."""
    tokens: list[int] = field(default_factory=list)
    """The last answer."""
    confirmed: int = 0
    """Leading tokens of it that the next answer begins with."""
    told: int = 0
    """Characters of the prefix that it was given."""
    steps: int = 0
    ended: bool = False
    words: tuple[Word, ...] = ()
    """From the start of the utterance."""

    @property
    def prefix(self) -> list[int]:
        return self.tokens[: self.confirmed]

    @property
    def silent(self) -> bool:
        """Whether there is too little in it for a word."""
        first, end = heard(self.pcm)
        return end - first < SHORTEST

    def take(self, written: list[int], decode: Decode) -> None:
        """What the model wrote after the prefix."""
        self.told = len(decode(self.prefix))
        self.tokens = self.prefix + written
        self.answered = len(self.pcm)
        self.steps += 1
        # A prefix that repeats itself would be continued so.
        if self.steps >= STEPS_WITHOUT_PREFIX and not repeats(decode(self.tokens), self.told):
            self.confirmed = rolled_back(self.tokens, decode, self.confirmed)

    def answer(self, decode: Decode, forced: str | None) -> Answer:
        return parse(decode(self.tokens), forced, self.told)

    def stable(self, decode: Decode, forced: str | None) -> Answer:
        """What a later answer will begin with."""
        return self.answer(decode, forced) if self.ended else parse(decode(self.prefix), forced, self.told)


@dataclass(eq=False, slots=True)
class Utterance:
    hints: Hints
    longest: int
    """Samples of a piece."""
    pieces: list[Piece] = field(default_factory=lambda: [Piece(0)])

    def fork(self) -> Utterance:
        """Steps put new audio and tokens in place of old."""
        return replace(self, pieces=[replace(piece) for piece in self.pieces])

    def add(self, pcm: Pcm, last: bool) -> list[Piece]:
        """The pieces that must be heard now: those that have ended with it, and the one that goes on."""
        wanted = [self.pieces[-1]]
        wanted[0].pcm = np.concatenate((wanted[0].pcm, pcm))
        while (cut := self._cut(wanted[-1])) is not None:
            piece = wanted[-1]
            rest = Piece(piece.start + cut, piece.pcm[cut:])
            piece.pcm, piece.ended = piece.pcm[:cut], True
            self.pieces.append(rest)
            wanted.append(rest)
        wanted[-1].ended = last
        return [piece for piece in wanted if len(piece.pcm) > piece.answered or piece.ended]

    def _cut(self, piece: Piece) -> int | None:
        """Where the piece ends, if it does; a little later than it should where there is nothing new to choose from."""
        length = len(piece.pcm)
        start = max(piece.answered, self.longest // 2)
        cut = quietest(piece.pcm, start, min(length, self.longest)) or quietest(piece.pcm, start, length)
        return cut if cut is not None and (length > self.longest or is_lull(piece.pcm, cut)) else None


def hypothesis(utterance: Utterance, decode: Decode, forced: str | None) -> Hypothesis:
    answers = [piece.answer(decode, forced) for piece in utterance.pieces]
    stable = _joined([piece.stable(decode, forced) for piece in utterance.pieces])
    words = tuple(word for piece in utterance.pieces for word in piece.words)
    language = next((answer.language for answer in answers if answer.text and answer.language), None)
    return Hypothesis(_joined(answers), len(stable), words, language)


def _joined(answers: Sequence[Answer]) -> str:
    joined = ""
    for answer in answers:
        between = " " if joined and answer.text and not _without_spaces(joined[-1], answer.text[0]) else ""
        joined += between + answer.text
    return joined


def _without_spaces(before: str, after: str) -> bool:
    """Whether both are of a script that writes none: Chinese, Japanese and their marks."""
    return all("\u3000" <= character <= "\u9fff" or "\uff00" <= character <= "\uffef" for character in (before, after))
