"""What Qwen3-ASR answers: `language English<asr_text>It is late.`, or the text alone where the language was forced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployments.engines.qwen3_prompt import TEXT, code
from deployments.engines.repetitions import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROLLBACK_TOKENS = 5
"""The end of an answer may be wrong, because the word there may not have been said to its end: so many tokens are written anew when there
is more audio (Qwen3-ASR's own figure, qwen_asr/inference/qwen3_asr.py, `unfixed_token_num`)."""
_HEAD = "language "
_NOTHING = "none"
_BROKEN = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    language: str | None
    """Primary tag; None when the model named none that is known."""


def parse(raw: str, forced: str | None = None, told: int = 0) -> Answer:
    """Also of an answer that is not finished: one that ends within its head has no text yet. `language None` means that nothing was
    said, whatever follows. The first `told` characters are left as they are, repetitions or not: the session has them already."""
    head, mark, text = raw.partition(TEXT)
    if mark:
        name = head.strip().removeprefix(_HEAD).strip()
        told = max(0, told - len(head) - len(mark))
        # A forced language stands in the prompt; a head all the same is the model's own repetition of it.
        return Answer("" if name.lower() == _NOTHING else _cleaned(text, told), forced or code(name))
    if forced is None and _is_head(raw):
        return Answer("", None)
    return Answer(_cleaned(raw, told), forced)


def repeats(raw: str, told: int = 0) -> bool:
    """Whether there is something to clean after what was told."""
    return cleaned(raw[told:]) != raw[told:]


def _cleaned(text: str, told: int) -> str:
    return (text[:told] + cleaned(text[told:])).strip()


def rolled_back(tokens: Sequence[int], decode: Callable[[Sequence[int]], str], keep: int = 0, count: int = ROLLBACK_TOKENS) -> int:
    """How many leading tokens of an answer are confirmed: all but the last `count`, never fewer than `keep`, and not ending within a
    character, for a letter may be several tokens."""
    confirmed = max(keep, len(tokens) - count)
    while confirmed > keep and decode(tokens[:confirmed]).endswith(_BROKEN):
        confirmed -= 1
    return confirmed


def _is_head(raw: str) -> bool:
    start = raw.lstrip()
    return _HEAD.startswith(start) or start.startswith(_HEAD)
