"""The sound of a room for the echo benchmark: what a client plays, and what its microphone hears of that, of its user and of noise.

Sound is float, 1 is full scale, at `HEARING_RATE`; a step is one frame of 32 ms.
"""

from dataclasses import dataclass

import numpy as np

from serve_app.engines import HEARING_RATE, Pcm

FRAME = 512
FRAME_S = FRAME / HEARING_RATE
REVERBERATION_S = 0.25
DIRECT_TO_REVERBERANT_DB = -6.0
"""A microphone across the table: more of the echo comes from the walls than straight."""
FULL = 32768.0


@dataclass(frozen=True)
class Echo:
    """How the loudspeaker is heard. No level: not at all, as with a headset."""

    lag_s: float = 0.1
    level_db: float | None = None
    """Of the echo against what is played."""
    jitter_s: float = 0.03
    """Playback begins up to so much later, each time that it begins."""
    drift_ppm: float = 0.0
    """By how much the microphone's clock is faster than the loudspeaker's."""
    drive: float = 0.0
    """How far the loudspeaker is overdriven: tanh(drive x) / drive."""
    noise_dbfs: float = -65.0


class Air:
    """From the loudspeaker to the microphone: a direct sound and a tail that dies away, made by a seeded generator."""

    def __init__(self, echo: Echo, random: np.random.Generator) -> None:
        self._echo, self._random = echo, random
        self._response = _impulse_response(random)
        self._played = np.zeros(HEARING_RATE)
        self._position = 0

    def heard(self, played: np.ndarray, user: np.ndarray) -> Pcm:
        echo = self._echo
        self._position += len(played)
        loud = np.tanh(echo.drive * played) / echo.drive if echo.drive else played
        self._played = np.concatenate((self._played[len(loud) :], loud))
        heard = user + self._random.standard_normal(len(user)) * 10 ** (echo.noise_dbfs / 20)
        if echo.level_db is not None:
            heard += self._reverberated() * 10 ** (echo.level_db / 20)
        return np.clip(heard * FULL, -FULL, FULL - 1).astype(np.int16)

    def _reverberated(self) -> np.ndarray:
        lag = self._echo.lag_s * HEARING_RATE + self._position * self._echo.drift_ppm * 1e-6
        samples = FRAME + len(self._response) - 1
        at = len(self._played) - lag - samples + np.arange(samples)
        late = np.interp(at, np.arange(len(self._played)), self._played)
        size = 1 << (samples + len(self._response)).bit_length()
        full = np.fft.irfft(np.fft.rfft(late, size) * np.fft.rfft(self._response, size), size)
        return full[len(self._response) - 1 : samples]


def _impulse_response(random: np.random.Generator) -> np.ndarray:
    at = np.arange(int(0.2 * HEARING_RATE)) / HEARING_RATE
    tail = random.standard_normal(len(at)) * 10 ** (-3 * at / REVERBERATION_S)
    tail[at < 0.002] = 0.0
    response = tail * 10 ** (-DIRECT_TO_REVERBERANT_DB / 20) / np.sqrt(np.sum(tail**2))
    response[0] = 1.0
    return response / np.sqrt(np.sum(response**2))


@dataclass(frozen=True)
class Line:
    """What lies between the client and the conversation. Times are uniform between 0 and these, seconds."""

    up_s: float = 0.0
    """Frames of the microphone come so much later, never out of order."""
    down_s: float = 0.0
    """So do pieces of an answer."""
    stall_s: float = 0.0
    """The server does nothing for so long, once in `STALLS_EVERY_S`: what came meanwhile it finds all at once."""
    pace: float = 100.0
    """Seconds of an answer that are made in a second."""
    client_stall_s: float = 0.0
    """The client neither records nor plays for so long, once in `STALLS_EVERY_S`, and makes up for it afterwards."""
    loses: bool = False
    """It does not make up for it: what its microphone heard meanwhile is lost."""


STEADY = Line()
STALLS_EVERY_S = 1.5


class Client:
    """Plays what it was sent, one after the other; throws away what it has when it is told of speech, as clients do."""

    def __init__(self, echo: Echo, random: np.random.Generator) -> None:
        self._echo, self._random = echo, random
        self._buffer = np.zeros(0)
        self.played_s = 0.0

    def gets(self, pcm: Pcm) -> None:
        """At HEARING_RATE."""
        late = int(self._random.uniform(0.0, self._echo.jitter_s) * HEARING_RATE) if not len(self._buffer) else 0
        self._buffer = np.concatenate((self._buffer, np.zeros(late), pcm / FULL))

    def plays(self) -> np.ndarray:
        frame, self._buffer = self._buffer[:FRAME], self._buffer[FRAME:]
        self.played_s += len(frame) / HEARING_RATE
        return np.pad(frame, (0, FRAME - len(frame)))

    @property
    def plays_on(self) -> bool:
        return len(self._buffer) > 0

    def stops(self) -> None:
        self._buffer = self._buffer[:0]
