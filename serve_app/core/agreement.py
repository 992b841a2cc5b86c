"""Which words of a hypothesis will not change any more, where the model hears an utterance again and again from its start.

Clients are sent what was said bit by bit and can take nothing back. So words are stable once two hypotheses in succession agree on them and
on all before them (local agreement: Liu, Spanakis, Niehues 2020, arXiv 2005.11185), but for the newest word: the end of the audio may have
cut it, and its full stop may become a comma. A later hypothesis that contradicts what is stable continues it: its words are laid beside the
stable ones, and those after the best match follow.
"""

import re
from dataclasses import dataclass

_TOKENS = re.compile(r"\s*(?:[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\s\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+)")
"""Words with the space before them; where words are not spaced, characters."""
_ALIGNED = 40
"""Words at the end of what is stable that are laid beside a hypothesis; those before are taken to match one by one."""


@dataclass(slots=True)
class Agreement:
    """Of one utterance. Copy it with `dataclasses.replace`."""

    stable: str = ""
    last: str = ""
    """The hypothesis before."""

    def heard(self, text: str, final: bool, fixed_chars: int = 0) -> tuple[str, int]:
        """Takes the next hypothesis of the whole utterance, and gives its text, which begins with all that is stable, and how many
        characters of that are stable now. `fixed_chars`: so many of `text` come from audio that is not heard again."""
        told = continued(self.stable, text)
        if final:
            return told, len(told)
        agreed = min(_common(self.last, told), len("".join(_words(told)[:-1])))
        fixed = len(told) - len(text) + fixed_chars
        self.stable, self.last = told[: max(len(self.stable), agreed, fixed)], told
        return told, len(self.stable)


def continued(stable: str, text: str) -> str:
    """`text`, with `stable` in place of those of its words that stand for the same. Given unchanged where it begins with `stable`."""
    if text.startswith(stable):
        return text
    old, new = _words(stable), _words(text)
    rest = "".join(new[_match(old, new) :])
    return f"{stable} {rest}" if stable and rest and rest[0].isascii() and not rest[0].isspace() else stable + rest


def _words(text: str) -> list[str]:
    return _TOKENS.findall(text)


def _common(one: str, other: str) -> int:
    """Characters of the whole words that two texts begin with."""
    length = 0
    for word, its in zip(_words(one), _words(other), strict=False):
        if word != its:
            break
        length += len(word)
    return length


def _match(old: list[str], new: list[str]) -> int:
    """How many words of `new` stand for all of `old`: those that have the least edit distance from it."""
    skipped = max(0, len(old) - _ALIGNED)
    skipped = min(skipped, len(new))
    a, b = [_plain(word) for word in old[skipped:]], [_plain(word) for word in new[skipped : skipped + 2 * _ALIGNED]]
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        before, row = row, [i]
        for j, its in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != its)))
    # Of equal distances the longest match: to leave a word out reads better than to say it twice.
    least = min(row)
    return skipped + max(j for j, distance in enumerate(row) if distance == least)


def _plain(word: str) -> str:
    return re.sub(r"[^\w]", "", word).lower()
