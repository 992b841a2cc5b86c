"""Text-to-speech by Kokoro-82M (Apache-2.0) through ONNX Runtime, on the CPU.

The model says a whole piece at once, so what is heard first comes after the first piece is done: a speech is cut at its sentences. Kokoro
puts about 0.3 s of silence before a piece and 0.45 s after it (measured on af_heart); both are cut down, because the listener waits through
the first, and a clause that ends at a comma should not pause like a sentence.
One thread does the work for all speeches, a piece at a time in the order of asking: two pieces at once would only make the first one late.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from deployments.engines import phonemes
from deployments.engines.kokoro_model import MOST_PHONEMES, KokoroModel
from serve_app import models
from serve_app.engines import Sound, Speech, Word
from serve_app.errors import EngineFailed, UnknownVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from deployments.engines.kokoro_model import Floats, Voiced
    from deployments.engines.phonemes import SpokenWord
    from serve_app.engines import Pcm

RATE = 24_000
SOUND_SAMPLES = RATE // 10
AUDIBLE = 0.01
"""Of full scale: what is quieter counts as silence at either end."""
LEAD_SAMPLES = RATE * 30 // 1000
SENTENCE_PAUSE = RATE * 300 // 1000
CLAUSE_PAUSE = RATE * 120 // 1000
SENTENCE_ENDS = ".!?…"
CLAUSE_ENDS = SENTENCE_ENDS + ",;:—"
CLOSING = "\"'”’)"
ENGLISH = {"a": False, "b": True}
"""The first letter of a voice says what it speaks; whether that is British English. Other languages need other phonemes."""
SLOWEST, FASTEST = 0.25, 4.0

Piece = tuple["SpokenWord", ...]
Done = TypeVar("Done")


class KokoroOnnx:
    sample_rate = RATE

    def __init__(self, model: str = "kokoro-82m-int8", voices: str = "kokoro-voices", threads: int = 2) -> None:
        """`model` and `voices`: artifacts or folders (serve_app/models.py); `threads`: inside one run of the model."""
        self.voices: tuple[str, ...] = ()
        self._artifacts = (model, voices)
        self._threads = threads
        self._styles: dict[str, Path] = {}
        self._model: KokoroModel | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="kokoro")

    async def warm(self) -> None:
        if self._model is None:
            await self._work(self._load)
        async for _ in self.speak(Speech("Ready.", self.voices[0])):
            pass

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        voice, speed = await self._work(self._voice, speech.voice), min(max(speech.speed, SLOWEST), FASTEST)
        spoken_s = 0.0
        for piece in await self._work(self._pieces, speech):
            pcm, words = await self._work(self._say, piece, voice, speed)
            for sound in _sounds(pcm, words, spoken_s):
                yield sound
            spoken_s += len(pcm) / RATE

    async def _work(self, function: Callable[..., Done], *arguments: Any) -> Done:
        return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)

    # --- on the worker ----------------------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        folder, voices = (models.ensure(name) for name in self._artifacts)
        self._styles = {path.stem: path for path in sorted(voices.glob("*.bin")) if path.stem[:1] in ENGLISH}
        if not self._styles:
            raise EngineFailed(f"{self._artifacts[1]} holds no English voices")
        model = KokoroModel(folder, self._threads)
        for british in {ENGLISH[name[0]] for name in self._styles}:
            phonemes.english(british)
        self._model, self.voices = model, tuple(self._styles)

    def _voice(self, name: str) -> Floats:
        if self._model is None:
            raise EngineFailed("Kokoro was not warmed")
        names = [part.strip() for part in name.split("+")]
        for part in names:
            if part not in self._styles:
                raise UnknownVoice(f"{part!r} is not a voice; there are {', '.join(self.voices)}")
        return np.mean([np.fromfile(self._styles[part], "<f4").reshape(-1, 256) for part in names], axis=0, dtype=np.float32)

    def _pieces(self, speech: Speech) -> list[Piece]:
        """Words with the phonemes that the model knows, cut into what it can say at once."""
        assert self._model is not None
        spoken = phonemes.english(ENGLISH[speech.voice[0]])(speech.text)
        known = [phonemes.SpokenWord(word.text, self._model.known(word.phonemes)) for word in spoken]
        pieces = cut([word for word in known if word.phonemes])
        return [piece for piece in pieces if any(phoneme.isalpha() for word in piece for phoneme in word.phonemes)]

    def _say(self, piece: Piece, voice: Floats, speed: float) -> tuple[Pcm, tuple[Word, ...]]:
        assert self._model is not None
        sounds = " ".join(word.phonemes for word in piece)
        voiced = self._model.run(sounds, voice, speed)
        first, last = _audible(voiced.samples)
        start = max(0, first - LEAD_SAMPLES)
        pcm = (np.clip(voiced.samples[start : last + _pause_after(sounds)], -1, 1) * 32767).astype(np.int16)
        return pcm, tuple(_timed(piece, voiced, start, last))


def cut(words: list[SpokenWord]) -> Iterator[Piece]:
    """Pieces of at most `MOST_PHONEMES`: sentences; of one that is too long, clauses; of one of these that is too long, words."""
    for sentence in _parts(words, SENTENCE_ENDS):
        if _length(sentence) <= MOST_PHONEMES:
            yield sentence
            continue
        held: Piece = ()
        for clause in _parts(sentence, CLAUSE_ENDS):
            for part in [clause] if _length(clause) <= MOST_PHONEMES else [(word,) for word in _short(clause)]:
                if held and _length(held + part) > MOST_PHONEMES:
                    yield held
                    held = ()
                held += part
        yield held


def _parts(words: list[SpokenWord] | Piece, ends: str) -> Iterator[Piece]:
    part: Piece = ()
    for word in words:
        part += (word,)
        if word.phonemes.rstrip(CLOSING).endswith(tuple(ends)):
            yield part
            part = ()
    if part:
        yield part


def _short(words: Piece) -> Iterator[SpokenWord]:
    """Words none of which is too long, even if somebody wrote one."""
    for word in words:
        for at in range(0, len(word.phonemes), MOST_PHONEMES):
            yield phonemes.SpokenWord(word.text if at == 0 else "", word.phonemes[at : at + MOST_PHONEMES])


def _length(piece: Piece) -> int:
    return sum(len(word.phonemes) + 1 for word in piece) - 1


def _pause_after(sounds: str) -> int:
    return SENTENCE_PAUSE if sounds.rstrip(CLOSING).endswith(tuple(SENTENCE_ENDS)) else CLAUSE_PAUSE


def _audible(samples: Floats) -> tuple[int, int]:
    """Between which samples there is something to hear."""
    loud = np.flatnonzero(np.abs(samples) > AUDIBLE)
    return (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, 0)


def _timed(piece: Piece, voiced: Voiced, start: int, last: int) -> Iterator[Word]:
    """The piece's words, in seconds from sample `start` of what the model gave; after `last` nothing is heard."""
    if voiced.ends is None or not all(word.text for word in piece):
        return
    at = 0
    for word in piece:
        began = voiced.begin if at == 0 else int(voiced.ends[at - 1])
        ended = int(voiced.ends[at + max(len(word.phonemes.rstrip(CLAUSE_ENDS + CLOSING)), 1) - 1])
        heard = (min(max(sample, start), max(last, start)) - start for sample in (began, ended))
        yield Word(word.text, *(sample / RATE for sample in heard))
        at += len(word.phonemes) + 1


def _sounds(pcm: Pcm, words: tuple[Word, ...], after_s: float) -> Iterator[Sound]:
    """The piece in `Sound`s of 0.1 s, each with the words that begin in it. `after_s` were spoken before."""
    count = math.ceil(len(pcm) / SOUND_SAMPLES)
    begun: list[list[Word]] = [[] for _ in range(count)]
    for word in words if count else ():
        place = min(int(word.start_s * RATE) // SOUND_SAMPLES, count - 1)
        begun[place].append(Word(word.text, after_s + word.start_s, after_s + word.end_s))
    for index in range(count):
        yield Sound(pcm[index * SOUND_SAMPLES : (index + 1) * SOUND_SAMPLES], tuple(begun[index]))
