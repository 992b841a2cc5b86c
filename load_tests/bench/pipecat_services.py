"""Services of pipecat around this project's own adapters of Moonshine and Kokoro. Runs in .pipecat (scripts/setup-pipecat)."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from pipecat.frames.frames import Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601

from deployments.engines.kokoro_onnx import KokoroOnnx
from deployments.engines.moonshine import Moonshine
from serve_app.engines import HEARING_RATE, Due, Hints, Pcm, Speech
from serve_app.speech_text import speakable

SLOWEST_S = 30.0
"""The longest that a sentence is made for."""


class MoonshineService(SegmentedSTTService):
    """Transcribes what voice activity detection has cut out, off the audio path, as pipecat's own service for Moonshine does."""

    def __init__(self, engine: Moonshine, worker: ThreadPoolExecutor) -> None:
        super().__init__(sample_rate=HEARING_RATE, settings=STTSettings(model="moonshine-tiny-en", language=Language.EN))
        self._engine = engine
        self._worker = worker
        self.heard: list[str] = []

    @property
    def wants_wav_segments(self) -> bool:
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        text = await asyncio.get_running_loop().run_in_executor(self._worker, self._transcribed, np.frombuffer(audio, np.int16))
        if text:
            self.heard.append(text)
            yield TranscriptionFrame(text, self._user_id, time_now_iso8601(), Language.EN)

    def _transcribed(self, pcm: Pcm) -> str:
        (hypothesis,) = self._engine.step([Due(self._engine.begin(Hints()), pcm, last=True)])
        if isinstance(hypothesis, Exception):
            raise hypothesis
        return hypothesis.text


class KokoroService(TTSService):
    """Speaks sentence by sentence, as pipecat gives them by default."""

    def __init__(self, engine: KokoroOnnx, voice: str) -> None:
        settings = TTSSettings(model="kokoro-82m-int8", voice=voice, language=Language.EN)
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            stop_frame_timeout_s=SLOWEST_S,  # with the default of 3 s a long sentence counts as silent on a slow machine
            sample_rate=engine.sample_rate,
            settings=settings,
        )
        self._engine = engine
        self._speaks_as = voice
        self.said: list[str] = []

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        self.said.append(text)
        async for sound in self._engine.speak(Speech(speakable(text), self._speaks_as)):
            yield TTSAudioRawFrame(sound.pcm.tobytes(), self._engine.sample_rate, 1, context_id=context_id)


def happened(kind: str, **fields: Any) -> dict[str, Any]:
    """An event as the Realtime protocol writes it."""
    return {"type": kind, **fields}
