"""Voices and models of other vendors, as their clients name them by default, and what is served in their place."""

VOICES = {
    "alloy": "af_alloy",
    "ash": "am_michael",
    "ballad": "bm_fable",
    "cedar": "am_fenrir",
    "coral": "af_bella",
    "echo": "am_echo",
    "fable": "bm_fable",
    "marin": "af_heart",
    "nova": "af_nova",
    "onyx": "am_onyx",
    "sage": "af_sarah",
    "shimmer": "af_nova",
    "verse": "am_puck",
}


def served_voice(asked: str, served: tuple[str, ...], default: str) -> str:
    """The voice itself where it is served (mixtures `a+b` of served ones too), else the one that stands for it, else the default."""
    if asked and all(part in served for part in asked.split("+")):
        return asked
    mapped = VOICES.get(asked, default)
    return mapped if mapped in served else default
