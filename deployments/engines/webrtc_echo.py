"""Echo cancellation of WebRTC (AEC3, BSD-3-Clause), through the Python package livekit (Apache-2.0), of which nothing else is used.

It takes 10 ms at a time: 0.11 ms of one core each on the two-core x86-64 machine of the benchmarks. It finds lags up to 0.45 s by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from serve_app.engines import HEARING_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_app.echo import EchoCanceller
    from serve_app.engines import Pcm

STEP = HEARING_RATE // 100
"""The only length that it takes."""


def cancellers() -> Callable[[], EchoCanceller]:
    """Loads the library, so that no session waits for it."""
    WebRtcEcho()
    return WebRtcEcho


class WebRtcEcho:
    """Comes one step late less the samples that frames of Silero's length leave over: 8 ms."""

    def __init__(self) -> None:
        from livekit.rtc.apm import AudioProcessingModule

        self._module = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._heard: Pcm = np.zeros(0, np.int16)
        self._played: Pcm = np.zeros(0, np.int16)
        self._clean: Pcm = np.zeros(STEP, np.int16)

    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        self._heard, self._played = np.concatenate((self._heard, heard)), np.concatenate((self._played, played))
        whole = len(self._heard) // STEP * STEP
        steps = [self._step(self._heard[at : at + STEP], self._played[at : at + STEP]) for at in range(0, whole, STEP)]
        self._heard, self._played = self._heard[whole:], self._played[whole:]
        ready = np.concatenate((self._clean, *steps))
        self._clean = ready[len(heard) :]
        return ready[: len(heard)]

    def _step(self, heard: Pcm, played: Pcm) -> Pcm:
        from livekit.rtc.audio_frame import AudioFrame

        self._module.process_reverse_stream(AudioFrame(bytearray(played.tobytes()), HEARING_RATE, 1, STEP))
        frame = AudioFrame(bytearray(heard.tobytes()), HEARING_RATE, 1, STEP)
        self._module.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).copy()
