"""One conversation with one client: the only place that waits.

    client messages ─> wire ─> events ─┐                         ┌─> tell the client
    audio ─> hearing ─> sparse events ─┼─> Conversation.handle ──┼─> hearing (borders of utterances)
    engines' results ─> events ────────┘      commands           └─> responding (write, speak, stop)

`post` hands one event to the conversation and performs what it commands, to the end, before the next event; `perform` starts work and
never waits.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson

from serve_app.audio import NO_PCM
from serve_app.codec import Codec, seconds_of
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.conversation import Conversation
from serve_app.core.items import Message, Role
from serve_app.dictation import Dictation
from serve_app.engines import Ear, Engines, Guess, Pcm
from serve_app.errors import EngineBusy, EngineGone, SparkvoxError
from serve_app.hearing import Hearing
from serve_app.limits import Allowance, LimitReached
from serve_app.outbox import ClientStalled, Outbox
from serve_app.realtime import render
from serve_app.realtime.client_events import SessionUpdateBody
from serve_app.realtime.session_object import Served, SessionObject
from serve_app.realtime.wire import AudioAppended, Commit, ItemBrought, Received, Wire
from serve_app.responding import Responding
from serve_app.tapes import Tapes, audio_part

log = logging.getLogger(__name__)

CLOSING_S = 10.0
"""For cancelled work to end: a call to a replica that is busy may take some seconds to notice."""


class Disconnected(SparkvoxError):
    """The client is gone."""


class _HungUp(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Transport(Protocol):
    """A websocket that was accepted."""

    async def receive(self) -> str | bytes:
        """Raises Disconnected."""

    async def send(self, text: str) -> None:
        """Raises Disconnected."""

    async def close(self, code: int, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class SessionOptions:
    served: Served
    longest_s: float = 3600.0
    """After this much time the session ends with session_expired."""
    lead_s: float = 4.0
    """How far audio may be sent ahead of its playback."""
    kept_audio_bytes: int = 8 * 1024 * 1024
    """Of the sound of items, for clients that retrieve them; the oldest is forgotten first. Four minutes at 16 kHz."""
    unsent_bytes: int = 8 * 1024 * 1024
    stalled_s: float = 60.0
    eager: Callable[[], bool] = lambda: True
    """Whether there is room now for answers that are begun before their turn is confirmed."""
    timings: bool = False
    """The client asked for the timings of its turns."""
    transcription_only: bool = False
    initial: SessionUpdateBody | None = None
    """What an ephemeral key says of the session; for a transcription session with `transcription_only`."""
    allowance: Allowance = field(default_factory=Allowance)


def new_id(kind: str) -> str:
    return f"{kind}_{secrets.token_urlsafe(12)}"


async def drive(transport: Transport, engines: Engines, options: SessionOptions) -> None:
    """Runs until the client leaves, the session expires or fails. Leaves nothing behind."""
    session_id = new_id("sess")
    try:
        ear = await engines.speech_to_text.open(session_id)
    except (EngineBusy, EngineGone) as busy:
        await refuse(transport, f"The server takes no more sessions now: {busy}")
        return
    session = Session(session_id, transport, engines, ear, options)
    try:
        await session.run()
    finally:
        await session.close()


async def refuse(transport: Transport, message: str, code: str = "server_busy", kind: str = "server_error", close: int = 1013) -> None:
    """An error the client can read, then the close code: 1013 is the one that well-made clients retry."""
    event = render.error(message, code, None, None, kind)
    try:
        await transport.send(_json({"event_id": new_id("event"), **event}))
        await transport.close(close, "try again later" if close == 1013 else f"{kind}.{code}")
    except Disconnected:
        pass


class Session:
    def __init__(self, session_id: str, transport: Transport, engines: Engines, ear: Ear, options: SessionOptions) -> None:
        session = SessionObject(session_id, options.served, int(time.time() + options.longest_s), options.transcription_only)
        if options.initial is not None:
            session.update(options.initial)
        self._clock = time.monotonic
        self._transport = transport
        self._engines = engines
        self._options = options
        self._wire = Wire(session, new_id, options.timings, options.allowance.rate_limits)
        self._conversation = Conversation(session.config(), new_id, self._clock() + options.longest_s)
        self._tapes = Tapes(options.kept_audio_bytes)
        self._brought = NO_PCM  # the audio of the item that is being created
        self._dictation = Dictation(session_id, engines.speech_to_text, ear, self.post, self._tapes)
        self._hearing = Hearing(engines.voice_activity, engines.turn_detector, self._dictation.send, self.post, options.eager)
        self._hearing.configure(session.config().turn_taking)
        self._outbox = Outbox(transport.send, options.unsent_bytes, options.stalled_s)
        self._events: deque[ev.Event] = deque()
        self._posting = False
        self._responding: dict[str, Responding] = {}
        self._ending: list[asyncio.Task[None]] = []
        self._hang_up: asyncio.Future[cmd.HangUp] = asyncio.get_running_loop().create_future()
        self._moved = asyncio.Event()
        self._codec = Codec()

    async def run(self) -> None:
        self._outbox.put(_json(self._wire.opening()))
        try:
            await _first_of(self._read(), self._dictation.listen(), self._outbox.run(), self._keep_time(), self._until_hung_up())
        except Disconnected:
            return
        except _HungUp as end:
            await self._leave(end.code, end.reason)
        except ClientStalled as stalled:
            log.warning("session %s ends: %s", self._wire.session.id, stalled)
            await self._transport.close(1013, "client does not read")
        except Exception:
            log.exception("session %s failed", self._wire.session.id)
            self._outbox.put(_json(self._wire.stamp(render.error("The server failed.", "internal_error", None, None, "server_error"))))
            await self._leave(1011, "internal error")

    async def close(self) -> None:
        """Stops all work and waits for its end."""
        self._hearing.close()
        for response_id in list(self._responding):
            self._stop(response_id)
        if self._ending:
            _, unwilling = await asyncio.wait(self._ending, timeout=CLOSING_S)
            if unwilling:
                log.warning("session %s leaves work that does not end: %s", self._wire.session.id, unwilling)
        await self._dictation.close()

    def post(self, event: ev.Event) -> None:
        """Events that arise while one is handled wait for their turn."""
        self._events.append(event)
        if self._posting:
            return
        self._posting, before = True, self._conversation.deadline
        try:
            while self._events:
                for command in self._conversation.handle(self._events.popleft(), self._clock()):
                    self._perform(command)
        finally:
            self._posting = False
        if self._conversation.deadline != before:
            self._moved.set()

    # --- what is waited for -------------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            await self._take(self._wire.receive(await self._transport.receive()))
            await asyncio.sleep(0)  # thousands of messages may be here already, and nothing else would have its turn between them

    async def _take(self, received: Received) -> None:
        for event in received.events:
            match event:
                case AudioAppended():
                    await self._append(event)
                case Commit(event_id):
                    await self._hearing.append(self._codec.heard_rest())
                    self.post(ev.CommitAsked(self._hearing.buffered_s, event_id))
                case ItemBrought():
                    self._bring(event)
                case ev.Configured(config):
                    self._hearing.configure(config.turn_taking)
                    self.post(event)
                case _:
                    self.post(event)
        for reply in received.replies:
            self._outbox.put(_json(reply))

    async def _append(self, appended: AudioAppended) -> None:
        pcm = self._decoded(self._codec, appended.audio, "audio", appended.event_id)
        if pcm is not None:
            await self._hearing.append(pcm)

    def _bring(self, brought: ItemBrought) -> None:
        codec = Codec()
        pcm = self._decoded(codec, brought.audio, "item.content", brought.created.event_id)
        if pcm is not None:
            self._brought = np.concatenate((pcm, codec.heard_rest()))
            self.post(brought.created)

    def _decoded(self, codec: Codec, audio: bytes, param: str, event_id: str | None) -> Pcm | None:
        """At HEARING_RATE; None after an error to the client."""
        form = self._wire.session.input_format
        try:
            self._options.allowance.take(seconds_of(audio, form))
            return codec.heard(audio, form)
        except LimitReached as reached:
            problem = render.error(str(reached), "rate_limit_exceeded", param, event_id, "rate_limit_error")
        except ValueError as error:
            problem = render.error(f"The audio cannot be read: {error}.", "invalid_value", param, event_id)
        self._outbox.put(_json(self._wire.stamp(problem)))
        return None

    async def _keep_time(self) -> None:
        """The conversation's deadline moves with every event; this wakes when it has."""
        while True:
            self._moved.clear()
            deadline = self._conversation.deadline
            try:
                async with asyncio.timeout(None if deadline is None else max(0.0, deadline - self._clock())):
                    await self._moved.wait()
            except TimeoutError:
                self.post(ev.DeadlinePassed(self._hearing.position_s))

    async def _until_hung_up(self) -> None:
        command = await self._hang_up
        raise _HungUp(command.code, command.reason)

    async def _leave(self, code: int, reason: str) -> None:
        """The last words go out, then the close code."""
        try:
            await self._outbox.flush()
            await self._transport.close(code, reason)
        except (Disconnected, ClientStalled):
            pass

    # --- what is commanded --------------------------------------------------------------------------------------------------------------

    def _perform(self, command: cmd.Command) -> None:
        match command:
            case cmd.Tell(what):
                self._tell(what)
            case cmd.BeginUtterance(item_id, start_s, hints):
                self._hearing.begin(item_id, start_s, hints)
            case cmd.EndUtterance(item_id, guessed):
                self._hearing.end(item_id, guessed)
            case cmd.GuessTranscript(item_id, at_s):
                self._dictation.send(Guess(item_id, at_s))
            case cmd.SettleUtterance(item_id):
                self._dictation.settle(item_id)
            case cmd.DropUtterance(item_id):
                self._hearing.drop(item_id)
            case cmd.TranscribeItem(item_id, hints):
                self._dictation.transcribe(item_id, self._brought, hints)
            case cmd.ForgetBuffer():
                self._hearing.forget()
            case cmd.StartReply(response_id, prompt, held):
                self._work_on(response_id).reply(prompt)
                if not held:
                    self._work_on(response_id).release()
            case cmd.ReleaseReply(response_id):
                self._work_on(response_id).release()
            case cmd.Speak():
                self._work_on(command.response_id).speak(command)
            case cmd.StopReply(response_id):
                self._stop(response_id)
            case cmd.HangUp() if not self._hang_up.done():
                self._hang_up.set_result(command)

    def _tell(self, what: told.Notification) -> None:
        for event in self._wire.render(what):
            if isinstance(what, told.ItemShown) and isinstance(what.item, Message):
                self._add_sound(event["item"], what.item)
            self._outbox.put(_json(event))
        match what:
            case told.ResponseDone():
                self._stop(what.response.id)
            case told.ItemGone(item_id):
                self._tapes.drop(item_id)

    def _add_sound(self, rendered: dict[str, Any], item: Message) -> None:
        form = self._wire.session.input_format if item.role is Role.USER else self._wire.session.output_format
        audio, index = self._tapes.audio(item, form), audio_part(item)
        if audio is not None and index is not None:
            rendered["content"][index]["audio"] = audio

    def _work_on(self, response_id: str) -> Responding:
        if response_id not in self._responding:
            self._responding[response_id] = Responding(response_id, self._engines, self.post, self._send_audio, self._wait_for_room)
        return self._responding[response_id]

    def _stop(self, response_id: str) -> None:
        if responding := self._responding.pop(response_id, None):
            self._ending = [task for task in self._ending if not task.done()] + responding.stop()

    async def _send_audio(self, at: told.At, pcm: Pcm | None) -> float:
        rate, form = self._engines.text_to_speech.sample_rate, self._wire.session.output_format
        audio = self._codec.said_rest(form) if pcm is None else self._codec.said(pcm, rate, form, at.response_id)
        if audio:
            await self._outbox.send(_json(self._wire.audio_delta(at, audio)))
        if pcm is not None:
            self._tapes.keep(at.item_id, pcm, rate)
        return 0.0 if pcm is None else len(pcm) / rate

    async def _wait_for_room(self) -> None:
        too_much_s = self._conversation.memory.playback.ahead_s(self._clock()) - self._options.lead_s
        if too_much_s > 0:
            await asyncio.sleep(too_much_s)


async def _first_of(*jobs: Coroutine[Any, Any, None]) -> None:
    """Runs all until one ends; the others are cancelled and waited for; what that one raised is raised."""
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _json(event: dict[str, Any]) -> str:
    return orjson.dumps(event).decode()
