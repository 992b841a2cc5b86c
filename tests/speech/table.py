"""The table of what is written and how it is read aloud: cases.tsv, with columns language, kind, written, readings.

`written` may hold `\\n`. `readings` is a regular expression over the words said, in lower case and without punctuation. In it `~` may be
said as "and" or not at all, and `0` as "zero" or "oh". Languages that write compounds together, or no spaces, are compared without spaces.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("cases.tsv")
UNSPACED = {"de", "it", "ja", "zh"}


@dataclass(frozen=True, slots=True)
class Case:
    language: str
    kind: str
    written: str
    readings: re.Pattern[str]

    def accepts(self, said: str) -> bool:
        words = words_of(said)
        return bool(self.readings.fullmatch(words.replace(" ", "") if self.language in UNSPACED else words))


def words_of(said: str) -> str:
    """Lower case, composed, each run of punctuation and space as one space; an apostrophe within a word stays."""
    text = unicodedata.normalize("NFC", said).lower().replace("’", "'")
    kept = "".join(" " if unicodedata.category(char)[0] in "PSZC" and char != "'" else char for char in text)
    return " ".join(re.sub(r"(?<!\w)'|'(?!\w)", " ", kept).split())


def cases(path: Path = TABLE) -> list[Case]:
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    return [_case(*line.split("\t")) for line in lines if line]


def failures(of: Iterable[Case], read: Callable[[str, str], str]) -> list[tuple[Case, str]]:
    """`read(written, language)` gives what is said. The cases whose reading is none of the accepted ones, with what was said."""
    said = [(case, read(case.written, case.language)) for case in of]
    return [(case, got) for case, got in said if not case.accepts(got)]


def report(wrong: Sequence[tuple[Case, str]]) -> str:
    return "\n".join(f"{case.language} {case.kind}: {case.written!r} was read {got!r}" for case, got in wrong)


def _case(language: str, kind: str, written: str, readings: str) -> Case:
    pattern = readings.replace("~", "(?:and )?").replace("0", "(?:zero|oh)")
    if language in UNSPACED:
        pattern = pattern.replace(" ?", "").replace(" ", "")
    return Case(language, kind, written.replace("\\n", "\n"), re.compile(pattern))
