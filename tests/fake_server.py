"""The gateway's routes and sessions on a port of this machine, with fake engines: what it hears and answers is scripted, the rest real."""

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import uvicorn

from deployments.engines.fake import FakeLanguageModel, FakeRecogniser, FakeTextToSpeech, FakeTurnDetector, FakeVoiceActivity, ReplyPart
from deployments.engines.webrtc_echo import cancellers
from deployments.front import Front, application
from serve_app import key_file
from serve_app.admission import Admission, Door
from serve_app.engines import Engines
from serve_app.listening import Listening
from serve_app.realtime.session_object import Served
from serve_app.session import SessionOptions
from serve_app.settings import Settings

VOICES = ("af_heart", "bf_emma", "bm_george")
S_PER_LETTER = 0.06

HEARD = ("What is the capital of France?", "And how many people live there?", "Thank you, that is enough.")
ANSWERS = (
    "The capital of France is Paris. It lies on the Seine, in the north of the country, and has been the capital since the tenth century.",
    "About two million people live in the city itself. Some twelve million live in and around it, which makes it one of the largest "
    "urban areas in Europe. The figures change a little every year.",
    "You are welcome.",
)


def fake_engines(
    heard: Sequence[str | Exception] = HEARD,
    answers: Sequence[ReplyPart | Sequence[ReplyPart]] = ANSWERS,
    s_per_letter: float = S_PER_LETTER,
) -> Engines:
    """Utterances are heard as `heard`, one after the other, and answered with `answers`."""
    return fakes(
        speech_to_text=Listening(FakeRecogniser(heard)),
        language_model=FakeLanguageModel(answers),
        text_to_speech=FakeTextToSpeech(VOICES, s_per_letter),
    )


@contextmanager
def serving(
    max_sessions: int = 4, engines: Engines | None = None, environment: Mapping[str, str] | None = None, **settings: Any
) -> Iterator[str]:
    """Gives its http address. Utterances are heard as `HEARD`, one after the other, and answered with `ANSWERS`, or as `engines` do.
    `environment`: where keys may be."""
    listener = socket.create_server(("127.0.0.1", 0))
    typed = Settings.of({"profile": "fake", **settings})
    app = partial(_app, max_sessions, engines or fakes(), typed, environment or {})
    longest = 2 * typed.session.max_message_bytes  # as patches/uvicorn_limits.py has it
    server = uvicorn.Server(uvicorn.Config(app, factory=True, log_level="warning", ws="websockets-sansio", ws_max_size=longest))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


def fakes(**changed: Any) -> Engines:
    """The engines of a fake server, some of them others."""
    engines = Engines(
        voice_activity=FakeVoiceActivity(),
        turn_detector=FakeTurnDetector(),
        speech_to_text=Listening(FakeRecogniser(HEARD)),
        language_model=FakeLanguageModel(ANSWERS),
        text_to_speech=FakeTextToSpeech(VOICES, S_PER_LETTER),
    )
    return replace(engines, **changed)


def _app(max_sessions: int, engines: Engines, settings: Settings, environment: Mapping[str, str]) -> object:
    session = settings.session
    options = SessionOptions(
        Served("small", "ear", "af_heart", engines.text_to_speech.voices, speed=settings.tts.speed),
        longest_s=session.max_s,
        lead_s=session.lead_s,
        unsent_bytes=session.unsent_bytes,
        stalled_s=session.stalled_s,
        barge_in_s=session.barge_in_s,
        echo=cancellers() if session.echo else None,
    )
    door = replace(Door.of(settings, key_file.access(settings, environment)), sessions=Admission(max_sessions))
    front = Front(engines, options, settings, door)
    return application(front, _nothing_wrong, _counts)


async def _nothing_wrong() -> dict[str, str]:
    return {}


async def _counts() -> dict[str, int]:
    return {"sessions": 0, "utterances": 0}
