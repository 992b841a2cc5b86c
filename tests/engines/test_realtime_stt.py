"""Transcription over a Realtime socket: this project's own server, vLLM's own code over a model that is scripted, and small servers that
speak as NVIDIA's client expects or break off."""

import asyncio
import base64
from contextlib import asynccontextmanager

import numpy as np
import orjson
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from deployments.engines.fake import FakeRecogniser
from deployments.engines.realtime_stt import RealtimeTranscriber
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, End, Failed, Final, Hints, Partial, Word
from serve_app.errors import EngineFailed, EngineGone, SettingsError
from serve_app.listening import Listening
from serve_app.listening_apart import speech_to_text
from tests.engines.endpoint_script import on_a_port
from tests.fake_server import fakes, serving

SECOND = (1000 * np.sin(0.1 * np.arange(HEARING_RATE))).astype(np.int16)
TRANSCRIPTION = "conversation.item.input_audio_transcription"


@asynccontextmanager
async def ear_to(address, **options):
    engine = RealtimeTranscriber(address, "small", **options)
    listening = speech_to_text(engine)
    try:
        yield await listening.open("session")
    finally:
        await listening.close()
        await engine.close()


def speak(ear, name, pcm=SECOND):
    for start in range(0, len(pcm), 1600):
        ear.send(Audio(name, pcm[start : start + 1600]))


def say(ear, name, pcm=SECOND, hints=None):
    ear.send(Begin(name, hints or Hints()))
    speak(ear, name, pcm)
    ear.send(End(name))


async def outcome(ear):
    """The partials, and what came last."""
    partials = []
    async for result in ear.results():
        if not isinstance(result, Partial):
            return partials, result
        partials.append(result)


# --- this project's own server ------------------------------------------------------------------------------------------------------------


async def test_what_this_server_tells_before_the_end_of_a_text_is_a_stable_partial():
    """It tells nothing of an utterance before that was committed, as the protocol has it; then what it knows, then the rest."""
    recogniser = FakeRecogniser(["One two three four."])
    with serving(engines=fakes(speech_to_text=Listening(recogniser))) as address:
        async with ear_to(f"{address}v1") as ear:
            say(ear, "one")
            partials, final = await outcome(ear)
    assert final == Final("one", "One two three four.", 1.0)
    assert partials and all(final.text.startswith(partial.text) and partial.stable_chars == len(partial.text) for partial in partials)


async def test_hints_reach_the_recogniser():
    recogniser = FakeRecogniser(["Servus."])
    with serving(engines=fakes(speech_to_text=Listening(recogniser))) as address:
        async with ear_to(f"{address}v1") as ear:
            say(ear, "one", hints=Hints("de", "A talk about coffee.", ("Melange",)))
            await outcome(ear)
    assert recogniser.hints == [Hints("de", "A talk about coffee.", ("Melange",))]


async def test_an_utterance_that_fails_there_fails_here_with_the_reason():
    recogniser = FakeRecogniser([RuntimeError("out of memory")])
    with serving(engines=fakes(speech_to_text=Listening(recogniser))) as address:
        async with ear_to(f"{address}v1") as ear:
            say(ear, "one")
            _, failed = await outcome(ear)
    assert isinstance(failed, Failed) and "out of memory" in failed.reason


# --- servers that fail --------------------------------------------------------------------------------------------------------------------


def server(talk, *more):
    return Starlette(routes=[WebSocketRoute("/v1/realtime", talk), *more])


async def breaks_off(socket):
    await socket.accept()
    await socket.receive_json()
    await socket.close(1011, "no more memory")


async def says_nothing(socket):
    await socket.accept()
    async for _ in socket.iter_text():
        pass


async def says_rubbish(socket):
    await socket.accept()
    await socket.send_text("[1, 2]")
    async for _ in socket.iter_text():
        pass


async def refuses(socket):
    await socket.accept()
    await socket.send_json({"type": "error", "error": {"message": "The model `small` does not exist."}})
    async for _ in socket.iter_text():
        pass


async def test_a_dropped_utterance_ends_its_socket():
    heard, left = asyncio.Event(), asyncio.Event()

    async def listens(socket):
        await socket.accept()
        async for message in socket.iter_json():
            if message["type"] == "input_audio_buffer.append":
                heard.set()
        left.set()

    async with on_a_port(server(listens)) as address, ear_to(address) as ear:
        ear.send(Begin("one"))
        speak(ear, "one")
        await heard.wait()
        ear.send(Drop("one"))
        await left.wait()


@pytest.mark.parametrize(
    ("talk", "reason"),
    [
        (breaks_off, "1011"),
        (says_nothing, "no text within 0.3 s after the end of the utterance"),
        (says_rubbish, "no event of its protocol"),
        (refuses, "The model `small` does not exist."),
    ],
)
async def test_an_utterance_that_cannot_be_heard_fails_with_the_reason(talk, reason):
    async with on_a_port(server(talk)) as address, ear_to(address, timeouts={"first_s": 0.3}) as ear:
        say(ear, "one")
        _, failed = await outcome(ear)
    assert isinstance(failed, Failed) and reason in failed.reason


async def test_an_endpoint_without_realtime_says_so():
    async with on_a_port(Starlette()) as address:
        with pytest.raises(EngineFailed, match="ws://.*/v1/realtime.* answered 403|404"):
            await RealtimeTranscriber(address, "small").warm()


async def test_no_server_is_gone():
    with pytest.raises(EngineGone, match="see that a server answers there"):
        await RealtimeTranscriber("http://127.0.0.1:9/v1", "small").warm()


def test_a_dialect_that_there_is_not_is_refused():
    with pytest.raises(SettingsError, match="'deepgram'; there are openai, vllm, nim"):
        RealtimeTranscriber("http://127.0.0.1:9/v1", dialect="deepgram")


# --- NIM ----------------------------------------------------------------------------------------------------------------------------------


class Nim:
    """As nvidia-riva-client 2.27 expects its server: a secret for each session, a commit after each piece, `done` at the end."""

    def __init__(self):
        self.session = None
        self.samples = 0

    def application(self):
        mint = Route("/v1/realtime/transcription_sessions", self.mint, methods=["POST"])
        return server(self.talk, mint)

    async def mint(self, _):
        return JSONResponse({"id": "sess_1", "client_secret": {"value": "once"}})

    async def talk(self, socket):
        assert socket.scope["subprotocols"] == ["realtime", "realtime-token.once"]
        await socket.accept("realtime")
        await socket.send_json({"type": "conversation.created"})
        async for message in socket.iter_json():
            if message["type"] == "transcription_session.update":
                self.session = message["session"]
            elif message["type"] == "input_audio_buffer.append":
                self.samples += len(base64.b64decode(message["audio"])) // 2
            elif message["type"] == "input_audio_buffer.done":
                break
        words = [{"word": "morning.", "start_time": 300, "end_time": 800}]
        await socket.send_json({"type": f"{TRANSCRIPTION}.delta", "delta": "Good mourning"})
        await socket.send_json({"type": f"{TRANSCRIPTION}.completed", "transcript": "Good ", "is_last_result": False})
        await socket.send_json({"type": f"{TRANSCRIPTION}.delta", "delta": "morn"})
        final = {"transcript": "morning.", "is_last_result": True, "words_info": {"words": words}}
        await socket.send_json({"type": f"{TRANSCRIPTION}.completed", **final})


async def test_a_nim_is_spoken_to_as_its_own_client_does():
    nim = Nim()
    async with on_a_port(nim.application()) as address, ear_to(address, dialect="nim") as ear:
        say(ear, "one", hints=Hints("en-US", "", ("morning",)))
        _, final = await outcome(ear)
    assert final == Final("one", "Good morning.", 1.0, (Word("morning.", 0.3, 0.8),))
    assert nim.samples == HEARING_RATE
    assert nim.session["input_audio_transcription"] == {"language": "en-US", "model": "small"}
    assert nim.session["word_boosting"]["word_boosting_list"][0]["phrases"] == ["morning"]


def test_the_pieces_of_a_nim_are_put_together():
    from deployments.engines.realtime_dialects import Nim as Dialect

    dialect, texts = Dialect(), []
    for kind, field, text in [("delta", "delta", "Good mourning"), ("completed", "transcript", "Good "), ("delta", "delta", "morn")]:
        dialect.read({"type": f"{TRANSCRIPTION}.{kind}", field: text})
        texts.append((dialect.text, dialect.stable_chars))
    assert texts == [("Good mourning", 0), ("Good", 4), ("Good morn", 4)]
    dialect.read(orjson.loads(orjson.dumps({"type": f"{TRANSCRIPTION}.completed", "transcript": "Good morning.", "is_last_result": True})))
    assert dialect.final.text == "Good morning."
