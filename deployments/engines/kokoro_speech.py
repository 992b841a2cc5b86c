"""What every form of Kokoro shares: its voices, how a speech is cut into what the model says at once, and what is made of what it said.

The model says a whole piece at once, so what is heard first comes after the first piece is done: a speech is cut at its sentences. Kokoro
puts about 0.3 s of silence before a piece and 0.45 s after it (measured on af_heart); both are cut down, because the listener waits through
the first, and a clause that ends at a comma should not pause like a sentence.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from deployments.engines import phonemes
from serve_app.engines import Sound, Word
from serve_app.errors import EngineFailed, UnknownVoice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deployments.engines.phonemes import SpokenWord
    from serve_app.engines import Pcm, Speech

Floats = npt.NDArray[np.float32]

RATE = 24_000
MOST_PHONEMES = 510
"""Of one run; the model's context is 512, and a pad stands at either end."""
FRAME_SAMPLES = 600
"""Samples for one unit of the predicted durations: hop of 300, upsampled by 2 (verified: their sum times this is the audio's length)."""
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
LANGUAGES = ("en",)
"""What its voices speak here."""
SLOWEST, FASTEST = 0.25, 4.0

Piece = tuple["SpokenWord", ...]


@dataclass(frozen=True, slots=True)
class Voiced:
    """What a model said of a piece."""

    samples: Floats
    """Shape [n], -1 to 1, at `RATE`."""
    ends: npt.NDArray[np.int64] | None
    """The sample at which each phoneme of the input ends, shape [phonemes]; None when the file does not tell."""
    begin: int
    """The sample at which the first phoneme begins."""


# --- voices -------------------------------------------------------------------------------------------------------------------------------


class KokoroVoices:
    """The voices of a folder of `NAME.bin`, float32 [510, 1, 256] each: one style for each number of phonemes."""

    def __init__(self, folder: Path) -> None:
        """Raises `EngineFailed` when there are none that we have phonemes for."""
        self._styles = {path.stem: path for path in sorted(folder.glob("*.bin")) if path.stem[:1] in ENGLISH}
        if not self._styles:
            raise EngineFailed(f"{folder.name} holds no English voices")
        self.names = tuple(self._styles)

    def style(self, voice: str) -> Floats:
        """Shape [510, 256]; of several joined by + the mean. Raises `UnknownVoice`."""
        names = [part.strip() for part in voice.split("+")]
        for part in names:
            if part not in self._styles:
                raise UnknownVoice(f"{part!r} is not a voice; there are {', '.join(self.names)}")
        return np.mean([np.fromfile(self._styles[part], "<f4").reshape(-1, 256) for part in names], axis=0, dtype=np.float32)

    def load_phonemes(self) -> None:
        """For all the languages of the voices, so that the first speech need not wait for it."""
        for british in {ENGLISH[name[0]] for name in self.names}:
            phonemes.english(british)


def style_row(style: Floats, sounds: str) -> Floats:
    """Shape [1, 256]: the package kokoro (KPipeline.infer) takes the row len - 1."""
    return style[len(sounds) - 1][None]


def vocabulary(folder: Path) -> dict[str, int]:
    """Reads the phonemes that a model knows, with their numbers, from vocab.json or the original's config.json. Raises `EngineFailed`."""
    try:
        file = next((path for name in ("vocab.json", "config.json") if (path := folder / name).exists()), folder / "vocab.json")
        known: dict[str, int] = json.loads(file.read_text(encoding="utf-8"))["vocab"]
    except (OSError, ValueError, KeyError) as error:
        raise EngineFailed(f"Kokoro's files in {folder.name} cannot be read: {error}") from error
    return known


def phonemes_of(speech: Speech, voices: KokoroVoices, known: dict[str, int]) -> str:
    """The phonemes that the model would be given. Raises `UnknownVoice`."""
    voices.style(speech.voice)
    kept = pieces_of(speech, lambda phonemes: "".join(phoneme for phoneme in phonemes if phoneme in known))
    return " ".join(sounds_of(piece) for piece in kept)


def held_speed(speech: Speech) -> float:
    return min(max(speech.speed, SLOWEST), FASTEST)


# --- cutting ------------------------------------------------------------------------------------------------------------------------------


def pieces_of(speech: Speech, known: Callable[[str], str]) -> list[Piece]:
    """Words with the phonemes that the model knows (`known` keeps those), cut into what it can say at once."""
    spoken = phonemes.english(ENGLISH[speech.voice[0]])(speech.text)
    words = [phonemes.SpokenWord(word.text, known(word.phonemes)) for word in spoken]
    pieces = cut([word for word in words if word.phonemes])
    return [piece for piece in pieces if any(phoneme.isalpha() for word in piece for phoneme in word.phonemes)]


def sounds_of(piece: Piece) -> str:
    """At most `MOST_PHONEMES`."""
    return " ".join(word.phonemes for word in piece)


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


# --- what was said ------------------------------------------------------------------------------------------------------------------------


def heard(piece: Piece, voiced: Voiced) -> tuple[Pcm, tuple[Word, ...]]:
    """The piece without most of its silence, and its words with times from its first sample."""
    first, last = _audible(voiced.samples)
    start = max(0, first - LEAD_SAMPLES)
    pcm = (np.clip(voiced.samples[start : last + _pause_after(sounds_of(piece))], -1, 1) * 32767).astype(np.int16)
    return pcm, tuple(_timed(piece, voiced, start, last))


def in_sounds(pcm: Pcm, words: tuple[Word, ...], after_s: float) -> Iterator[Sound]:
    """The piece in `Sound`s of 0.1 s, each with the words that begin in it. `after_s` were spoken before."""
    count = math.ceil(len(pcm) / SOUND_SAMPLES)
    begun: list[list[Word]] = [[] for _ in range(count)]
    for word in words if count else ():
        place = min(int(word.start_s * RATE) // SOUND_SAMPLES, count - 1)
        begun[place].append(Word(word.text, after_s + word.start_s, after_s + word.end_s))
    for index in range(count):
        yield Sound(pcm[index * SOUND_SAMPLES : (index + 1) * SOUND_SAMPLES], tuple(begun[index]))


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
        heard_at = (min(max(sample, start), max(last, start)) - start for sample in (began, ended))
        yield Word(word.text, *(sample / RATE for sample in heard_at))
        at += len(word.phonemes) + 1
