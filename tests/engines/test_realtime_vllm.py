"""vLLM's Realtime transcription: its own connection code, over an engine that is scripted. No model that streams speech fits in here."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from deployments.engines.realtime_stt import RealtimeTranscriber
from deployments.engines.vllm_engine import environment
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Failed, Final, Hints, Partial
from serve_app.listening_apart import speech_to_text
from tests.engines.endpoint_script import on_a_port

pytestmark = [
    # Of libraries that are imported: vLLM, torch.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    # vLLM is imported, which takes as long as a model takes to load.
    pytest.mark.weights,
]

WORDS = ("It ", "was ", "the ", "best ")
SECOND = (1000 * np.sin(0.1 * np.arange(HEARING_RATE))).astype(np.int16)


class Scripted:
    """What vLLM's connection asks of its serving layer and its engine: here a word for each piece of audio."""

    model_cls = SimpleNamespace(realtime_max_tokens=1)

    def __init__(self):
        self.engine_client = self
        self.samples = 0
        self.aborted = asyncio.Event()

    def _is_model_supported(self, model):
        return model == "small"

    def create_error_response(self, message, **_):
        return SimpleNamespace(error=SimpleNamespace(message=message))

    async def transcribe_realtime(self, audio, _):
        async for samples in audio:
            self.samples += len(samples)
            yield samples

    async def generate(self, prompt, **_):
        words = iter(WORDS)
        async for _ in prompt:
            said = SimpleNamespace(text=next(words, ""), token_ids=[1])
            yield SimpleNamespace(outputs=[said], prompt_token_ids=[1])

    async def abort(self, _):
        self.aborted.set()


@pytest.fixture
async def serving(monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return Scripted()


@pytest.fixture
async def vllm(serving):
    from vllm.entrypoints.speech_to_text.realtime.connection import RealtimeConnection

    async def talk(socket):
        await RealtimeConnection(socket, serving).handle_connection()

    async with on_a_port(Starlette(routes=[WebSocketRoute("/v1/realtime", talk)])) as address:
        yield address


@pytest.fixture
async def ear(vllm, request):
    engine = RealtimeTranscriber(vllm, getattr(request, "param", "small"), dialect="vllm")
    listening = speech_to_text(engine)
    yield await listening.open("session")
    await listening.close()
    await engine.close()


async def test_partials_come_while_it_is_spoken(ear, serving):
    results = ear.results()
    ear.send(Begin("one", Hints()))
    for count in (1, 2):
        ear.send(Audio("one", SECOND))
        assert await anext(results) == Partial("one", "".join(WORDS[:count]).strip(), len("".join(WORDS[:count]).strip()))
    ear.send(End("one"))
    assert await anext(results) == Final("one", "It was", 2.0)
    assert serving.samples == 2 * HEARING_RATE


async def test_a_dropped_utterance_is_aborted_there(ear, serving):
    ear.send(Begin("one", Hints()))
    ear.send(Audio("one", SECOND))
    await anext(ear.results())
    ear.send(Drop("one"))
    await serving.aborted.wait()


@pytest.mark.parametrize("ear", ["another"], indirect=True)
async def test_a_model_that_is_not_there_fails_the_utterance(ear):
    ear.send(Begin("one", Hints()))
    ear.send(Audio("one", SECOND))
    ear.send(End("one"))
    failed = await anext(ear.results())
    assert isinstance(failed, Failed) and "`another` does not exist" in failed.reason
