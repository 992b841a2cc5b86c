"""Turn detection by Smart Turn v3.2 (github.com/pipecat-ai/smart-turn, BSD-2-Clause), through ONNX Runtime: it hears from the last eight
seconds whether the speaker has finished. 50 ms on one thread."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.log_mel import Floats, log_mel
from deployments.engines.onnx_session import OnnxSession
from serve_app import models
from serve_app.engines import HEARING_RATE
from serve_app.errors import EngineFailed

if TYPE_CHECKING:
    from serve_app.engines import Pcm

HEARD_SAMPLES = 8 * HEARING_RATE


class SmartTurn:
    def __init__(self, at_once: int = 1) -> None:
        """`at_once`: how many sessions' calls run side by side, a core each."""
        self._session: OnnxSession | None = None
        # Its own threads, because asyncio's are shared with file and name look-ups that may wait for long.
        self._workers = ThreadPoolExecutor(at_once, "smart-turn")

    async def warm(self) -> None:
        if self._session is None:
            file = "smart-turn-v3.2-cpu.onnx"
            self._session = await asyncio.to_thread(lambda: OnnxSession(models.ensure("smart-turn-v3.2") / file))
        await self.score(np.zeros(HEARING_RATE, np.int16))

    async def score(self, pcm: Pcm) -> float:
        """Raises `EngineFailed` before `warm`."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, self._score, pcm)

    def _score(self, pcm: Pcm) -> float:
        if self._session is None:
            raise EngineFailed("Smart Turn was not warmed")
        (finished,) = self._session.run(input_features=features(pcm)[None])
        return float(finished[0, 0])


def features(pcm: Pcm) -> Floats:
    """What the model takes: the last eight seconds, with silence in front when there is less, at mean 0 and variance 1; shape [80, 800]."""
    heard = pcm[-HEARD_SAMPLES:].astype(np.float32) / 32768.0
    samples = np.pad(heard, (HEARD_SAMPLES - len(heard), 0))
    return log_mel((samples - samples.mean()) / np.sqrt(samples.var() + 1e-7))
