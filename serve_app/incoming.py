"""What one client sends: its messages become events for the conversation, its audio goes to the ear."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.codec import Codec, seconds_of
from serve_app.connection import Transport, as_json
from serve_app.core import events as ev
from serve_app.engines import Pcm
from serve_app.hearing import Hearing
from serve_app.limits import Allowance, LimitReached
from serve_app.realtime import render
from serve_app.realtime.wire import AudioAppended, Commit, ItemBrought, Wire


class Incoming:
    def __init__(
        self, wire: Wire, hearing: Hearing, allowance: Allowance, post: Callable[[ev.Event], None], put: Callable[[str], None]
    ) -> None:
        """`put`: hands a message to the client."""
        self._wire = wire
        self._hearing = hearing
        self._allowance = allowance
        self._post = post
        self._put = put
        self._codec = Codec()
        self.brought = NO_PCM
        """The audio of the item that is being created; empty again when it was."""

    async def read(self, transport: Transport) -> None:
        """Raises `Disconnected`."""
        while True:
            await self.take(await transport.receive())
            await asyncio.sleep(0)  # thousands of messages may be here already, and nothing else would have its turn between them

    async def take(self, message: str | bytes) -> None:
        received = self._wire.receive(message)
        for event in received.events:
            match event:
                case AudioAppended():
                    await self._append(event)
                case Commit(event_id):
                    await self._hearing.append(self._codec.heard_rest())
                    self._hearing.append_rest()
                    self._post(ev.CommitAsked(self._hearing.buffered_s, event_id, self._hearing.position_s))
                case ev.ClearAsked():
                    self._codec.heard_rest()
                    self._hearing.append_rest()
                    self._post(replace(event, audio_s=self._hearing.position_s))
                case ItemBrought():
                    await self._bring(event)
                case ev.Configured(config):
                    self._post(replace(event, audio_s=self._hearing.position_s))
                    self._hearing.configure(config.turn_taking)
                case _:
                    self._post(event)
        for reply in received.replies:
            self._put(as_json(reply))
        await self._hearing.review()

    async def _append(self, appended: AudioAppended) -> None:
        for pcm in self._decoded(self._codec, appended.audio, "audio", appended.event_id) or ():
            await self._hearing.append(pcm)

    async def _bring(self, brought: ItemBrought) -> None:
        codec, pieces = Codec(), list[Pcm]()
        blocks = self._decoded(codec, brought.audio, "item.content", brought.created.event_id)
        if blocks is None:
            return
        for pcm in blocks:
            pieces.append(pcm)
            await asyncio.sleep(0)
        self.brought = np.concatenate((*pieces, codec.heard_rest()))
        self._post(brought.created)
        self.brought = NO_PCM

    def _decoded(self, codec: Codec, audio: bytes, param: str, event_id: str | None) -> Iterator[Pcm] | None:
        """At HEARING_RATE, block by block; None after an error to the client."""
        form = self._wire.session.input_format
        try:
            self._allowance.take(seconds_of(len(audio), form))
            return codec.heard(audio, form)
        except LimitReached as reached:
            problem = render.error(str(reached), "rate_limit_exceeded", param, event_id, "rate_limit_error")
        except ValueError as error:
            problem = render.error(f"The audio cannot be read: {error}.", "invalid_value", param, event_id)
        self._put(as_json(self._wire.stamp(problem)))
        return None
