"""Who looks on while a session goes its way: traces, metrics and logs. A watcher changes nothing, and the session does not know what it
makes of what it sees."""

from collections.abc import Sequence
from typing import Protocol

from serve_app.core.commands import Command
from serve_app.core.events import Event


class Watcher(Protocol):
    """Called in the session's own thread: neither method may wait, and an exception of theirs ends the session."""

    def saw(self, event: Event, commands: Sequence[Command], now: float) -> None:
        """The conversation has handled `event`; `commands` are about to be performed. `now`: clock time in seconds (time.monotonic)."""

    def closed(self) -> None:
        """The session has ended, and with it all that it was doing. Once."""


class Watchers:
    """Several as one; without any nothing is watched."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def saw(self, event: Event, commands: Sequence[Command], now: float) -> None:
        for watcher in self._watchers:
            watcher.saw(event, commands, now)

    def closed(self) -> None:
        for watcher in self._watchers:
            watcher.closed()
