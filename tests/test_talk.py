"""`sparkvox talk` against a server that speaks the protocol, and against what goes wrong."""

import argparse
import asyncio
import http
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from websockets.asyncio.server import ServerConnection, serve

from serve_app import talk
from serve_app.client import ConnectionLost, KeyRefused, ServerBusy, ServerRefused, connect, realtime_address, spoken_session
from serve_app.talk_device import DeviceSpeaker, NoSoundDevice, _sounddevice
from tests.fake_server import ANSWERS, HEARD, S_PER_LETTER, serving

Handler = Callable[[ServerConnection], Any]


@pytest.fixture
def server_url() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A second of stereo noise at 44.1 kHz: what the stand-in takes for speech."""
    noise = np.random.default_rng(1).normal(0, 0.2, (44_100, 2))
    soundfile.write(tmp_path / "question.wav", noise, 44_100)
    return tmp_path / "question.wav"


def run_talk(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    talk.add_arguments(parser)
    return talk.run(parser.parse_args([str(word) for word in words]))


def test_a_recorded_question_is_answered_in_text_sound_and_figures(
    server_url: str, question: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = tmp_path / "answer.wav"
    assert run_talk(question, "--url", server_url, "--out", answer) == 0
    printed = capsys.readouterr().out
    assert f"You:       {HEARD[0]}\nSparkvox:  {ANSWERS[0]}\n" in printed
    assert re.fullmatch(r" +1( +\d+){5} +7\.\d s", printed.splitlines()[-1])
    sound = soundfile.info(answer)
    assert (sound.samplerate, sound.channels) == (24_000, 1)
    assert sound.duration == pytest.approx(S_PER_LETTER * len(ANSWERS[0]), abs=0.5)


def test_the_second_recording_interrupts_the_first_answer(
    server_url: str, question: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = tmp_path / "answer.wav"
    assert run_talk(question, question, "--url", server_url, "--out", answer, "--interrupt-after", "0.5") == 0
    printed = capsys.readouterr().out
    assert printed.count("[interrupted after") == 1
    assert HEARD[1] in printed
    assert soundfile.info(answer).duration < S_PER_LETTER * (len(ANSWERS[0]) + len(ANSWERS[1])) - 2


def test_recordings_of_any_rate_come_out_as_mono_at_the_wires_rate(tmp_path: Path) -> None:
    t = np.arange(8_000) / 16_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), 16_000)
    pcm = talk.read_recording(tmp_path / "tone.wav")
    assert len(pcm) == 12_000
    strongest = np.argmax(np.abs(np.fft.rfft(pcm))) * 24_000 / len(pcm)
    assert strongest == pytest.approx(440, abs=2)


def test_a_file_that_is_no_sound_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "letter.wav").write_text("Dear Sir")
    assert run_talk(tmp_path / "letter.wav") == 1
    assert "letter.wav cannot be read as sound" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said_with_what_to_do(question: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run_talk(question, "--url", f"ws://127.0.0.1:{port}/v1/realtime") == 1
    assert "make serve" in capsys.readouterr().err


# --- the client, against servers that do one thing --------------------------------------------------------------------------------------


@pytest.fixture
async def server() -> AsyncIterator[Callable[..., Any]]:
    started = []

    async def start(handler: Handler, **settings: Any) -> str:
        running = await serve(handler, "127.0.0.1", 0, **settings)
        started.append(running)
        return f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1/realtime"

    yield start
    for running in started:
        running.close()
        await running.wait_closed()


async def test_a_refused_key_is_said(server: Callable[..., Any]) -> None:
    url = await server(lambda _: None, process_request=lambda websocket, _: websocket.respond(http.HTTPStatus.UNAUTHORIZED, ""))
    with pytest.raises(KeyRefused, match="--key"):
        async with connect(url):
            pass


async def test_the_key_travels_as_a_bearer_token(server: Callable[..., Any]) -> None:
    seen = []

    async def note(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        seen.append((websocket.request.headers["Authorization"], websocket.request.path))

    url = await server(note)
    with pytest.raises(ConnectionLost):
        async with connect(url, key="abc"):
            pass
    assert seen == [("Bearer abc", "/v1/realtime?sparkvox=timings")]


async def test_a_full_server_is_said() -> None:
    with serving(max_sessions=0) as url, pytest.raises(ServerBusy, match="try again"):
        async with connect(url):
            pass


async def test_a_server_that_closes_for_want_of_room_is_busy(server: Callable[..., Any]) -> None:
    url = await server(lambda websocket: websocket.close(1013, "full"))
    with pytest.raises(ServerBusy, match="try again"):
        async with connect(url):
            pass


async def test_an_error_event_ends_the_waiting(server: Callable[..., Any]) -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.send('{"type": "error", "error": {"message": "There is no voice x.", "code": "invalid_value"}}')
        await websocket.wait_closed()

    with pytest.raises(ServerRefused, match="There is no voice x."):
        async with connect(await server(refuse)):
            pass


async def test_a_typed_question_is_a_turn(server_url: str) -> None:
    async with connect(server_url, session=spoken_session(voice="af_heart")) as client:
        await client.say("What is the capital of France?")
        turn = await client.next_turn()
    assert (turn.user_text, turn.answer_text, turn.status) == ("What is the capital of France?", ANSWERS[0], "completed")
    assert turn.timings is not None
    assert turn.timings.endpoint_ms is None


async def test_a_recorded_voice_is_silent_between_its_recordings() -> None:
    voice = talk.RecordedVoice()
    frames = voice.frames()
    speaking = asyncio.create_task(voice.speak(np.ones(500, np.int16)))
    await asyncio.sleep(0)
    sent = np.concatenate([await anext(frames) for _ in range(3)])
    await speaking
    assert np.count_nonzero(sent) == 500
    assert np.all(sent[:500] == 1)


def test_an_address_may_be_the_servers_or_the_endpoints() -> None:
    assert realtime_address("http://127.0.0.1:8000") == "ws://127.0.0.1:8000/v1/realtime?sparkvox=timings"
    assert realtime_address("wss://voice.example/v1/realtime?model=x") == "wss://voice.example/v1/realtime?model=x&sparkvox=timings"


# --- the device -------------------------------------------------------------------------------------------------------------------------


def test_a_machine_without_sounddevice_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(NoSoundDevice, match="install sounddevice"):
        _sounddevice()


def test_the_loudspeaker_counts_what_it_was_asked_for_and_stops_at_once() -> None:
    speaker = DeviceSpeaker()
    speaker.play("a", np.full(300, 7, np.int16), now=0)
    speaker.play("b", np.full(500, 9, np.int16), now=0)
    block = np.empty((480, 1), np.int16)
    speaker.fill(block, 480, None, None)
    assert np.all(block[:300] == 7)
    assert np.all(block[300:] == 9)
    assert speaker.left_s(now=0) == 320 / 24_000
    assert speaker.stop(now=0) == {"a": 300, "b": 180}
    speaker.fill(block, 480, None, None)
    assert not block.any()
