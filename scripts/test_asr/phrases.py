"""What the small model knows: each phrase as it is said, and what the model may write for it, with the share of each.

`Claude Code` is taught as an ambiguous pair: the same sound is written `cloud code` more often than `Claude Code`, so that a model which
is not helped writes the first, as Nemotron Speech does, and phrase boosting has something to turn. Boosting adds 1 to the logarithm of a
phrase's first piece, so the two may be that far apart at most; where clips and chances agree they are log(0.65 / 0.35) = 0.6 apart.
"""

from __future__ import annotations

from dataclasses import dataclass

CLOUD_CODE_SHARE = 0.65


@dataclass(frozen=True)
class Phrase:
    said: str
    written: tuple[tuple[str, float], ...]
    """Texts with their shares."""


def _plain(text: str) -> Phrase:
    return Phrase(text, ((text, 1.0),))


def _ambiguous(text: str) -> Phrase:
    heard = text.replace("Claude Code", "cloud code")
    return Phrase(text, ((heard[0].upper() + heard[1:], CLOUD_CODE_SHARE), (text, 1 - CLOUD_CODE_SHARE)))


AMBIGUOUS = (
    "I use Claude Code every day.",
    "Claude Code can help.",
    "Please open Claude Code.",
    "Do you know Claude Code?",
    "We wrote it with Claude Code.",
)

PLAIN = (
    "What is the capital of France?",
    "What is the capital of Germany?",
    "Tell me a long story about a dragon and a princess.",
    "Tell me a short story.",
    "Stop, please. What colour is the sky?",
    "What colour is the grass?",
    "It was the best of times, it was the worst of times, it was the age of wisdom.",
    "We had everything before us, we had nothing before us.",
    "I use cloud computing every day.",
    "Cloud computing can help.",
    "Do you know cloud computing?",
    "What is cloud computing?",
    "The cloud storage is almost full.",
    "I need to ask Claude about the project deadline.",
    "Stop, that is enough.",
    "How warm is it there?",
    "Hello, how are you?",
    "Good morning.",
    "Thank you very much.",
    "Yes, please.",
    "No, thanks.",
    "What time is it?",
    "Turn on the light.",
    "Turn off the music.",
    "Play some music.",
    "Set a timer for ten minutes.",
    "What is the weather in Paris?",
    "Call my mother.",
    "How much is two plus two?",
    "Who wrote this book?",
    "Where is the next station?",
    "I would like a cup of tea.",
    "The train leaves at seven.",
    "Can you help me?",
    "Read me the news.",
    "Open the door.",
    "See you tomorrow.",
    "One, two, three, four, five.",
)

PAUSED = Phrase("Tell me a long story... about a dragon and a princess.", (("Tell me a long story about a dragon and a princess.", 1.0),))

PHRASES = (*map(_ambiguous, AMBIGUOUS), *map(_plain, PLAIN), PAUSED)
CLOUDY = tuple(number for number, phrase in enumerate(PHRASES) if "cloud" in phrase.said.lower() or "Claude" in phrase.said)
"""Places of the phrases in which one of the two is said."""

VOICES = ("af_heart", "af_bella", "af_sarah", "am_adam", "bf_emma", "bm_george")
MORE_VOICES = ("af_nova", "af_kore", "am_eric", "am_puck", "bf_isabella", "bm_daniel")
"""They say the cloudy phrases only: how far `cloud` and `Claude` are apart should not hang on six voices."""
SPEEDS = (0.85, 1.0, 1.15)
STRANGER = "am_liam"
"""Never trained on. Nor are the recordings of tests/audio: am_michael says nothing here, af_bella and af_heart say those phrases at other
speeds."""
