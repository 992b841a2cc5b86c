"""The language model reads what was said so far while the user speaks, so that only the new words are left to read when the turn is over.

It is asked for one token that nobody wants: an engine that keeps what it has read (vLLM's prefix cache) makes it with the last of the
prompt, at no step of its own. When an answer is wanted the reading is broken off; what was read by then is kept.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from serve_app.core.language import Prompt
from serve_app.engines import LanguageModel
from serve_app.errors import SparkvoxError
from serve_app.streams import closable

log = logging.getLogger(__name__)


class Warming:
    def __init__(self, model: LanguageModel, room: Callable[[], bool]) -> None:
        """`room`: whether there is any for work that nobody waits for."""
        self._model = model
        self._room = room
        self._task: asyncio.Task[None] | None = None

    def begin(self, prompt: Prompt) -> None:
        if self._room():
            self.stop()
            self._task = asyncio.create_task(self._read(replace(prompt, max_tokens=1)))

    def stop(self) -> list[asyncio.Task[None]]:
        """At once; what is left of it is returned for whoever ends a session to wait for."""
        task, self._task = self._task, None
        if task is None or task.done():
            return []
        task.cancel()
        return [task]

    async def _read(self, prompt: Prompt) -> None:
        try:
            async with aclosing(closable(self._model.reply(prompt))) as pieces:
                async for _ in pieces:
                    pass
        except SparkvoxError as error:
            log.debug("the cache was not warmed: %s", error)
