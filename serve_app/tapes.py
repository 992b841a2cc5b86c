"""The audio of one session's items, for a client that asks for an item with its sound. The oldest goes first when there is too much."""

import base64
from dataclasses import dataclass, field

import numpy as np

from serve_app.audio import NO_PCM
from serve_app.codec import Codec, seconds_of
from serve_app.core.items import Kind, Message
from serve_app.engines import Pcm

MAX_SENT_BYTES = 700_000
"""Of one part, before base64: the message around it stays below 1 MiB, the longest that clients take (pipecat). 14.6 s at 24 kHz; a
longer one is given from its start."""
SPARE_S = 0.1
"""What a resampler takes beyond the end of what it gives."""


@dataclass(slots=True)
class _Tape:
    rate: int
    """Samples a second."""
    chunks: list[Pcm] = field(default_factory=list)
    full: bool = False

    @property
    def bytes(self) -> int:
        return sum(chunk.nbytes for chunk in self.chunks)


class Tapes:
    def __init__(self, most_bytes: int) -> None:
        """`most_bytes`: of all items together, in 16-bit samples."""
        self._most_bytes = most_bytes
        self._bytes = 0
        self._tapes: dict[str, _Tape] = {}  # by item id, the oldest first

    @property
    def size(self) -> int:
        """Bytes."""
        return self._bytes

    def keep(self, item_id: str, pcm: Pcm, rate: int) -> None:
        """After what was kept of that item so far. Of an item that is too long alone the start is kept."""
        tape = self._tapes.setdefault(item_id, _Tape(rate))
        while self._bytes + pcm.nbytes > self._most_bytes and (oldest := next(iter(self._tapes))) != item_id:
            self.drop(oldest)
        tape.full = tape.full or self._bytes + pcm.nbytes > self._most_bytes
        if not tape.full:
            tape.chunks.append(pcm)
            self._bytes += pcm.nbytes

    def drop(self, item_id: str) -> None:
        if tape := self._tapes.pop(item_id, None):
            self._bytes -= tape.bytes

    def clear(self) -> None:
        self._tapes.clear()
        self._bytes = 0

    def audio(self, item: Message, form: str) -> str | None:
        """In a format of the wire, as base64; of an interrupted answer what was played. None: it is not kept (any more)."""
        tape = self._tapes.get(item.id)
        if tape is None:
            return None
        pcm = np.concatenate(tape.chunks) if tape.chunks else NO_PCM
        if item.played_s is not None:
            pcm = pcm[: int(item.played_s * tape.rate)]
        pcm = pcm[: int((seconds_of(MAX_SENT_BYTES, form) + SPARE_S) * tape.rate)]  # more is not sent, nor resampled in vain
        codec = Codec()
        encoded = codec.said(pcm, tape.rate, form) + codec.said_rest(form)
        return base64.b64encode(encoded[:MAX_SENT_BYTES]).decode()


def audio_part(item: Message) -> int | None:
    """The index of the part that a tape belongs to."""
    return next((index for index, part in enumerate(item.parts) if part.kind in (Kind.INPUT_AUDIO, Kind.OUTPUT_AUDIO)), None)
