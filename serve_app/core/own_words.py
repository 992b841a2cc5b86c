"""Whether the words of an utterance are the agent's own, come back through a loudspeaker.

They are where the text, but for a recogniser's errors, is a part of what was being said at that time: the nearest part, by edit distance
over letters (approximate matching of Sellers, J. Algorithms 1, 1980), because errors split and join words.
"""

import re

LETTERS_AN_ERROR = 5
"""One letter in so many may be another, missing or too many; of a word shorter than this none."""
LAG_S = 2.0
"""How long after it was sent a word may come back as text: the echo's lag, and what estimates of playback are wrong by."""
SOON_S = 0.5
"""Words may come back before the estimate has them played."""
ENOUGH_WORDS = 3
"""Of a text that grows: fewer may be a word of the agent with which the user begins."""


def own_words(text: str, said: str) -> bool:
    """`said`: what the agent was saying around the utterance."""
    heard, spoken = _plain(text), _plain(said)
    return bool(heard) and _nearest(f" {heard} ", f" {spoken} ") <= len(heard) // LETTERS_AN_ERROR


def many_words(text: str) -> bool:
    return len(_plain(text).split()) >= ENOUGH_WORDS


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.lower().replace("-", " ")).split())


def _nearest(text: str, whole: str) -> int:
    """The fewest letters to change in `text` to make it a part of `whole`."""
    row = [0] * (len(whole) + 1)
    for number, letter in enumerate(text, 1):
        before, row = row, [number]
        for at, other in enumerate(whole):
            row.append(min(before[at] + (letter != other), before[at + 1] + 1, row[at] + 1))
    return min(row)
