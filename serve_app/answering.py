"""The work that a session has under way for its answers: of each live response, and the reading ahead while the user speaks."""

import asyncio
from collections.abc import Callable

from serve_app.core import commands as cmd
from serve_app.responding import Responding
from serve_app.warming import Warming


class Answering:
    def __init__(self, responding: Callable[[str], Responding], warming: Warming) -> None:
        """`responding` makes the work of a response, which has its id."""
        self._new = responding
        self._warming = warming
        self._live: dict[str, Responding] = {}
        self._ending: list[asyncio.Task[None]] = []

    def perform(self, command: cmd.WarmCache | cmd.StartReply | cmd.ReleaseReply | cmd.Speak | cmd.StopReply) -> None:
        match command:
            case cmd.WarmCache(prompt):
                self._warming.begin(prompt)
            case cmd.StartReply(response_id, prompt, held):
                self._ending += self._warming.stop()
                self._of(response_id).reply(prompt)
                if not held:
                    self._of(response_id).release()
            case cmd.ReleaseReply(response_id):
                self._of(response_id).release()
            case cmd.Speak():
                self._of(command.response_id).speak(command)
            case cmd.StopReply(response_id):
                self.stop(response_id)

    def stop(self, response_id: str) -> None:
        if responding := self._live.pop(response_id, None):
            self._ending = [task for task in self._ending if not task.done()] + responding.stop()

    async def close(self, within_s: float) -> set[asyncio.Task[None]]:
        """Stops all of it and waits for its end. Returned is what has not ended."""
        self._ending += self._warming.stop()
        for response_id in list(self._live):
            self.stop(response_id)
        return (await asyncio.wait(self._ending, timeout=within_s))[1] if self._ending else set()

    def _of(self, response_id: str) -> Responding:
        if response_id not in self._live:
            self._live[response_id] = self._new(response_id)
        return self._live[response_id]
