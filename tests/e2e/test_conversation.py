"""A spoken question gets a spoken answer: real Ray Serve, real engines, the official `openai` client and the project's own command."""

import asyncio
import base64
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
import websockets

from serve_app.engines import Audio as Heard
from serve_app.engines import Begin, End, Final
from tests.e2e.caller import AUDIO, PATIENCE_S, RATE, Caller, Loudspeaker, calling
from tests.recordings import word_error_rate

pytestmark = pytest.mark.e2e
BIN = Path(sys.executable).parent


async def transcribed(pcm: np.ndarray, rate: int) -> str:
    """By Moonshine, in this process."""
    from deployments.engines import create
    from serve_app.audio import Resampler
    from serve_app.listening import Listening

    listening = Listening(create("recogniser", "moonshine"))
    await listening.warm()
    ear = await listening.open("check")
    resampler = Resampler(rate, 16_000)
    ear.send(Begin("answer"))
    ear.send(Heard("answer", np.concatenate((resampler.push(pcm), resampler.flush()))))
    ear.send(End("answer"))
    try:
        async for result in ear.results():
            if isinstance(result, Final):
                return result.text
    finally:
        await ear.close()
        await listening.close()
    raise AssertionError("no transcript")


def counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/debug/sessions", timeout=30) as answer:
        return json.loads(answer.read())


async def until_empty(url: str) -> dict[str, int]:
    """The counters, once they are all zero; as they are after some seconds otherwise."""
    for _ in range(60):
        if not any((now := await asyncio.to_thread(counts, url)).values()):
            break
        await asyncio.sleep(0.5)
    return now


async def a_turn(caller: Caller, name: str) -> tuple[str, dict]:
    """What was understood, and the response."""
    caller.says(name)
    heard = await caller.gets("conversation.item.input_audio_transcription.completed")
    done = await caller.gets("response.done")
    return heard["transcript"], done["response"]


def said_in(response: dict) -> str:
    return "".join(part.get("transcript") or "" for item in response["output"] for part in item["content"])


async def test_talk_answers_a_recorded_question_aloud(real_server: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer.wav"
    command = [str(BIN / "sparkvox"), "talk", str(AUDIO / "capital_of_france.wav"), "--out", str(answer), "--url", real_server]
    talk = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=300)
    assert talk.returncode == 0, talk.stderr
    assert "capital of france" in talk.stdout.lower()
    assert "Paris" in talk.stdout
    pcm, rate = soundfile.read(answer, dtype="int16")
    text = next(line for line in talk.stdout.splitlines() if "Paris" in line).split(":", 1)[-1]
    assert word_error_rate(text, await transcribed(pcm, rate)) <= 0.2


async def test_the_official_client_has_a_conversation_whose_third_turn_interrupts_the_second(real_server: str) -> None:
    async with calling(real_server) as caller:
        heard, first = await a_turn(caller, "capital_of_france.wav")
        assert "capital of france" in heard.lower()
        assert "Paris" in said_in(first) and first["status"] == "completed"
        spoken = await transcribed(caller.audio_of(first["id"]), RATE)
        assert word_error_rate(said_in(first), spoken) <= 0.2

        caller.says("tell_a_story.wav")
        second_id = (await caller.gets("response.created"))["response"]["id"]
        await caller.gets("response.output_audio.delta")
        caller.says("colour_of_the_sky.wav")
        started = await caller.gets("input_audio_buffer.speech_started")
        second = (await caller.gets("response.done"))["response"]
        assert (second["id"], second["status"], second["status_details"]["reason"]) == (second_id, "cancelled", "turn_detected")
        at = caller.events.index(started)
        assert not [one for one in caller.events[at:] if one["type"] == "response.output_audio.delta" and one["response_id"] == second_id]

        # On a slow machine the words may be there before the answer has ended.
        heard = (await caller.gets("conversation.item.input_audio_transcription.completed", after=started))["transcript"]
        created = await caller.gets("response.created", after=started)
        third = (await caller.gets("response.done", after=created))["response"]
        assert "sky" in heard.lower() and third["status"] == "completed" and said_in(third)
        await caller.gets("rate_limits.updated")
        caller.invariants.finish()
    assert await until_empty(real_server) == {"sessions": 0, "leases": 0, "utterances": 0}


async def test_an_answer_that_comes_back_through_the_loudspeaker_is_not_taken_for_the_user(real_server: str) -> None:
    loudspeaker = Loudspeaker(lag_s=0.12, level_db=-12)
    async with calling(real_server, loudspeaker) as caller:
        _, response = await a_turn(caller, "capital_of_france.wav")
        assert response["status"] == "completed" and len(caller.audio_of(response["id"])) > RATE
        async with asyncio.timeout(PATIENCE_S):
            await loudspeaker.quiet.wait()
        await caller.connection.input_audio_buffer.clear()
        await caller.gets("input_audio_buffer.cleared")  # all that was heard before has been dealt with
        assert [event["type"] for event in caller.events].count("input_audio_buffer.speech_started") == 1


async def test_bad_input_of_one_client_is_no_concern_of_another(real_server: str) -> None:
    address = real_server.replace("http", "ws") + "/v1/realtime"
    async with calling(real_server) as caller, websockets.connect(address, max_size=None) as rude:
        codes = []
        await rude.recv()
        append = '{"type": "input_audio_buffer.append", "audio": "%s"}'
        for raw in ("{", '{"type": "nonsense"}', append % "$", append % "AAAA"):
            await rude.send(raw)
            codes.append(json.loads(await rude.recv())["error"]["code"])
        assert codes == ["invalid_json", "invalid_event", "invalid_value", "invalid_value"]
        silence = base64.b64encode(bytes(15 * 1024 * 1024)).decode()
        await rude.send(json.dumps({"type": "input_audio_buffer.append", "audio": silence}))
        await rude.send('{"type": "input_audio_buffer.clear"}')
        assert json.loads(await asyncio.wait_for(rude.recv(), 120))["type"] == "input_audio_buffer.cleared"
        await rude.send("x" * 21 * 1024 * 1024)
        refused = json.loads(await asyncio.wait_for(rude.recv(), 120))
        assert (refused["type"], refused["error"]["code"]) == ("error", "message_too_long")
        heard, response = await a_turn(caller, "capital_of_france.wav")
        assert "capital of france" in heard.lower() and response["status"] == "completed"
    assert await until_empty(real_server) == {"sessions": 0, "leases": 0, "utterances": 0}


async def test_a_client_that_vanishes_in_mid_answer_leaves_nothing_behind(real_server: str) -> None:
    async with calling(real_server) as caller:
        caller.says("tell_a_story.wav")
        await caller.gets("response.output_audio.delta")
        caller.connection._connection.transport.abort()
    assert await until_empty(real_server) == {"sessions": 0, "leases": 0, "utterances": 0}


async def test_two_clients_at_once_each_get_their_own_answer(real_server: str) -> None:
    async with calling(real_server) as one, calling(real_server, output_modalities=["text"]) as other:
        (heard, first), (heard_too, second) = await asyncio.gather(
            a_turn(one, "capital_of_france.wav"), a_turn(other, "colour_of_the_sky.wav")
        )
    assert "france" in heard.lower() and "sky" in heard_too.lower()
    assert first["status"] == second["status"] == "completed"
    assert len(one.audio_of(first["id"])) > 0 and len(other.audio_of(second["id"])) == 0
