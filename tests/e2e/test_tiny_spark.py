"""The Spark's own engines (NeMo, vLLM, Kokoro in PyTorch) with small models on the CPU, from a spoken phrase to spoken words."""

from pathlib import Path

import pytest

from tests.e2e.caller import RATE, calling
from tests.e2e.test_conversation import a_turn, said_in, transcribed
from tests.real_server import running
from tests.recordings import word_error_rate

pytestmark = [pytest.mark.e2e, pytest.mark.own_server]


async def test_a_spoken_phrase_is_understood_and_answered_aloud(tmp_path: Path) -> None:
    with running(tmp_path / "log.txt", "tiny-spark") as url:
        async with calling(url) as caller:
            heard, response = await a_turn(caller, "capital_of_france.wav")
            assert word_error_rate("What is the capital of France?", heard) == 0
            assert response["status"] == "completed"
            spoken = await transcribed(caller.audio_of(response["id"]), RATE)
            assert word_error_rate(said_in(response), spoken) <= 0.35
            caller.invariants.finish()
