"""Where copies of sessions are kept, in a process of their own: a client that comes back may be sent to another gateway, and the one it had
may have died. With more than one replica each has all of them, on nodes of their own."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

from deployments.remote import answer, translated
from serve_app.errors import EngineGone
from serve_app.kept import Copy, KeptSessions
from serve_app.life import BEAT_S

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

ANSWER_S = 2.0
"""How long a session waits for the keepers, one of which may be behind a link that was cut."""


class Sessions:
    def __init__(self, resume_s: float) -> None:
        """`resume_s`: how long after its connection ended a session can be taken up. One whose gateway died was heard of up to `BEAT_S`
        before."""
        self._kept = KeptSessions(resume_s + BEAT_S)

    async def keep(self, copy: Copy) -> bool:
        return self._kept.keep(copy, time.monotonic())

    async def take(self, session_id: str, owner: str) -> Copy | None:
        return self._kept.take(session_id, owner, time.monotonic())

    async def forget(self, copy: Copy) -> None:
        self._kept.forget(copy)

    async def peek(self, session_id: str) -> bytes:
        """What is kept of the session, which stays with its connection; empty: nothing."""
        return self._kept.peek(session_id)

    async def ready(self) -> bool:
        return True


class RemoteKeeper:
    """A `Keeper` that tells every replica, and asks all of them."""

    def __init__(self, handle: "DeploymentHandle[Any]", warm_s: float) -> None:
        self._handle = handle.options(_by_reference=False)
        self._warm_s = warm_s

    async def warm(self) -> None:
        await answer(self._handle.ready.remote(), self._warm_s)

    async def keep(self, copy: Copy) -> bool:
        return False not in await self._all("keep", copy)

    async def take(self, session_id: str, owner: str) -> Copy | None:
        """The newest, where a replica has missed some."""
        copies = [copy for copy in await self._all("take", session_id, owner) if copy is not None]
        return max(copies, key=lambda copy: (copy.connection, copy.number), default=None)

    async def forget(self, copy: Copy) -> None:
        await self._all("forget", copy)

    async def _all(self, name: str, *given: Any) -> list[Any]:
        """What those that can be reached answer. Raises `EngineGone` where none can."""
        answers: list[Any] = []
        try:
            async with asyncio.timeout(ANSWER_S):
                answers = await self._handle.broadcast(name, *given).results_async(return_exceptions=True)
        except TimeoutError:  # one of them holds up the others' answers, which may be had one by one
            answers = [await answer(getattr(self._handle, name).remote(*given), ANSWER_S)]
        except Exception as error:
            raise translated(error) from error
        reached = [one for one in answers if not isinstance(one, BaseException)]
        if not reached:
            raise EngineGone("no keeper of sessions answers")
        return reached
