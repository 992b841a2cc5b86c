"""The Spark's own engines (NeMo, vLLM, Kokoro in PyTorch) with small models on the CPU, from a spoken phrase to spoken words."""

from pathlib import Path

import httpx
import pytest

from tests.e2e.caller import RATE, calling
from tests.e2e.test_conversation import a_turn, said_in, transcribed
from tests.real_server import running
from tests.recordings import AUDIO, word_error_rate

pytestmark = [pytest.mark.e2e, pytest.mark.own_server]

UNKNOWN, UNKNOWN_WORDS = "everything.wav", "We had everything before us, we had nothing before us."


async def test_a_spoken_phrase_is_understood_and_answered_aloud(tmp_path: Path) -> None:
    with running(tmp_path / "log.txt", "tiny-spark", "stt.routes.kn=moonshine") as url:
        async with calling(url) as caller:
            caller.is_silent(0.5)  # the model was taught phrases with some silence before them, as an open microphone gives it
            heard, response = await a_turn(caller, "capital_of_france.wav")
            assert word_error_rate("What is the capital of France?", heard) == 0
            assert response["status"] == "completed"
            spoken = await transcribed(caller.audio_of(response["id"]), RATE)
            assert word_error_rate(said_in(response), spoken) <= 0.35
            caller.invariants.finish()
        await _a_routed_language_is_heard_by_its_own_engine(url)


async def _a_routed_language_is_heard_by_its_own_engine(url: str) -> None:
    """The small model knows some dozens of phrases and not this one, which Moonshine does, whatever language it is told."""
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as client:

        async def heard(**more: str) -> str:
            files = {"file": ("speech.wav", (AUDIO / UNKNOWN).read_bytes())}
            answer = await client.post("/v1/audio/transcriptions", files=files, data={"model": "whisper-1", **more})
            return str(answer.raise_for_status().json()["text"])

        assert word_error_rate(UNKNOWN_WORDS, await heard(language="kn")) < 0.2
        assert word_error_rate(UNKNOWN_WORDS, await heard(language="en")) > 0.5
