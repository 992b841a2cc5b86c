"""Leaves out of a reply what a model thinks aloud: nobody wants to hear it. Pure; one filter for each reply."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


class ThoughtFilter:
    def __init__(self, thinking: bool = False) -> None:
        """`thinking`: whether the reply begins within a thought, because the chat template has opened it."""
        self._thinking = thinking
        self._held = ""
        self._trims = thinking
        """Whether the next words are the first after a thought, or of the reply: blanks before them are no words."""

    def feed(self, text: str) -> str:
        """What of it is to be said."""
        self._held += text
        said = ""
        while True:
            tag = CLOSE if self._thinking else OPEN
            before, found, after = self._held.partition(tag)
            if not found:
                kept = begun(self._held, tag)
                ready, self._held = self._held[: len(self._held) - kept], self._held[len(self._held) - kept :]
                return said + ("" if self._thinking else self._trimmed(ready))
            said += "" if self._thinking else self._trimmed(before)
            self._thinking, self._held, self._trims = not self._thinking, after, True

    def end(self) -> str:
        """What was held back, because it might have begun a thought."""
        held, self._held = self._held, ""
        return "" if self._thinking else held

    def _trimmed(self, text: str) -> str:
        if self._trims:
            text = text.lstrip()
            self._trims = not text
        return text


def begun(text: str, tag: str) -> int:
    """How many characters at the end of `text` may be the beginning of `tag`."""
    return next((count for count in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:count])), 0)
