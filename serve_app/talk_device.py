"""The microphone and the loudspeaker of this machine, through `sounddevice`, for `sparkvox talk` without files and
`sparkvox say`."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from serve_app.client_speaker import WIRE_RATE
from serve_app.engines import Pcm
from serve_app.errors import SparkvoxError


class NoSoundDevice(SparkvoxError):
    """There is nothing to speak into, or to hear with."""


def _sounddevice() -> Any:
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, the PortAudio library is not
        raise NoSoundDevice(
            "To use a sound device install sounddevice (pip install sounddevice) and PortAudio (Debian: libportaudio2), or name a WAV file."
        ) from error
    return sounddevice


class DeviceSpeaker:
    """A `Speaker` on the default output device. Its callback runs in PortAudio's thread, hence the lock."""

    def __init__(self) -> None:
        self._queue: deque[tuple[str, Pcm]] = deque()
        self._played: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> "DeviceSpeaker":
        sounddevice = _sounddevice()
        try:
            self._stream = sounddevice.OutputStream(samplerate=WIRE_RATE, channels=1, dtype="int16", latency="low", callback=self.fill)
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise NoSoundDevice(f"The loudspeaker cannot be opened ({error}): name a WAV file, and --out for the answer.") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def play(self, item_id: str, pcm: Pcm, now: float) -> None:
        with self._lock:
            self._queue.append((item_id, pcm))
            self._played.setdefault(item_id, 0)

    def stop(self, now: float) -> dict[str, int]:
        with self._lock:
            self._queue.clear()
            played, self._played = self._played, {}
        return played

    def left_s(self, now: float) -> float:
        with self._lock:
            return sum(len(pcm) for _, pcm in self._queue) / WIRE_RATE

    def fill(self, block: Any, frames: int, _time: Any, _status: Any) -> None:
        """PortAudio wants `frames` samples in `block`, shape [frames, 1]."""
        block.fill(0)
        filled = 0
        with self._lock:
            while filled < frames and self._queue:
                item_id, pcm = self._queue.popleft()
                count = min(len(pcm), frames - filled)
                block[filled : filled + count, 0] = pcm[:count]
                filled += count
                self._played[item_id] += count
                if count < len(pcm):
                    self._queue.appendleft((item_id, pcm[count:]))


async def microphone(frame_samples: int) -> AsyncIterator[Pcm]:
    """Frames of the default input device at `WIRE_RATE`, for as long as they are taken."""
    sounddevice = _sounddevice()
    frames: asyncio.Queue[Pcm] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def hear(block: Any, _frames: int, _time: Any, _status: Any) -> None:
        loop.call_soon_threadsafe(frames.put_nowait, np.array(block[:, 0]))

    try:
        stream = sounddevice.InputStream(samplerate=WIRE_RATE, channels=1, dtype="int16", blocksize=frame_samples, callback=hear)
    except sounddevice.PortAudioError as error:
        raise NoSoundDevice(f"The microphone cannot be opened ({error}): name a WAV file to speak.") from error
    with stream:
        while True:
            yield await frames.get()
