"""Endpoint engines against real servers in processes of their own: this project's, and vLLM's, which nobody here wrote."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from importlib.util import find_spec
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from deployments.engines.openai_llm import OpenAiLanguageModel
from deployments.engines.openai_stt import OpenAiTranscriber
from deployments.engines.openai_tts import OpenAiSpeech
from deployments.engines.realtime_stt import RealtimeTranscriber
from deployments.engines.vllm_engine import environment
from serve_app import models
from serve_app.audio import Resampler
from serve_app.engines import (
    HEARING_RATE,
    Audio,
    Begin,
    ChatMessage,
    End,
    Final,
    Pcm,
    Prompt,
    ReplyEnd,
    Speech,
    TextDelta,
    Tool,
    ToolCallDelta,
)
from serve_app.listening_apart import Transcriber, speech_to_text
from tests.deployments.conftest import eventually
from tests.e2e.test_conversation import transcribed
from tests.real_server import free_port, wait_until
from tests.recordings import AUDIO, word_error_rate

pytestmark = [pytest.mark.e2e]

LONG = 1500
"""Tokens; more than are there before the answer is closed."""
WAITS = {"first_s": 120, "between_s": 120}
SENTENCE = "The capital of France is Paris."
FRANCE = Prompt((ChatMessage("user", "What is the capital of France?"),), max_tokens=30, temperature=0.0)


def text(parts: list[Any]) -> str:
    return "".join(part.text for part in parts if isinstance(part, TextDelta))


def question() -> Pcm:
    pcm, rate = soundfile.read(AUDIO / "capital_of_france.wav", dtype="int16")
    resampler = Resampler(rate, HEARING_RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush()))


async def heard(engine: Transcriber) -> Final:
    """What an ear on the engine makes of the question."""
    await engine.warm()
    ear = await speech_to_text(engine).open("session")
    try:
        ear.send(Begin("one"))
        ear.send(Audio("one", question()))
        ear.send(End("one"))
        async for result in ear.results():
            if isinstance(result, Final):
                return result
    finally:
        await ear.close()
    raise AssertionError("there is no final")


# --- this project's own -----------------------------------------------------------------------------------------------------------------


async def test_speech_of_another_server_of_this_project_is_understood(real_server: str) -> None:
    engine = OpenAiSpeech(f"{real_server}/v1", "kokoro", voices=("af_heart",), timeouts=WAITS)
    await engine.warm()
    try:
        pcm = np.concatenate([sound.pcm async for sound in engine.speak(Speech(SENTENCE, "af_heart"))])
    finally:
        await engine.close()
    assert word_error_rate(SENTENCE, await transcribed(pcm, engine.sample_rate)) <= 0.2


@pytest.mark.parametrize("kind", [OpenAiTranscriber, RealtimeTranscriber])
async def test_another_server_of_this_project_hears(real_server: str, kind: Any) -> None:
    engine = kind(f"{real_server}/v1", "whisper-1", timeouts=WAITS)
    try:
        assert word_error_rate("What is the capital of France?", (await heard(engine)).text) == 0
    finally:
        await engine.close()


async def test_another_server_of_this_project_answers(real_server: str) -> None:
    engine = OpenAiLanguageModel(f"{real_server}/v1", "smollm2-135m-instruct", timeouts=WAITS)
    await engine.warm()
    try:
        parts = [part async for part in engine.reply(FRANCE)]
    finally:
        await engine.close()
    assert "Paris" in text(parts) and isinstance(parts[-1], ReplyEnd)


# --- a foreign one ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's own server with the small model of profile cpu; its address."""
    if find_spec("vllm") is None:
        pytest.skip("vllm is not installed")
    port = free_port()
    model = str(models.ensure("smollm2-135m-instruct"))
    how = ["--served-model-name", "small", "--max-model-len", "2048", "--enforce-eager", "--max-num-seqs", "4"]
    tools = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    # `vllm serve` of the CPU's wheel ends when it asks for the version of a package `vllm`.
    server_module = [sys.executable, "-W", "ignore", "-m", "vllm.entrypoints.openai.api_server"]
    command = [*server_module, "--model", model, "--host", "127.0.0.1", "--port", str(port), *how, *tools]
    log = tmp_path_factory.mktemp("vllm") / "log.txt"
    ours = {**os.environ, **environment(), "VLLM_CPU_KVCACHE_SPACE": "1", "OPENAI_API_KEY": "", "NO_PROXY": "*"}
    with log.open("w") as out:
        server = subprocess.Popen(command, env=ours, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        wait_until(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture
async def foreign(vllm_server: str) -> AsyncIterator[OpenAiLanguageModel]:
    engine = OpenAiLanguageModel(f"{vllm_server}/v1", timeouts=WAITS)
    await engine.warm()
    yield engine
    await engine.close()


async def test_the_model_that_a_foreign_server_lists_is_taken_and_answers(foreign: OpenAiLanguageModel) -> None:
    parts = [part async for part in foreign.reply(FRANCE)]
    assert foreign.model == "small"
    assert "Paris" in text(parts) and parts[-1].prompt_tokens > 0


async def test_a_tool_that_is_wanted_is_called_by_a_foreign_server(foreign: OpenAiLanguageModel) -> None:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
    tool = Tool("get_weather", "The weather in a city", city)
    question = (ChatMessage("user", "What is the weather in Paris?"),)
    prompt = Prompt(question, max_tokens=60, temperature=0.0, tools=(tool,), tool_choice="get_weather")
    parts = [part async for part in foreign.reply(prompt)]
    assert {part.name for part in parts if isinstance(part, ToolCallDelta) and part.name} == {"get_weather"}


async def test_a_foreign_server_stops_computing_when_the_answer_is_not_wanted_any_more(vllm_server: str) -> None:
    engine = OpenAiLanguageModel(f"{vllm_server}/v1", timeouts=WAITS, extra={"ignore_eos": True})
    await engine.warm()
    before = await told_by(vllm_server, "generation_tokens_total")
    async with aclosing(engine.reply(Prompt((ChatMessage("user", "Tell me a long story."),), max_tokens=LONG))) as parts:
        await anext(parts)
    await eventually(lambda: told_by(vllm_server, "num_requests_running"), 0.0)
    assert await told_by(vllm_server, "generation_tokens_total") - before < LONG
    await engine.close()


async def told_by(server: str, metric: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        told = (await client.get(f"{server}/metrics", timeout=120)).text
    return sum(float(line.split()[-1]) for line in told.splitlines() if line.startswith(f"vllm:{metric}"))
