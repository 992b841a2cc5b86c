"""What Qwen3-ASR is asked (github.com/QwenLM/Qwen3-ASR, Apache-2.0): its chat template with the context as system message.

    <|im_start|>system
    CONTEXT<|im_end|>
    <|im_start|>user
    <|audio_start|><|audio_pad|><|audio_end|><|im_end|>
    <|im_start|>assistant
    language English<asr_text>what is written so far

The model takes no list of words: it reads a context. Measured on a Spark with speech in which "Claude Code" could be "cloud code": two bare
words changed its capitals alone, a sentence or many names changed the word, and "cloud computing" stayed what it was. So keywords become
a sentence here.
"""

import re
from collections.abc import Sequence

from serve_app.engines import Hints
from serve_app.languages import primary

LANGUAGES = {
    "ar": "Arabic", "yue": "Cantonese", "zh": "Chinese", "cs": "Czech", "da": "Danish", "nl": "Dutch", "en": "English", "fil": "Filipino",
    "fi": "Finnish", "fr": "French", "de": "German", "el": "Greek", "hi": "Hindi", "hu": "Hungarian", "id": "Indonesian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "mk": "Macedonian", "ms": "Malay", "fa": "Persian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "es": "Spanish", "sv": "Swedish", "th": "Thai", "tr": "Turkish", "vi": "Vietnamese",
}  # fmt: skip
"""By primary language tag, as the model was taught to name them. Kannada is not among them."""
ALIGNED = frozenset({"zh", "en", "yue", "fr", "de", "it", "ja", "ko", "pt", "ru", "es"})
"""Of them, those that the forced aligner knows."""
TEXT = "<asr_text>"
_MARKS = re.compile(r"<\|[^|<>]*\|>|</?asr_text>")
"""What has a meaning in the template; a client must not be able to end the system message."""


def context(hints: Hints, standing: str = "") -> str:
    """The system message for one utterance; `standing` comes first in every one."""
    sentences = [standing.strip(), hints.prompt.strip(), _about(hints.keywords)]
    text = " ".join(filter(None, sentences))
    while (plain := _MARKS.sub(" ", text)) != text:  # what is left of two may be a third
        text = plain
    return text


def prompt(context: str, language: str | None, prefix: str = "") -> str:
    """`language`: a key of `LANGUAGES`, forced; None: the model finds it, and writes it before the text. `prefix`: what its answer
    begins with, after the language where that is forced."""
    forced = f"language {LANGUAGES[language]}{TEXT}" if language else ""
    return (
        f"<|im_start|>system\n{context}<|im_end|>\n"
        "<|im_start|>user\n<|audio_start|><|audio_pad|><|audio_end|><|im_end|>\n"
        f"<|im_start|>assistant\n{forced}{prefix}"
    )


def code(name: str) -> str | None:
    """The tag of a language that the model names; of several (`Chinese,English`) the first that is known."""
    for one in name.split(","):
        for tag, known in LANGUAGES.items():
            if known.lower() == one.strip().lower():
                return tag
    return None


def forced(hints: Hints, default: str = "") -> str | None:
    """The language that the hints leave, if the model knows it."""
    tag = hints.language or (hints.languages[0] if len(hints.languages) == 1 else "") or default
    return primary(tag) if primary(tag) in LANGUAGES else None


def _about(keywords: Sequence[str]) -> str:
    if not keywords:
        return ""
    names = keywords[0] if len(keywords) == 1 else f"{', '.join(keywords[:-1])} and {keywords[-1]}"
    return f"This is a conversation in which people talk about {names}, and these names are written exactly so: {', '.join(keywords)}."
