"""Samples -> what was said, for as long as a file may be: phrase by phrase (phrases.py), each an utterance of its own."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from uuid import uuid4

from serve_app.core.language import Hints, Word
from serve_app.engines import HEARING_RATE, Audio, Begin, Ear, End, Engines, Failed, Final, HearingResult, Partial, Pcm
from serve_app.errors import EngineFailed
from serve_app.http.phrases import Phrase, phrases
from serve_app.streams import closable

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

    def __init__(self, engines: Engines, pcm: Pcm, hints: Hints) -> None:
        self._engines = engines
        self._pcm = pcm
        self._hints = hints
        self._segments: list[Segment] = []
        self._words: list[Word] = []
        self._language = hints.language

    @property
    def transcript(self) -> Transcript:
        return Transcript(tuple(self._segments), tuple(self._words), len(self._pcm) / HEARING_RATE, self._language)

    @property
    def lacks_words(self) -> bool:
        """Something was heard, and the engine gave no times for its words."""
        return bool(self._segments) and not self._words

    async def deltas(self) -> AsyncGenerator[str, None]:
        """Raises `EngineBusy`, `EngineFailed` or `EngineGone`."""
        found = phrases(self._pcm, self._engines.voice_activity)
        ear = await self._engines.speech_to_text.open(f"http_{uuid4().hex}")
        try:
            async with aclosing(closable(ear.results())) as results:
                while phrase := await asyncio.to_thread(next, found, None):
                    _send(ear, phrase, self._hints)
                    async with aclosing(self._heard(results, phrase)) as deltas:
                        async for delta in deltas:
                            yield delta
        finally:
            await ear.close()

    async def _heard(self, results: AsyncGenerator[HearingResult, None], phrase: Phrase) -> AsyncGenerator[str, None]:
        sent, space = "", " " if self._segments else ""
        async for result in results:
            if isinstance(result, Failed):
                raise EngineFailed(f"speech-to-text failed: {result.reason}")
            known = result.text[: result.stable_chars] if isinstance(result, Partial) else result.text.strip()
            if len(known) > len(sent) and known.startswith(sent):
                yield ("" if sent else space) + known[len(sent) :]
                sent = known
            if isinstance(result, Final):
                self._keep(result, phrase)
                return

    def _keep(self, final: Final, phrase: Phrase) -> None:
        words = [Word(word.text, phrase.from_s + word.start_s, phrase.from_s + word.end_s) for word in final.words]
        self._words += words
        self._language = final.language or self._language
        if words:
            self._segments += _sentences(words)
        elif text := final.text.strip():
            self._segments.append(Segment(phrase.start_s, phrase.end_s, text))


def _send(ear: Ear, phrase: Phrase, hints: Hints) -> None:
    name = f"from_{phrase.from_s:.3f}"
    ear.send(Begin(name, hints))
    step = int(MESSAGE_S * HEARING_RATE)
    for start in range(0, len(phrase.pcm), step):
        ear.send(Audio(name, phrase.pcm[start : start + step]))
    ear.send(End(name))


def _sentences(words: list[Word]) -> Iterator[Segment]:
    sentence: list[Word] = []
    for word in words:
        sentence.append(word)
        if word is words[-1] or word.text.endswith(tuple(SENTENCE_ENDS)):
            yield Segment(sentence[0].start_s, word.end_s, " ".join(part.text.strip() for part in sentence))
            sentence = []
