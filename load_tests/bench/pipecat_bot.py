"""The other side of beside_pipecat.py: a voice agent made with pipecat, which runs in an environment of its own (scripts/setup-pipecat).

    .pipecat/bin/python -m load_tests.bench.pipecat_bot --port N --llm-url http://127.0.0.1:8000/v1

Silero and Smart Turn are pipecat's own analyzers with the models of its package, which are those of this project; Moonshine and Kokoro are
this project's adapters (pipecat_services.py), the language model is behind HTTP. It talks the few events of the Realtime protocol that the
client of the benchmark uses; audio comes at 16 kHz and goes at 24 kHz, so that nothing is resampled. Settings are those that pipecat ships
but for: answers of temperature 0 and limited length, one pause and longest silence for both, and time for a slow voice.
"""

import argparse
import base64
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.audio.turn.smart_turn.base_smart_turn import SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import BaseUserTurnStopStrategy, SpeechTimeoutUserTurnStopStrategy, TurnAnalyzerUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from deployments.engines.kokoro_onnx import KokoroOnnx
from deployments.engines.moonshine import Moonshine
from load_tests.bench.pipecat_services import KokoroService, MoonshineService, happened
from serve_app.engines import HEARING_RATE

PAUSE_S = 0.2
"""After which Smart Turn is asked: what pipecat recommends, and what this project has."""
LONGEST_SILENCE_S = 4.0
"""After which a turn is over whatever Smart Turn says: semantic_vad's, with its eagerness `auto`."""


@dataclass(frozen=True, slots=True)
class Engines:
    speech_to_text: Moonshine
    text_to_speech: KokoroOnnx
    worker: ThreadPoolExecutor
    """Where Moonshine works."""


class RealtimeEvents(FrameSerializer):
    async def serialize(self, frame: Frame) -> str | None:
        match frame:
            case OutputAudioRawFrame():
                return json.dumps(happened("response.output_audio.delta", delta=base64.b64encode(frame.audio).decode()))
            case OutputTransportMessageUrgentFrame() if not self.should_ignore_frame(frame):
                return json.dumps(frame.message)
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        event = json.loads(data)
        if event["type"] != "input_audio_buffer.append":
            return None
        return InputAudioRawFrame(base64.b64decode(event["audio"]), HEARING_RATE, 1)


class EndOfAnswer(FrameProcessor):
    """Tells the client when the answer was played, with what was heard and said."""

    def __init__(self, stt: MoonshineService, tts: KokoroService) -> None:
        super().__init__()
        self._stt = stt
        self._tts = tts

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStoppedSpeakingFrame) and direction is FrameDirection.UPSTREAM:
            done = happened("response.done", heard=" ".join(self._stt.heard), said=" ".join(self._tts.said))
            await self.push_frame(OutputTransportMessageUrgentFrame(done))
        await self.push_frame(frame, direction)


def _stop(silence_s: float | None) -> BaseUserTurnStopStrategy:
    """`silence_s`: a turn is over after so much silence; None: when Smart Turn says so."""
    if silence_s is not None:
        return SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=silence_s - PAUSE_S)
    return TurnAnalyzerUserTurnStopStrategy(turn_analyzer=LocalSmartTurnAnalyzerV3(params=SmartTurnParams(stop_secs=LONGEST_SILENCE_S)))


def _language_model(args: argparse.Namespace) -> OpenAILLMService:
    settings = OpenAILLMService.Settings(
        model=args.model, system_instruction=args.instructions, temperature=0.0, max_completion_tokens=args.max_tokens
    )
    return OpenAILLMService(api_key="none", base_url=args.llm_url, settings=settings)


async def _talk(websocket: WebSocket, engines: Engines, args: argparse.Namespace, silence_s: float | None) -> None:
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=RealtimeEvents())
    transport = FastAPIWebsocketTransport(websocket, params)
    stt, tts = MoonshineService(engines.speech_to_text, engines.worker), KokoroService(engines.text_to_speech, args.voice)
    hears = LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=PAUSE_S)),
        user_turn_strategies=UserTurnStrategies(stop=[_stop(silence_s)]),
    )
    pair = LLMContextAggregatorPair(LLMContext(), user_params=hears)
    steps = [stt, pair.user(), _language_model(args), tts, EndOfAnswer(stt, tts), transport.output(), pair.assistant()]
    worker = PipelineWorker(Pipeline([transport.input(), *steps]), params=PipelineParams(), enable_rtvi=False)

    @transport.event_handler("on_client_connected")
    async def connected(_: Any, __: Any) -> None:
        await websocket.send_json(happened("session.created"))

    @transport.event_handler("on_client_disconnected")
    async def disconnected(_: Any, __: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


def _application(args: argparse.Namespace) -> FastAPI:
    @asynccontextmanager
    async def loaded(app: FastAPI) -> AsyncIterator[None]:
        app.state.engines = Engines(Moonshine(), KokoroOnnx(), ThreadPoolExecutor(1, "moonshine"))
        await app.state.engines.speech_to_text.warm()
        await app.state.engines.text_to_speech.warm()
        yield

    app = FastAPI(lifespan=loaded)

    @app.get("/readyz")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.websocket("/v1/realtime")
    async def talk(websocket: WebSocket, silence_s: float | None = None) -> None:
        await websocket.accept()
        await _talk(websocket, app.state.engines, args, silence_s)

    return app


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--llm-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--instructions", required=True)
    parser.add_argument("--max-tokens", type=int, required=True)
    parser.add_argument("--voice", required=True)
    args = parser.parse_args()
    uvicorn.run(_application(args), host="127.0.0.1", port=args.port, log_level="warning")


if __name__ == "__main__":
    main()
