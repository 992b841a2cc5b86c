"""What all requests share: who comes in, what is refused and how, and that work ends with its client."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, InternalServerError, NotFoundError, RateLimitError

from serve_app.access import Access
from serve_app.admission import Door
from serve_app.engines import Engines
from serve_app.errors import EngineBusy, EngineGone
from serve_app.http.routes import Api, routes
from serve_app.realtime.session_object import Served
from serve_app.settings import Settings
from tests.fake_server import VOICES
from tests.http.conftest import Connect
from tests.recordings import BEST_OF_TIMES

RECORDING = (Path(__file__).parent.parent / "audio" / BEST_OF_TIMES.file).read_bytes()
SERVED = Served("small", "ear", "af_heart", VOICES)
CHAT = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
SPEECH = {"model": "tts", "voice": "af_heart", "input": "Hello there, how are you?", "response_format": "pcm"}


class Visit:
    """One request to a route, from a client that may leave."""

    def __init__(self, engines: Engines, path: str, body: dict[str, Any]) -> None:
        self.left = asyncio.Event()
        self.sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._body: list[bytes] = [json.dumps(body).encode()]
        settings = Settings.of({"profile": "fake"})
        api = Api(engines, SERVED, settings, Door.of(settings, Access(b"secret")))
        (route,) = (route for route in routes(api) if route.path == path)
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
        self.done = asyncio.create_task(route.app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if self._body:
            return {"type": "http.request", "body": self._body.pop(), "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.put_nowait(message)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_model_stops_writing_when_the_client_leaves_before_the_answer(stream: bool, engines: Engines) -> None:
    engines.language_model.gate.clear()
    visit = Visit(engines, "/v1/chat/completions", {**CHAT, "stream": stream})
    visit.left.set()
    await visit.done
    assert engines.language_model.prompts
    assert engines.language_model.live == 0
    assert visit.sent.empty()


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", {**CHAT, "stream": True}), ("/v1/audio/speech", SPEECH)])
async def test_work_stops_when_the_client_leaves_in_the_middle(path: str, body: dict[str, Any], engines: Engines) -> None:
    engine = engines.language_model if "chat" in path else engines.text_to_speech
    visit = Visit(engines, path, body)
    for _ in ("the start", "the first piece"):
        await visit.sent.get()
    engine.gate.clear()
    visit.left.set()
    await visit.done
    assert engine.live == 0


async def test_speech_that_fails_on_the_way_breaks_off(engines: Engines) -> None:
    engines.text_to_speech.error = EngineGone("lost")
    visit = Visit(engines, "/v1/audio/speech", SPEECH)
    with pytest.raises(EngineGone):
        await visit.done
    sent = [visit.sent.get_nowait() for _ in range(visit.sent.qsize())]
    assert sent[-1]["more_body"]


async def test_speech_without_an_engine_is_unavailable(connect: Connect, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(speech: object) -> object:
        raise EngineBusy("all replicas have as much as they take")

    monkeypatch.setattr(engines.text_to_speech, "speak", busy)
    with pytest.raises(InternalServerError) as refused:
        await connect().audio.speech.create(**SPEECH)
    assert (refused.value.status_code, refused.value.code) == (503, "engine_unavailable")
    assert refused.value.response.headers["retry-after"]


async def test_requests_beyond_the_limit_are_told_to_come_again(connect: Connect, engines: Engines) -> None:
    client = connect(**{"http.max_requests": 1})
    gate = engines.speech_to_text._recogniser.gate
    gate.shut()
    first = asyncio.create_task(client.audio.transcriptions.create(model="ear", file=("a.wav", RECORDING)))
    await gate.reached()
    with pytest.raises(RateLimitError) as refused:
        await client.chat.completions.create(**CHAT)
    assert refused.value.code == "rate_limit_exceeded"
    gate.open()
    await first
    assert await client.chat.completions.create(**CHAT)


async def test_other_paths_are_unknown_in_the_same_words(client: AsyncOpenAI) -> None:
    for path in ("/embeddings", "/audio/speech/more"):
        with pytest.raises(NotFoundError) as unknown:
            await client.post(path, cast_to=object, body={})
        assert unknown.value.code == "unknown_url"


async def test_models_and_voices_are_listed(client: AsyncOpenAI) -> None:
    models = [model.id async for model in client.models.list()]
    assert models == ["small", "ear", "fake"]
    assert (await client.models.retrieve("small")).id == "small"
    with pytest.raises(NotFoundError) as unknown:
        await client.models.retrieve("org/other")
    assert unknown.value.code == "model_not_found"
    voices = (await client.get("/audio/voices", cast_to=httpx.Response)).json()["data"]
    assert [voice["id"] for voice in voices] == list(VOICES)
    assert "marin" in voices[0]["aliases"]


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "code"),
    [
        ("chat/completions", {"content-type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
        ("chat/completions", {"content-type": "application/json"}, b"{", 400, "invalid_json"),
        ("chat/completions", {"content-type": "application/json"}, b"[]", 400, "invalid_value"),
        ("chat/completions", {"content-type": "application/json"}, b"{}", 400, "missing_required_parameter"),
        ("chat/completions", {"content-type": "application/json"}, b" " * 5_000_000, 413, "request_too_large"),
        ("chat/completions", {"content-type": "application/json", "origin": "http://there"}, b"{}", 403, "origin_not_allowed"),
        ("audio/transcriptions", {"content-type": "application/json"}, b"{}", 415, "unsupported_media_type"),
        ("audio/transcriptions", {"content-type": "multipart/form-data"}, b"x", 400, "invalid_form"),
        ("audio/transcriptions", {"content-type": "multipart/form-data; boundary=b"}, b"--b--\r\n", 400, "missing_required_parameter"),
    ],
)
async def test_what_is_no_request(path: str, headers: dict[str, str], body: bytes, status: int, code: str, client: AsyncOpenAI) -> None:
    async with httpx.AsyncClient() as plain:
        answer = await plain.post(f"{client.base_url}{path}", headers=headers, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert set(error) == {"message", "type", "param", "code"}
