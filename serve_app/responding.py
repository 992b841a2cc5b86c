"""The work of one response: the language model writes, the clauses are spoken one after the other, the audio goes out ahead of playback
by a bound.

What happens is told to the conversation as events; nothing is decided here but what is begun again when a replica is lost: whatever
nobody has heard or read of yet.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.language import Prompt
from serve_app.core.retries import Retries
from serve_app.engines import Engines, Pcm, ReplyEnd, ReplyPiece, Sound, Speech, TextDelta, ToolCallDelta
from serve_app.errors import EngineGone, SparkvoxError
from serve_app.logs import about
from serve_app.speech_text import Wording, prepared
from serve_app.streams import begun_again, closable

PIECES_AHEAD = 64
"""Pieces of audio that are made while earlier ones wait for their time: some seconds, so that the next clause is ready when this one
ends."""
LONGEST_PIECE_S = 2.0
"""Engines may give a clause in one piece, which at the slowest speed is a minute: no message is to be above 1 MiB, and audio is sent only
so far ahead of its playback."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Saying:
    """One try to say a clause."""

    clause: cmd.Speak
    heard: bool = False
    """Some of it was sent."""
    void: bool = False
    """It was lost before any of it was sent: another try says the clause from its beginning."""


@dataclass(frozen=True, slots=True)
class _Piece:
    saying: _Saying
    sound: Sound | None
    """None: the clause is complete."""


class Responding:
    def __init__(
        self,
        response_id: str,
        engines: Engines,
        post: Callable[[ev.Event], None],
        send_audio: Callable[[cmd.Speak, Pcm | None], Awaitable[float]],
        wait_for_room: Callable[[], Awaitable[None]],
        language: str = "en",
    ) -> None:
        """`send_audio` sends audio of a clause, and returns its duration in seconds; None ends the clause. `wait_for_room` returns when
        playback has caught up enough. `language`: of what is said."""
        self.id = response_id
        self._engines = engines
        self._post = post
        self._send_audio = send_audio
        self._wait_for_room = wait_for_room
        self._language = language
        self._clauses: asyncio.Queue[cmd.Speak] = asyncio.Queue()
        self._pieces: asyncio.Queue[_Piece] = asyncio.Queue(PIECES_AHEAD)
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False
        self._released = asyncio.Event()

    def release(self) -> None:
        """Until then nothing is sent, and no more than the first clause is spoken."""
        self._released.set()

    def reply(self, prompt: Prompt) -> None:
        self._tasks.append(asyncio.create_task(self._reply(prompt)))

    def speak(self, clause: cmd.Speak) -> None:
        if self._clauses.empty() and not any(task.get_name() == "making" for task in self._tasks):
            self._tasks.append(asyncio.create_task(self._make(), name="making"))
            self._tasks.append(asyncio.create_task(self._play()))
        self._clauses.put_nowait(clause)

    def stop(self) -> list[asyncio.Task[None]]:
        """At once; the tasks are returned so that whoever ends a session can wait for them."""
        self._stopped = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        return self._tasks

    async def _reply(self, prompt: Prompt) -> None:
        about(response_id=self.id)
        try:
            async with aclosing(begun_again(lambda: self._engines.language_model.reply(prompt))) as pieces:
                async for piece in pieces:
                    self._post(self._written(piece))
        except Exception as error:
            self._post(ev.ReplyFailed(self.id, _reason(error, "The language model failed")))

    def _written(self, piece: ReplyPiece) -> ev.Event:
        match piece:
            case TextDelta(text):
                return ev.ReplyText(self.id, text)
            case ToolCallDelta(index, name, arguments):
                return ev.ReplyToolCall(self.id, index, name, arguments)
            case ReplyEnd():
                return ev.ReplyFinished(self.id, piece.finish, piece.prompt_tokens, piece.reply_tokens, piece.cached_tokens)

    async def _make(self) -> None:
        """Speaks the clauses into a short queue."""
        about(response_id=self.id)
        wording = Wording(self._language)
        try:
            await prepared(self._language)
            while True:
                clause = await self._clauses.get()
                text = wording.words(clause.text)
                saying = await self._say(clause, text) if text else _Saying(clause)
                await self._pieces.put(_Piece(saying, None))
                await self._released.wait()
        except Exception as error:
            self._post(ev.SpeakingFailed(self.id, _reason(error, "Text-to-speech failed")))

    async def _say(self, clause: cmd.Speak, text: str) -> _Saying:
        """What made all of it. Lost with its replica, the clause is said again unless some of it was heard already."""
        retries = Retries(time.monotonic())
        while True:
            saying = _Saying(clause)
            try:
                await self._make_clause(saying, Speech(text, clause.voice, clause.speed))
                return saying
            except EngineGone:
                pause_s = None if saying.heard else retries.again_in(time.monotonic())
                if pause_s is None:
                    raise
                saying.void = True
            await asyncio.sleep(pause_s)

    async def _make_clause(self, saying: _Saying, speech: Speech) -> None:
        async with aclosing(closable(self._engines.text_to_speech.speak(speech))) as pieces:
            first = True
            async for sound in pieces:
                if first:
                    self._post(ev.SoundMade(self.id, saying.clause.clause))
                    first = False
                for part in _parts(sound, round(LONGEST_PIECE_S * self._engines.text_to_speech.sample_rate)):
                    await self._pieces.put(_Piece(saying, part))

    async def _play(self) -> None:
        """Sends what was made, not further ahead of playback than the bound."""
        await self._released.wait()
        while not self._stopped:
            piece = await self._pieces.get()
            clause = piece.saying.clause
            if piece.sound is None:
                await self._send_audio(clause, None)
                self._post(ev.ClauseSpoken(self.id, clause.clause))
                continue
            if not piece.saying.void:
                await self._wait_for_room()
            if piece.saying.void:  # perhaps only since it was waited
                continue
            piece.saying.heard = True
            sent_s = await self._send_audio(clause, piece.sound.pcm)
            self._post(ev.ClauseAudio(self.id, clause.clause, sent_s, piece.sound.words))


def _reason(error: Exception, what: str) -> str:
    if isinstance(error, SparkvoxError):
        return f"{what}: {error}"
    log.exception("%s", what, exc_info=error)
    return f"{what}."


def _parts(sound: Sound, most: int) -> Iterator[Sound]:
    """The sound in pieces of at most so many samples; all its words are with the first, for their times count from the clause's start."""
    yield Sound(sound.pcm[:most], sound.words)
    for start in range(most, len(sound.pcm), most):
        yield Sound(sound.pcm[start : start + most])
