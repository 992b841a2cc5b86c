"""Samples -> what was said, for as long as a file may be.

Audio longer than `LONGEST_PIECE_S` is heard in pieces, one after the other, cut where it is quietest: live sessions, which share the
recogniser, have their turn between two pieces, and a piece is what a listening model has learnt to hear (Whisper's window is 30 s).
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

import numpy as np

from serve_app.core.language import Hints, Word
from serve_app.engines import HEARING_RATE, Audio, Begin, Ear, End, Failed, Final, HearingResult, Partial, Pcm, SpeechToText
from serve_app.errors import EngineFailed
from serve_app.streams import closable

LONGEST_PIECE_S = 30.0
CUT_WITHIN_S = 8.0
"""The end of a piece in which the quietest place is looked for."""
QUIET_S = 0.1
MESSAGE_S = 1.0
SENTENCE_ENDS = ".!?…。！？"


@dataclass(frozen=True, slots=True)
class Segment:
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    segments: tuple[Segment, ...]
    words: tuple[Word, ...]
    """From the beginning of the file; empty when the engine has none."""
    duration_s: float
    language: str | None

    @property
    def text(self) -> str:
        return " ".join(segment.text for segment in self.segments)


class Transcription:
    """One file on its way: `deltas` tells how the text grows; after its end there is a `transcript`."""

    def __init__(self, engine: SpeechToText, pcm: Pcm, hints: Hints) -> None:
        self._engine = engine
        self._pcm = pcm
        self._hints = hints
        self._segments: list[Segment] = []
        self._words: list[Word] = []
        self._language = hints.language

    @property
    def transcript(self) -> Transcript:
        return Transcript(tuple(self._segments), tuple(self._words), len(self._pcm) / HEARING_RATE, self._language)

    async def deltas(self) -> AsyncGenerator[str, None]:
        """Raises `EngineBusy`, `EngineFailed` or `EngineGone`."""
        ear = await self._engine.open(f"http_{uuid4().hex}")
        try:
            async with aclosing(closable(ear.results())) as results:
                start = 0
                for number, piece in enumerate(pieces(self._pcm)):
                    _send(ear, f"piece_{number}", piece, self._hints)
                    async with aclosing(self._piece(results, start / HEARING_RATE)) as deltas:
                        async for delta in deltas:
                            yield delta
                    start += len(piece)
        finally:
            await ear.close()

    async def _piece(self, results: AsyncGenerator[HearingResult, None], start_s: float) -> AsyncGenerator[str, None]:
        sent, space = "", " " if self._segments else ""
        async for result in results:
            if isinstance(result, Failed):
                raise EngineFailed(f"speech-to-text failed: {result.reason}")
            known = result.text[: result.stable_chars] if isinstance(result, Partial) else result.text.strip()
            if len(known) > len(sent) and known.startswith(sent):
                yield ("" if sent else space) + known[len(sent) :]
                sent = known
            if isinstance(result, Final):
                self._keep(result, start_s)
                return

    def _keep(self, final: Final, start_s: float) -> None:
        words = [Word(word.text, start_s + word.start_s, start_s + word.end_s) for word in final.words]
        self._words += words
        self._language = final.language or self._language
        if words:
            self._segments += _sentences(words)
        elif text := final.text.strip():
            self._segments.append(Segment(start_s, start_s + final.audio_s, text))


def pieces(pcm: Pcm) -> Iterator[Pcm]:
    """Joined they are the audio; each is at most `LONGEST_PIECE_S` long."""
    longest, within = int(LONGEST_PIECE_S * HEARING_RATE), int(CUT_WITHIN_S * HEARING_RATE)
    while len(pcm) > longest:
        cut = longest - within + _quietest(pcm[longest - within : longest])
        yield pcm[:cut]
        pcm = pcm[cut:]
    yield pcm


def _quietest(pcm: Pcm) -> int:
    """The middle of its quietest `QUIET_S`."""
    frame = int(QUIET_S * HEARING_RATE)
    frames = pcm[: len(pcm) // frame * frame].reshape(-1, frame).astype(np.float32)
    return int(np.square(frames).mean(axis=1).argmin()) * frame + frame // 2


def _send(ear: Ear, name: str, pcm: Pcm, hints: Hints) -> None:
    ear.send(Begin(name, hints))
    step = int(MESSAGE_S * HEARING_RATE)
    for start in range(0, len(pcm), step):
        ear.send(Audio(name, pcm[start : start + step]))
    ear.send(End(name))


def _sentences(words: list[Word]) -> Iterator[Segment]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if word is words[-1] or word.text.endswith(tuple(SENTENCE_ENDS)):
            yield Segment(sentence[0].start_s, word.end_s, " ".join(part.text.strip() for part in sentence))
            sentence = []
