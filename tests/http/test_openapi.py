"""The document of the API is valid, tells of every route, and tells the truth."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from starlette.routing import Mount, Route, WebSocketRoute

from deployments.front import Front, application
from serve_app.access import Access, new_key
from serve_app.admission import Door
from serve_app.http.described import DescribedRoute
from serve_app.session import SessionOptions
from serve_app.settings import Settings
from tests.fake_server import fakes, serving
from tests.http.test_exchange import CHAT, RECORDING, SERVED, SPEECH

UNTOLD = {"/openapi.json", "/docs", "/v1/realtime", "/v1/realtime/calls", "/v1/realtime/calls/{rest:path}", "/v1/{path:path}"}
"""What shows the document, and what only says that it is not here."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def document(server: str) -> dict[str, Any]:
    answer = httpx.get(server + "openapi.json", timeout=60)
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


@pytest.fixture
async def plain(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server, timeout=60) as client:
        yield client


def routes() -> list[Any]:
    settings = Settings.of({"profile": "fake"})
    front = Front(fakes(), SessionOptions(SERVED), settings, Door.of(settings, Access(b"secret")))

    async def nothing() -> dict[str, Any]:
        return {}

    return application(front, nothing, nothing).routes


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/"}]


def test_every_route_is_told_of_and_nothing_else(document: dict[str, Any]) -> None:
    told = {(path, method.upper()) for path, item in document["paths"].items() for method in item}
    there = {
        (route.path_format, method)
        for route in routes()
        if isinstance(route, DescribedRoute)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert told == there
    others = {route.path for route in routes() if isinstance(route, Route) and not isinstance(route, DescribedRoute)}
    assert others == UNTOLD
    assert all(isinstance(route, Route | Mount | WebSocketRoute) for route in routes())


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)


def test_requests_are_described_by_the_types_that_read_them(document: dict[str, Any]) -> None:
    def fields(path: str, media: str) -> dict[str, Any]:
        schema = document["paths"][path]["post"]["requestBody"]["content"][media]["schema"]
        return dict(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])

    speech = fields("/v1/audio/speech", "application/json")
    assert (speech["required"], speech["properties"]["input"]["maxLength"]) == (["input"], 4096)
    form = fields("/v1/audio/transcriptions", "multipart/form-data")
    assert (form["required"], form["properties"]["file"]["format"]) == (["file"], "binary")
    assert {"messages", "tools", "stop"} <= set(fields("/v1/chat/completions", "application/json")["properties"])
    assert set(fields("/v1/realtime/client_secrets", "application/json")["properties"]) == {"expires_after", "session"}


@pytest.mark.parametrize(
    ("method", "path", "of", "content"),
    [
        ("GET", "readyz", "/readyz", {}),
        ("GET", "debug/sessions", "/debug/sessions", {}),
        ("GET", "v1/models", "/v1/models", {}),
        ("GET", "v1/models?task=text-to-speech", "/v1/models", {}),
        ("GET", "v1/models/small", "/v1/models/{name}", {}),
        ("GET", "v1/models/other", "/v1/models/{name}", {}),
        ("GET", "v1/audio/voices", "/v1/audio/voices", {}),
        ("GET", "v1/audio/models", "/v1/audio/models", {}),
        ("POST", "v1/chat/completions", "/v1/chat/completions", {"json": CHAT}),
        ("POST", "v1/chat/completions", "/v1/chat/completions", {"json": {}}),
        ("POST", "v1/chat/completions", "/v1/chat/completions", {"content": b"{}"}),
        ("POST", "v1/audio/speech", "/v1/audio/speech", {"json": {**SPEECH, "voice": "nobody"}}),
        ("POST", "v1/audio/transcriptions", "/v1/audio/transcriptions", {"files": {"file": RECORDING}}),
        (
            "POST",
            "v1/audio/transcriptions",
            "/v1/audio/transcriptions",
            {"files": {"file": RECORDING}, "data": {"response_format": "verbose_json"}},
        ),
        ("POST", "v1/audio/transcriptions", "/v1/audio/transcriptions", {"files": {"file": b"no sound"}}),
        ("POST", "v1/audio/translations", "/v1/audio/translations", {"files": {"file": RECORDING}}),
        ("POST", "v1/realtime/client_secrets", "/v1/realtime/client_secrets", {"json": {}}),
        ("GET", "v1/realtime", "/v1/realtime", {}),
    ],
)
async def test_answers_are_as_it_says(
    method: str, path: str, of: str, content: dict[str, Any], plain: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    answer = await plain.request(method, path, **content)
    told = document["paths"][of][method.lower()]["responses"][str(answer.status_code)]
    schema = told["content"][answer.headers["content-type"].partition(";")[0]]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_sound_comes_as_one_of_the_types_that_it_names(form: str, plain: httpx.AsyncClient, document: dict[str, Any]) -> None:
    answer = await plain.post("v1/audio/speech", json={**SPEECH, "response_format": form})
    assert answer.headers["content-type"] in document["paths"]["/v1/audio/speech"]["post"]["responses"]["200"]["content"]


async def test_the_page_asks_nothing_of_another_server(plain: httpx.AsyncClient) -> None:
    page = await plain.get("docs")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert len(page.headers.get_list("content-security-policy")) == 1
    assert "http" not in page.headers["content-security-policy"]
    files = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    assert len(files) == 5
    for file in files:
        assert file.startswith("/")
        assert (await plain.get(file)).status_code == 200, file
    assert (await plain.get("docs/nothing.js")).status_code == 404


async def test_both_are_open_where_keys_are_asked_for_and_held_to_the_names_of_the_server() -> None:
    with serving(environment={"SPARKVOX_API_KEY": new_key()}) as keyed, serving() as keyless:
        async with httpx.AsyncClient() as client:
            for path in ("docs", "docs/", "openapi.json", "docs/swagger-ui.css"):
                assert (await client.get(keyed + path)).status_code == 200, path
                assert (await client.get(keyless + path, headers={"Host": "evil.example"})).status_code == 403, path
