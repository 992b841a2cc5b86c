"""From a transducer's tokens to text and word times, token by token: what was written is not written again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from serve_app.engines import Word

WORD_BEGINS = "▁"
"""SentencePiece's mark at the start of a word."""
BROKEN = "�"
"""Half a character, whose other bytes come with later tokens."""


@dataclass(slots=True)
class Transcript:
    words: list[Word] = field(default_factory=list)
    """Complete ones."""
    text: str = ""
    """All of them."""
    pending: list[tuple[int, int]] = field(default_factory=list)
    """Tokens, with the encoder frames that they came at, of the word that may still grow."""


class Writer:
    def __init__(self, tokenizer: Any, frame_s: float) -> None:
        """`frame_s`: seconds between the encoder's frames."""
        self._tokenizer = tokenizer
        self._frame_s = frame_s

    def add(self, transcript: Transcript, tokens: list[int], frames: list[int]) -> None:
        for token, frame in zip(tokens, frames, strict=True):
            if transcript.pending and self._begins(token):
                self._complete(transcript)
            transcript.pending.append((token, frame))

    def read(self, transcript: Transcript) -> tuple[str, int]:
        """The text, and how many of its characters stay: all, but for a character of which only some bytes came."""
        last = self._last(transcript)
        text = f"{transcript.text} {last.text}".strip() if last else transcript.text
        return text, len(text.split(BROKEN)[0])

    def words(self, transcript: Transcript) -> tuple[Word, ...]:
        last = self._last(transcript)
        return (*transcript.words, last) if last else tuple(transcript.words)

    def _begins(self, token: int) -> bool:
        return str(self._tokenizer.ids_to_tokens([token])[0]).startswith(WORD_BEGINS)

    def _complete(self, transcript: Transcript) -> None:
        if (word := self._last(transcript)) is not None:
            transcript.words.append(word)
            transcript.text = f"{transcript.text} {word.text}".strip()
        transcript.pending.clear()

    def _last(self, transcript: Transcript) -> Word | None:
        if not transcript.pending:
            return None
        text = self._tokenizer.ids_to_text([token for token, _ in transcript.pending]).strip()
        if not text:
            return None
        frames = [frame for _, frame in transcript.pending]
        return Word(text, frames[0] * self._frame_s, (frames[-1] + 1) * self._frame_s)
