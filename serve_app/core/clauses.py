"""Cutting a reply, while it is being written, into clauses that can be spoken one after the other.

The first clause leaves early, because the listener waits for it: a short sentence, the words before a comma, or of a long sentence without
one the words before a conjunction or preposition, where a speaker may breathe. Later ones are whole sentences where these are not too
long, because a voice sounds better with more to go by. The pieces joined are the text: nothing is lost or added.
"""

import re

FIRST_MIN = 12
"""Characters after which the first clause may end at a comma."""
FIRST_LONG = 44
"""Characters after which the first clause does not wait for its sentence's end or a comma."""
PHRASE_MIN = 20
"""Characters that it has at least where it ends without either."""
LATER_MIN = 24
"""Shorter sentences than this wait for the next one, unless they are the first clause."""
LONGEST = 220
"""Characters after which a clause is cut at the last comma or space: Kokoro takes about 500 phonemes at once."""

_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|\n+|[。！？।॥؟]")
_PAUSE = re.compile(r"[,;:](?=\s)|\s[-–—](?=\s)|—")
_PHRASE = re.compile(
    r"\s(?=(?:and|but|or|so|because|which|who|that|when|where|while|if|although|though|until|unless|since|after|before|with|without|"
    r"from|for|in|on|at|by|into|through|between|during|under|over|about|than|as)\s)",
    re.IGNORECASE,
)
_OPEN = re.compile(r"[*_`\"“(\[]")
"""What may hold together words on both sides of a phrase's border."""
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Mx|Messrs|Msgr|Dr|Prof|St|Mt|Ft|Jr|Sr|Sgt|Capt|Cpt|Cpl|Pvt|Lt|Col|Maj|Gen|Adm|Cmdr|Gov|Sen|Rep|Pres|Rev|Hon|Fr|Supt|"
    r"vs|etc|approx|dept|est|cf|viz|et al|Asst|Assoc|"
    r"Inc|Ltd|Co|Corp|Bros|Ave|Blvd|Rd|Ln|Hwy|e\.g|i\.e|a\.m|p\.m|U\.S|U\.K)|(?:^|[\s.])[A-Za-z]|"
    r"\b(?:der|das|den|dem|des|vom|zum|zur|beim|im|bis|und|oder|seit|(?<!I )am)\s\d{1,3}|"  # German ordinals
    r"(?:^|\n)[\s#>*_+-]*\d{1,3})\.\Z"
)
_BEFORE_NUMBER = re.compile(
    r"\b(?:[Nn]os?|[Ff]igs?|[Cc]h|[Cc]hap|[Ss]ect?|[Vv]ols?|[Aa]rts?|[Aa]pp|[Aa]pt|[Ss]te|[Rr]m|[Ee]q|[Rr]ef|[Tt]el|[Ee]xt|[Pp]t|pp|Op|[Vv]er|Rs|ca|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tues?|Wed|Thu|Thurs?|Fri|Sat|Sun)\.\Z"
)
"""Abbreviations where a number follows; else words that end a sentence ("No.", "They sat.")."""
LONGEST_SPAN = 80
"""Characters of code or of a link's text after which its end is not waited for: the mark may be another's."""
_CODE_SPAN = re.compile(r"(`+|~{3,})(?!`).*?(?<!`)\1(?!`)")
_INSIDE = re.compile(
    rf"(?:`{{3,}}|~{{3,}}).*\Z|(?<!\w)`(?!\s)[^`]{{0,{LONGEST_SPAN}}}\Z|\[[^\]]{{0,{LONGEST_SPAN}}}\Z|\]\([^)\s]*(?:\s[^)]{{0,{LONGEST_SPAN}}})?\Z"
)
"""The end of a line that is cut within code, or within a link."""


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
        if self._cut_any:
            end = self._sentence(LATER_MIN)
        else:
            ends = [end for end in (self._sentence(1), self._pause()) if end is not None]
            end = self._phrase(min(ends, default=len(self._text))) or min(ends, default=None)
        return self._too_long() if end is None else end

    def _sentence(self, least: int) -> int | None:
        for match in _SENTENCE.finditer(self._text):
            if len(self._text[: match.end()].strip()) >= least and self._ends_sentence(match.end()):
                return match.end()
        return None

    def _ends_sentence(self, end: int) -> bool:
        written = self._text[:end]
        if _ABBREVIATION.search(written) or self._within(end):
            return False
        following = self._text[end:].lstrip()[:1]
        return not _BEFORE_NUMBER.search(written) or bool(following and not following.isdigit())

    def _within(self, end: int) -> bool:
        """Whether code or a link goes on there: cut in two, neither half could be told for what it is."""
        line = self._text[self._text.rfind("\n", 0, end) + 1 : end]
        return bool(_INSIDE.search(_CODE_SPAN.sub(" ", line)))

    def _pause(self) -> int | None:
        ends = (match.end() for match in _PAUSE.finditer(self._text))
        return next((end for end in ends if len(self._text[:end].strip()) >= FIRST_MIN and not self._within(end)), None)

    def _phrase(self, end: int) -> int | None:
        """Within a clause that would be long, up to `end`: its last such border that leaves it short, or else the first one."""
        if len(self._text[:end].strip()) <= FIRST_LONG:
            return None
        early, all_of_them = self._borders(min(end, FIRST_LONG)), self._borders(end)
        return early[-1] if early else next(iter(all_of_them), None)

    def _borders(self, end: int) -> list[int]:
        return [match.start() for match in _PHRASE.finditer(self._text, 0, end) if self._may_end_at(match.start())]

    def _may_end_at(self, border: int) -> bool:
        return len(self._text[:border].strip()) >= PHRASE_MIN and not _OPEN.search(self._text, 0, border)

    def _too_long(self) -> int | None:
        if len(self._text) <= LONGEST:
            return None
        pauses = [match.end() for match in _PAUSE.finditer(self._text, 0, LONGEST) if match.end() >= LATER_MIN]
        if pauses:
            return next((end for end in reversed(pauses) if not self._within(end)), pauses[-1])
        space = self._text.rfind(" ", 1, LONGEST)
        return space if space > 0 else LONGEST
