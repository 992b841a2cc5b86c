"""The replica's end of the leases (lease.py): it gives them, and hears sessions on their sockets."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from deployments.ear_frames import SUBPROTOCOL, decode, encode
from deployments.recognitions import RecordedEar
from deployments.sockets import Listener, Place, deliver, hang_up
from serve_app.engines import Begin, Drop, Ear, Failed, Final, SpeechToText
from serve_app.errors import EngineBusy, EngineGone
from serve_app.streams import first_of

ALIVE_S = 1.0
"""How often the replica says on the lease that it lives."""


@dataclass(slots=True)
class _Held:
    session_id: str
    utterances: set[str] = field(default_factory=set)
    talk: asyncio.Task[None] | None = None


class EarServer:
    """Serves the ears of a `SpeechToText` to those who hold a lease."""

    def __init__(self, speech_to_text: SpeechToText, host: str, max_sessions: int) -> None:
        self._speech_to_text = speech_to_text
        self._max_sessions = max_sessions
        self._held: dict[str, _Held] = {}  # by token
        self._listener = Listener(host, SUBPROTOCOL, self._admits, self._talk)
        self._leaving = False

    def leave(self) -> None:
        """Each lease ends as soon as no utterance of it is open, and its session goes to another replica."""
        self._leaving = True

    async def start(self) -> None:
        await self._listener.start()

    async def stop(self) -> None:
        await self._listener.stop()

    async def lease(self, session_id: str) -> AsyncGenerator[Place | None, None]:
        """Where the socket is, then None each `ALIVE_S` for as long as it is held, or can be. Raises `EngineBusy` at once when full."""
        if len(self._held) >= self._max_sessions:
            raise EngineBusy(f"this replica holds {self._max_sessions} sessions already")
        token = secrets.token_urlsafe(24)
        self._held[token] = held = _Held(session_id)
        try:
            yield self._listener.place(token)
            while not self._leaving or held.utterances:
                await asyncio.sleep(ALIVE_S)
                yield None
        finally:
            del self._held[token]
            if held.talk is not None:
                held.talk.cancel()

    def counts(self) -> dict[str, int]:
        return {"sessions": len(self._held), "utterances": sum(len(held.utterances) for held in self._held.values())}

    def _admits(self, token: str) -> bool:
        held = self._held.get(token)
        return held is not None and held.talk is None

    async def _talk(self, token: str, connection: ServerConnection) -> None:
        if not self._admits(token):  # ended, or taken by another, during the handshake
            return
        held = self._held[token]
        held.talk = asyncio.current_task()
        ear = RecordedEar(await self._speech_to_text.open(held.session_id), held.session_id)
        try:
            with contextlib.suppress(ConnectionClosed, EngineGone):
                await first_of(_read(connection, ear, held), _write(connection, ear, held))
        finally:
            held.utterances.clear()
            await ear.close()
            await hang_up(connection, CloseCode.GOING_AWAY)  # websockets leaves it open when the handler is cancelled


async def _read(connection: ServerConnection, ear: Ear, held: _Held) -> None:
    async for frame in connection:
        message = decode(frame if isinstance(frame, bytes) else frame.encode())
        match message:
            case Begin(utterance):
                held.utterances.add(utterance)
            case Drop(utterance):
                held.utterances.discard(utterance)
        ear.send(message)  # type: ignore[arg-type]


async def _write(connection: ServerConnection, ear: Ear, held: _Held) -> None:
    async for result in ear.results():
        if isinstance(result, Final | Failed):
            held.utterances.discard(result.utterance)
        await deliver(connection, encode(result))
