"""One conversation with one client: the only place that waits.

    client messages ─> wire ─> events ─┐                         ┌─> tell the client
    audio ─> hearing ─> sparse events ─┼─> Conversation.handle ──┼─> hearing (borders of utterances)
    engines' results ─> events ────────┘      commands           └─> responding (write, speak, stop)

`post` hands one event to the conversation and performs what it commands, to the end, before the next event; `perform` starts work and
never waits.
"""

import asyncio
import logging
import time
from collections import deque
from functools import partial
from typing import Any

from serve_app.answering import Answering
from serve_app.codec import Codec
from serve_app.connection import Disconnected, Transport, as_json, new_id, refuse
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.conversation import Conversation
from serve_app.core.items import Message, Role
from serve_app.dictation import Dictation
from serve_app.echo import acoustics
from serve_app.engines import Ear, Engines, Guess, Pcm, known_languages
from serve_app.errors import EngineBusy, EngineGone
from serve_app.hearing import Hearing
from serve_app.incoming import Incoming
from serve_app.kept import Copy
from serve_app.life import REPLACED_S, Keeping, TakenUp
from serve_app.outbox import ClientStalled, Outbox
from serve_app.realtime import render
from serve_app.realtime.session_object import SessionObject, Unreadable
from serve_app.realtime.snapshot import Snapshot, creation, packed, unpacked
from serve_app.realtime.wire import Wire
from serve_app.responding import Responding
from serve_app.session_options import SessionOptions as SessionOptions
from serve_app.speech_text import language_of_text
from serve_app.streams import first_of, to_the_end
from serve_app.tapes import Tapes, audio_part
from serve_app.warming import Warming

log = logging.getLogger(__name__)

CLOSING_S = 10.0
"""For cancelled work to end: a call to a replica that is busy may take some seconds to notice."""
RESTARTING = 1012
"""Service Restart: what the server's own proxies close with, too."""
LASTING = (
    ev.Configured, ev.ItemCreated, ev.ItemDeleted, ev.ItemTruncated, ev.SpeechStarted, ev.TranscriptFinished, ev.TranscriptFailed,
    ev.ReplyFinished, ev.ReplyFailed, ev.ClauseSpoken, ev.ResponseCancelled, ev.Parted,
)  # fmt: skip
"""Events after which another connection would find something else."""


class _HungUp(Exception):
    def __init__(self, command: cmd.HangUp) -> None:
        super().__init__(command)
        self.command = command


async def drive(transport: Transport, engines: Engines, options: SessionOptions) -> None:
    """Runs until the client leaves, the session expires or fails. Leaves nothing behind but a copy, for a client that comes back."""
    if options.life.leaving.asked:
        await transport.close(RESTARTING, "the server is being replaced: connect again")
        return
    begun, settings, before = _begun(await options.life.begin(), options)
    try:
        ear = await engines.speech_to_text.open(begun.session_id)
    except (EngineBusy, EngineGone) as busy:
        options.no_ear()
        await refuse(transport, f"The server takes no more sessions now: {busy}")
        return
    try:
        session = Session(begun, settings, before, transport, engines, ear, options)
    except BaseException:
        await to_the_end(ear.close())  # its place in the replica would be taken until the gateway ends
        raise
    try:
        await session.run()
    finally:
        await to_the_end(session.close())


def _begun(kept: Copy, options: SessionOptions) -> tuple[Copy, SessionObject, Snapshot | None]:
    """The session that is taken up, its settings, and what it was. Where this version of the server cannot read what another one kept, it
    is a new session, as for a client that comes back too late."""
    if kept.data:
        try:
            before = unpacked(kept.data)
            return kept, options.session(kept.session_id, before), before
        except Unreadable as error:
            log.warning("session %s cannot be taken up: %s", kept.session_id, error)
            kept = Copy(new_id("sess"), kept.owner)
    return kept, options.session(kept.session_id, None), None


class Session:
    def __init__(
        self,
        begun: Copy,
        session: SessionObject,
        before: Snapshot | None,
        transport: Transport,
        engines: Engines,
        ear: Ear,
        options: SessionOptions,
    ) -> None:
        """`session`: its settings. `before`: what it was on another connection."""
        self._clock = time.monotonic
        self._transport = transport
        self._engines = engines
        self._options = options
        self._before = before
        self._wire = Wire(session, new_id, options.timings, options.allowance.rate_limits)
        expires_at = self._clock() + session.expires_at - time.time()
        self._conversation = Conversation(session.config(), new_id, expires_at, options.barge_in_s, options.echo is not None)
        self._tapes = Tapes(options.kept_audio_bytes)
        self._dictation = Dictation(begun.session_id, engines.speech_to_text, ear, self.post, self._tapes, engines.voice_activity)
        self._loudspeaker, microphone = acoustics(engines, self._conversation.memory.playback, options.echo)
        self._hearing = Hearing(
            microphone, engines.turn_detector, self._dictation.send, self.post, options.eager, options.longest_turn_s
        )
        self._hearing.configure(session.config().turn_taking)
        self._outbox = Outbox(transport.send, options.unsent_bytes, options.stalled_s)
        self._incoming = Incoming(self._wire, self._hearing, options.allowance, self.post, self._outbox.put)
        self._keeping = Keeping(options.life.keeper, begun, self._copied)
        self._watcher = options.watch(begun.session_id)
        self._events: deque[ev.Event] = deque()
        self._posting = False
        self._answering = Answering(self._responding, Warming(engines.language_model, options.warms))
        self._hang_up: asyncio.Future[cmd.HangUp] = asyncio.get_running_loop().create_future()
        self._moved = asyncio.Event()
        self._flows = asyncio.Event()
        self._flows.set()

    async def run(self) -> None:
        try:
            await self._begin()
            line = self._incoming.read(self._transport), self._outbox.run()
            await first_of(*line, self._dictation.listen(), self._keep_time(), self._keeping.run(), self._until_hung_up())
        except Disconnected:
            self.post(ev.Parted())
        except asyncio.CancelledError:  # behind HAProxy Serve cancels whom the client has left, before the socket says so or after it
            self.post(ev.Parted())
            raise
        except _HungUp as end:
            await self._hang_up_with(end.command)
        except TakenUp as taken:
            await self._leave(1000, str(taken))
        except ClientStalled as stalled:
            log.warning("session %s ends: %s", self._wire.session.id, stalled)
            await self._transport.close(1013, "client does not read")
        except Exception:
            log.exception("session %s failed", self._wire.session.id)
            self._tell_problem("The server failed.", "internal_error", "server_error")
            await self._leave(1011, "internal error")

    async def close(self) -> None:
        """Stops all work and waits for its end."""
        self._hearing.close()
        if unwilling := await self._answering.close(CLOSING_S):
            log.warning("session %s leaves work that does not end: %s", self._wire.session.id, unwilling)
        await self._dictation.close()
        self._tapes.clear()  # this object is part of cycles, which Python takes apart once in many minutes
        self._watcher.closed()
        await self._keeping.finish()

    def post(self, event: ev.Event) -> None:
        """Events that arise while one is handled wait for their turn."""
        self._events.append(event)
        if self._posting:
            return
        self._posting, before = True, self._conversation.deadline
        try:
            while self._events:
                event, now = self._events.popleft(), self._clock()
                commands = self._conversation.handle(event, now)
                self._watcher.saw(event, commands, now)
                for command in commands:
                    with self._options.during(command):
                        self._perform(command)
                if isinstance(event, LASTING):
                    self._keeping.changed()
        finally:
            self._posting = False
        if self._conversation.deadline != before:
            self._moved.set()

    async def _begin(self) -> None:
        """What a session that is taken up had said is created again, for the client to see what the server knows."""
        self._outbox.put(as_json(self._wire.opening()))
        for item in self._before.items if self._before else ():
            await self._incoming.take(creation(item))
        if self._options.life.returns_to is not None and self._before is None:
            self._tell_problem(f"Session {self._options.life.returns_to!r} cannot be taken up: this is a new one.", "session_not_found")

    def _copied(self) -> bytes:
        return packed(self._wire.session, self._conversation.memory.kept())

    # --- what is waited for -------------------------------------------------------------------------------------------------------------

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
        leaving = self._options.life.leaving
        asked = asyncio.create_task(leaving.wait())
        try:
            await asyncio.wait((asked, self._hang_up), return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not self._hang_up.done():
                self.post(ev.LeaveAsked(self._clock() + leaving.within_s))
            raise _HungUp(await self._hang_up)
        finally:
            asked.cancel()

    async def _hang_up_with(self, command: cmd.HangUp) -> None:
        """Before a client can come back the last copy must be where it will be looked for."""
        await (self._keeping.finish(REPLACED_S) if command.code == RESTARTING else self._keeping.forget())
        await self._leave(command.code, command.reason)

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
                self._dictation.transcribe(item_id, self._incoming.brought, hints)
            case cmd.ForgetBuffer():
                self._hearing.forget()
            case cmd.WarmCache() | cmd.StartReply() | cmd.ReleaseReply() | cmd.Speak() | cmd.StopReply():
                self._answering.perform(command)
            case cmd.HoldAudio():
                self._flows.clear()
            case cmd.ResumeAudio():
                self._flows.set()
            case cmd.HangUp() if not self._hang_up.done():
                self._hang_up.set_result(command)

    def _tell(self, what: told.Notification) -> None:
        for event in self._wire.render(what):
            if isinstance(what, told.ItemShown) and isinstance(what.item, Message):
                self._add_sound(event["item"], what.item)
            self._outbox.put(as_json(event))
        match what:
            case told.ResponseDone():
                self._answering.stop(what.response.id)
            case told.ItemGone(item_id):
                self._tapes.drop(item_id)

    def _tell_problem(self, message: str, code: str, kind: str = "invalid_request_error") -> None:
        self._outbox.put(as_json(self._wire.stamp(render.error(message, code, None, None, kind))))

    def _add_sound(self, rendered: dict[str, Any], item: Message) -> None:
        form = self._wire.session.input_format if item.role is Role.USER else self._wire.session.output_format
        audio, index = self._tapes.audio(item, form), audio_part(item)
        if audio is not None and index is not None:
            rendered["content"][index]["audio"] = audio

    def _responding(self, response_id: str) -> Responding:
        send_audio = partial(self._send_audio, Codec())
        # Who says in which language the user speaks is answered in it.
        language = language_of_text(self._wire.session.config().hints.language, known_languages(self._engines.text_to_speech))
        return Responding(response_id, self._engines, self.post, send_audio, self._wait_for_room, language)

    async def _send_audio(self, codec: Codec, clause: cmd.Speak, pcm: Pcm | None) -> float:
        """`codec`: of the response that the clause belongs to."""
        rate, form = self._engines.text_to_speech.sample_rate, clause.audio_format
        audio = codec.said_rest(form) if pcm is None else codec.said(pcm, rate, form)
        if audio:
            at = told.At(clause.response_id, clause.item_id, clause.output_index)
            await self._outbox.send(as_json(self._wire.audio_delta(at, audio)))
        if pcm is not None:
            self._tapes.keep(clause.item_id, pcm, rate)
            self._loudspeaker.sent(pcm, self._clock())
        return 0.0 if pcm is None else len(pcm) / rate

    async def _wait_for_room(self) -> None:
        too_much_s = self._conversation.memory.playback.ahead_s(self._clock()) - self._options.lead_s
        if too_much_s > 0:
            await asyncio.sleep(too_much_s)
        await self._flows.wait()
