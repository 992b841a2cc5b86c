"""How a session outlives its connection: copies of it are kept elsewhere, and a server that is being taken away lets it go at a quiet
moment."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from serve_app.connection import new_id
from serve_app.core.retries import Retries
from serve_app.errors import SparkvoxError
from serve_app.kept import Copy

log = logging.getLogger(__name__)

BEAT_S = 20.0
"""A session from which nothing new comes is kept again so often: it lives, and a keeper that was replaced has nothing of it yet."""


REPLACED_S = 30.0
"""A keeper that is replaced, because Serve replaces all deployments of an application at once, is back within seconds; 22 were seen on a
machine that had far too much to do."""


class TakenUp(SparkvoxError):
    """Another connection goes on with this session."""


class Keeper(Protocol):
    """Outside of the gateway, which may die."""

    async def keep(self, copy: Copy) -> bool:
        """False: another connection has taken the session up. Raises `EngineGone`."""

    async def take(self, session_id: str, owner: str) -> Copy | None:
        """For a client that comes back. Raises `EngineGone`."""

    async def forget(self, copy: Copy) -> None:
        """The session has ended for good. Raises `EngineGone`."""


class Leaving:
    """Whether the server is being taken away."""

    def __init__(self, within_s: float = 30.0) -> None:
        """`within_s`: how long a session may wait for a quiet moment."""
        self.within_s = within_s
        self._asked = asyncio.Event()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()


@dataclass(frozen=True, slots=True)
class Life:
    keeper: Keeper | None = None
    """None: a session ends with its connection."""
    owner: str = ""
    """Names the key that opens the session."""
    returns_to: str | None = None
    """The session that the client says it had."""
    leaving: Leaving = field(default_factory=Leaving)

    async def begin(self) -> Copy:
        """Of the session that is taken up, or of a new one."""
        if self.keeper is not None and self.returns_to is not None:
            try:
                copy = await self.keeper.take(self.returns_to, self.owner)
            except SparkvoxError as error:
                log.warning("session %s cannot be taken up: %s", self.returns_to, error)
            else:
                if copy is not None:
                    return copy
        return Copy(new_id("sess"), self.owner)


class Keeping:
    """Sees that the keeper has what is new of one session."""

    def __init__(self, keeper: Keeper | None, begun: Copy, snapshot: Callable[[], bytes]) -> None:
        self._keeper = keeper
        self._copy = begun
        self._snapshot = snapshot
        self._news = asyncio.Event()
        self._news.set()

    def changed(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """Until another connection takes the session up: raises `TakenUp`."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._news.wait()
            self._news.clear()
            await self._try_to_keep()

    async def finish(self, patience_s: float = 0.0) -> None:
        """The last copy, of a session that may be taken up from now on. `patience_s`: for a keeper that is away, because it is replaced
        together with this server."""
        retries = Retries(time.monotonic(), most=None, within_s=patience_s)
        while self._keeper is not None:
            try:
                await self._keep(self._keeper)
                return
            except SparkvoxError as error:
                if retries.again_in(time.monotonic()) is None:
                    log.warning("session %s is not kept: %s", self._copy.session_id, error)
                    return
            await asyncio.sleep(retries.pause_s)

    async def forget(self) -> None:
        """The session has ended for good."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            with suppress(SparkvoxError):
                await keeper.forget(self._copy)

    async def _try_to_keep(self) -> None:
        try:
            mine = self._keeper is None or await self._keep(self._keeper)
        except SparkvoxError as error:
            log.warning("session %s could not be kept: %s", self._copy.session_id, error)
            return
        if not mine:
            raise TakenUp("another connection goes on with the session")

    async def _keep(self, keeper: Keeper) -> bool:
        self._copy = replace(self._copy, number=self._copy.number + 1, data=self._snapshot())
        return await keeper.keep(self._copy)
