"""Language tags: clients give BCP 47 (`en-US`), models know primary languages (`en`)."""

from collections.abc import Collection, Mapping

from serve_app.engines import Hints
from serve_app.languages import primary


def told(hints: Hints, default: str, known: Collection[str]) -> str | None:
    """The one language that the hints, or else `default`, leave: None when it must be found, or the model does not know it."""
    tag = hints.language or (hints.languages[0] if len(hints.languages) == 1 else "") or default
    return primary(tag) if primary(tag) in known else None


def likeliest(found: Mapping[str, float], hints: Hints) -> str:
    """Of the languages with their probabilities, one that the hints allow, if they name any of them."""
    allowed = {primary(tag) for tag in hints.languages} & set(found)
    return max(allowed or found, key=lambda language: found[language])
