"""Whether the words of an utterance are the agent's own, come back through a loudspeaker.

They are where the text, but for a recogniser's errors, is a part of what was being said at that time: the nearest part, by edit distance
over letters (approximate matching of Sellers, J. Algorithms 1, 1980), because errors split and join words.
"""

import re
from collections.abc import Callable

LETTERS_AN_ERROR = 5
"""One letter in so many may be another, missing or too many; of a word shorter than this none."""
LAG_S = 2.0
"""How long after it was sent a word may come back as text: the echo's lag, and what estimates of playback are wrong by."""
SOON_S = 0.5
"""Words may come back before the estimate has them played."""
ENOUGH_WORDS = 3
"""Of a text that grows: fewer may be a word of the agent with which the user begins."""


NOTICED_S = 0.3
"""After its first sound speech is noticed at the latest: its onset, and the frames that are compared with what is played first."""
SOON_NOTICED_S = 0.1
"""And what is left of an echo whose lag is known, which is not compared any more."""
WRONG_S = 0.2
"""By so much the estimate of playback and the times of words are wrong for a client whose lag is known."""
KNOWN_S = 0.5
"""A lag between bounds that are closer together is known."""


def heard_back(
    text: str,
    said: Callable[[float, float], str],
    lag_s: tuple[float, float] | None,
    replies: bool,
    noticed_at: float,
    spoke_until: float,
    now: float,
) -> bool:
    """Whether the words of an utterance are an echo of what the agent said between two times of the clock (`said`).

    A user may answer with words of the agent ("the red one or the blue one?"). Where the lag of the echo is known (`lag_s`, as in
    `SpeechStarted`), or the words are few, only those are an echo that come when it does. Where there is none (`lag_s` is None) only many
    words are, and not where the utterance may be a reply: then the sound was too late, or too much changed, to be known by itself."""
    if lag_s is None and (replies or not many_words(text)):
        return False
    if lag_s is None or (many_words(text) and lag_s[1] - lag_s[0] > KNOWN_S):
        return own_words(text, said(noticed_at - LAG_S, now + SOON_S))
    noticed_s = NOTICED_S if lag_s[1] - lag_s[0] > KNOWN_S else SOON_NOTICED_S
    return own_words(text, said(noticed_at - noticed_s - lag_s[1], spoke_until - lag_s[0] + WRONG_S))


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
