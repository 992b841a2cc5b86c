"""Cutting a reply, while it is being written, into clauses that can be spoken one after the other.

The first clause leaves early, because the listener waits for it; later ones are whole sentences where these are not too long, because a
voice sounds better with more to go by. The pieces joined are the text: nothing is lost or added.
"""

import re

FIRST_MIN = 12
"""Characters after which the first clause may end at a comma."""
LATER_MIN = 24
"""Shorter sentences than this wait for the next one, unless they are the first clause."""
LONGEST = 220
"""Characters after which a clause is cut at the last comma or space: Kokoro takes about 500 phonemes at once."""

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+|[。！？]")
_PAUSE = re.compile(r"[,;:](?=\s)|\s[-–—](?=\s)|—")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|Nos|Fig|approx|dept|est|Inc|Ltd|Co|e\.g|i\.e|a\.m|p\.m|U\.S|U\.K)|(?:^|[\s.])[A-Za-z]|(?:^|\n)\s*\d{1,3})\.$"
)


class ClauseCutter:
    """`feed` deltas, get clauses; `flush` gives the rest."""

    def __init__(self) -> None:
        self._text = ""
        self._cut_any = False

    def feed(self, delta: str) -> list[str]:
        self._text += delta
        clauses = []
        while (end := self._next_cut()) is not None:
            clauses.append(self._text[:end])
            self._text = self._text[end:]
            self._cut_any = True
        return clauses

    def flush(self) -> list[str]:
        rest, self._text = self._text, ""
        return [rest] if rest.strip() else []

    def _next_cut(self) -> int | None:
        least = LATER_MIN if self._cut_any else 1
        for match in _SENTENCE.finditer(self._text):
            written = self._text[: match.end()]
            if len(written.strip()) >= least and not _ABBREVIATION.search(written):
                return match.end()
        if not self._cut_any:
            return self._first_pause()
        return self._too_long()

    def _first_pause(self) -> int | None:
        for match in _PAUSE.finditer(self._text):
            if len(self._text[: match.end()].strip()) >= FIRST_MIN:
                return match.end()
        return self._too_long()

    def _too_long(self) -> int | None:
        if len(self._text) <= LONGEST:
            return None
        pauses = [match.end() for match in _PAUSE.finditer(self._text, 0, LONGEST) if match.end() >= LATER_MIN]
        if pauses:
            return pauses[-1]
        space = self._text.rfind(" ", 1, LONGEST)
        return space if space > 0 else LONGEST
