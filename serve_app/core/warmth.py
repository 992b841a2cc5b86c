"""What the language model will read before the words that are being said now: known when speech starts, so that an engine which keeps what
it has read of a prompt can read it while the user speaks."""

from serve_app.core.commands import Command, WarmCache
from serve_app.core.items import Kind, Message, Part, Role
from serve_app.core.language import Prompt

SAID = Message("", Role.USER, [Part(Kind.INPUT_AUDIO, "Hello.")])
"""Stands for the words that are being said: chat templates are made for conversations that the user spoke last in."""


class Warmth:
    def __init__(self) -> None:
        self._last: Prompt | None = None

    def wanted(self, prompt: Prompt) -> list[Command]:
        """`prompt`: what would be asked if `SAID` were said. Nothing where that has not changed since the last time."""
        if prompt == self._last or len(prompt.messages) == 1:
            return []
        self._last = prompt
        return [WarmCache(prompt)]
