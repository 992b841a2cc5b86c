"""Who looks on while a session goes its way: traces, metrics and logs. A watcher changes nothing, and the session does not know what it
makes of what it sees."""

import logging
from collections.abc import Sequence
from typing import Protocol

from serve_app.core.commands import Command
from serve_app.core.events import Event

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Called in the session's own thread: neither method may wait."""

    def saw(self, event: Event, commands: Sequence[Command], now: float) -> None:
        """The conversation has handled `event`; `commands` are about to be performed. `now`: clock time in seconds (time.monotonic)."""

    def closed(self) -> None:
        """The session has ended, and with it all that it was doing. Once."""


class Watchers:
    """Several as one; without any nothing is watched. One that fails sees no more: the session goes on."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def saw(self, event: Event, commands: Sequence[Command], now: float) -> None:
        for watcher in self._watchers:
            try:
                watcher.saw(event, commands, now)
            except Exception:
                self._fails(watcher)

    def closed(self) -> None:
        for watcher in self._watchers:
            try:
                watcher.closed()
            except Exception:
                self._fails(watcher)

    def _fails(self, watcher: Watcher) -> None:
        log.exception("%s watches no more", type(watcher).__name__)
        self._watchers = tuple(one for one in self._watchers if one is not watcher)
