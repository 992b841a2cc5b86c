"""An engine that loads but cannot produce output is never ready."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest

from deployments import proof
from deployments.engines.fake import FakeLanguageModel, FakeRecogniser, FakeTextToSpeech
from serve_app.engines import ReplyEnd, Sound, TextDelta
from serve_app.errors import EngineFailed, PromptTooLong
from serve_app.listening import Listening
from serve_app.settings import Settings
from tests.deployments.conftest import PATIENCE_S, eventually


class Muffled(FakeTextToSpeech):
    """As long as it should be, and all zeros: what a kernel that computes nothing leaves."""

    async def speak(self, speech: Any) -> AsyncIterator[Sound]:
        async for sound in super().speak(speech):
            yield Sound(np.zeros_like(sound.pcm))


class Breaking(FakeLanguageModel):
    """Its connection closes in mid-reply."""

    async def reply(self, prompt: Any) -> AsyncIterator[Any]:
        yield TextDelta("Hel")


class Mute(FakeLanguageModel):
    async def reply(self, prompt: Any) -> AsyncIterator[Any]:
        yield ReplyEnd("stop", 3, 0)


async def test_speech_that_is_heard_is_proof() -> None:
    pcm = await proof.speaks(FakeTextToSpeech(), "af_bella")
    assert len(pcm) > proof.SHORTEST_S * FakeTextToSpeech.sample_rate


async def test_a_voice_that_the_engine_does_not_have_is_no_reason_against_the_engine() -> None:
    engine = FakeTextToSpeech()
    await proof.speaks(engine, "nobody")
    assert engine.spoken[0].voice == engine.voices[0]


async def test_no_sound_is_no_proof() -> None:
    with pytest.raises(EngineFailed, match="0.00 s of sound"):
        await proof.speaks(FakeTextToSpeech(s_per_character=0), "af_heart")


async def test_silence_is_no_proof() -> None:
    with pytest.raises(EngineFailed, match="silence"):
        await proof.speaks(Muffled(), "af_heart")


async def test_words_are_proof() -> None:
    assert await proof.writes(FakeLanguageModel(["Good day to you."])) == "Good day to you."


async def test_a_model_whose_first_words_are_thoughts_has_written() -> None:
    class Thinking(FakeLanguageModel):
        async def reply(self, prompt: Any) -> AsyncIterator[Any]:
            yield ReplyEnd("length", 3, 0)

    assert await proof.writes(Thinking()) == ""


@pytest.mark.parametrize(("engine", "why"), [(Mute(), "wrote nothing"), (Breaking(), "did not end")])
async def test_a_model_that_writes_nothing_is_no_proof(engine: Any, why: str) -> None:
    with pytest.raises(EngineFailed, match=why):
        await proof.writes(engine)


async def test_a_context_too_short_for_a_word_is_no_proof() -> None:
    with pytest.raises(PromptTooLong):
        await proof.writes(FakeLanguageModel(context=0))


async def test_an_answer_to_noise_is_proof_of_hearing() -> None:
    listening = Listening(FakeRecogniser())
    assert await proof.hears(listening) == "heard 1.00 seconds"
    assert listening.sessions == listening.utterances == 0


async def test_a_step_that_fails_is_no_proof_of_hearing() -> None:
    with pytest.raises(EngineFailed, match="cannot hear: no kernel"):
        await proof.hears(Listening(FakeRecogniser([EngineFailed("no kernel image is available")])))


async def test_a_server_whose_voice_makes_no_sound_is_never_ready(cluster: int) -> None:
    from ray import serve

    from serve_app import graph

    settings = Settings.of({"profile": "fake", "tts.options": {"s_per_character": 0}})
    serve.run_many([serve.RunTarget(graph(settings), name="mute", route_prefix="/mute")], wait_for_applications_running=False)
    try:
        ready = []

        async def given_up() -> bool:
            ready.append(await _ready(cluster, "/mute"))
            return serve.status().applications["mute"].status == "DEPLOY_FAILED"

        await eventually(given_up, True, patience_s=5 * PATIENCE_S)  # three tries, with growing waits
        assert not any(ready)
        assert "0.00 s of sound" in serve.status().applications["mute"].deployments["TextToSpeech"].message
    finally:
        serve.delete("mute")


async def _ready(port: int, prefix: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        with suppress(httpx.HTTPError):
            return (await client.get(f"http://127.0.0.1:{port}{prefix}/readyz", timeout=5)).status_code == 200
    return False
