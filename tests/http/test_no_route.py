"""What a client is told whose address, method or kind of connection is wrong."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from openai import AsyncOpenAI, NotFoundError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serve_app.access import new_key
from tests.access.conftest import PATIENCE_S
from tests.fake_server import serving
from tests.http.test_exchange import CHAT, RECORDING, SPEECH

KEY = new_key()
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture(scope="module")
def keyed() -> Iterator[str]:
    with serving(environment={"SPARKVOX_API_KEY": KEY}) as address:
        yield address


@pytest.fixture
async def plain(server: str) -> Iterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server) as client:
        yield client


def error_of(answer: httpx.Response) -> dict[str, str | None]:
    """The error object, whose shape is the API's."""
    assert answer.headers["content-type"] == "application/json"
    (only,) = answer.json().items()
    assert only[0] == "error"
    assert set(only[1]) == {"message", "type", "param", "code"}
    assert only[1]["type"] == "invalid_request_error"
    return dict(only[1])


def socket_at(server: str, path: str, **how: object) -> connect:
    return connect(f"ws://{urlsplit(server).netloc}/{path}", proxy=None, open_timeout=PATIENCE_S, **how)


async def refused_socket(server: str, path: str, **how: object) -> tuple[int, dict[str, str | None]]:
    with pytest.raises(InvalidStatus) as shut:
        await socket_at(server, path, **how)
    response = shut.value.response
    return response.status_code, json.loads(response.body)["error"]


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "chat/completions", "/v1/chat/completions"),
        ("POST", "audio/speech", "/v1/audio/speech"),
        ("POST", "audio/transcriptions", "/v1/audio/transcriptions"),
        ("GET", "models", "/v1/models"),
        ("GET", "audio/voices", "/v1/audio/voices"),
        ("POST", "v1/v1/chat/completions", "/v1/chat/completions"),
        ("POST", "openai/v1/audio/speech", "/v1/audio/speech"),
        ("GET", "api/models/", "/v1/models"),
        ("GET", "realtime", "/v1/realtime"),
    ],
)
async def test_a_base_url_without_v1_or_with_more_is_told_so(method: str, path: str, meant: str, plain: httpx.AsyncClient) -> None:
    answer = await plain.request(method, path, json={} if method == "POST" else None)
    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (404, "unknown_url")
    assert f"It is at {meant}: the base URL of the client must end with /v1" in str(error["message"])


async def test_the_official_client_with_such_a_base_url_shows_it(server: str) -> None:
    async with AsyncOpenAI(base_url=server, api_key="none", max_retries=0) as client:
        with pytest.raises(NotFoundError, match="must end with /v1"):
            await client.chat.completions.create(**CHAT)


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "v1/audio/speech", "OPTIONS, POST"),
        ("GET", "v1/chat/completions", "OPTIONS, POST"),
        ("PUT", "v1/audio/transcriptions", "OPTIONS, POST"),
        ("DELETE", "v1/models/small", "GET, HEAD, OPTIONS"),
        ("POST", "v1/models", "GET, HEAD, OPTIONS"),
        ("PATCH", "v1/audio/voices/", "GET, HEAD, OPTIONS"),
        ("PROPFIND", "v1/models", "GET, HEAD, OPTIONS"),
        ("POST", "healthz", "GET, HEAD, OPTIONS"),
        ("POST", "", "GET, HEAD, OPTIONS"),
        ("DELETE", "main.js", "GET, HEAD, OPTIONS"),
        ("PUT", "v1/realtime", "GET, HEAD, OPTIONS, POST"),
        ("GET", "v1/realtime/client_secrets", "OPTIONS, POST"),
    ],
)
async def test_a_wrong_method_is_told_which_ones_are_right(method: str, path: str, allow: str, plain: httpx.AsyncClient) -> None:
    answer = await plain.request(method, path)
    assert (answer.status_code, answer.headers["allow"], error_of(answer)["code"]) == (405, allow, "method_not_allowed")
    asked = await plain.options(path)
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, allow, b"")


@pytest.mark.parametrize(
    "path", ["v1", "v1/", "v1/embeddings", "nothing", "a/b.js", "v1/audio", "v1/modelsx", "%00", "x" * 300, "..%2f..%2fpyproject.toml"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
async def test_what_is_nowhere_is_told_in_the_shape_of_the_api(method: str, path: str, plain: httpx.AsyncClient) -> None:
    answer = await plain.request(method, path)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "unknown_url")


@pytest.mark.parametrize("path", ["", "main.js", "healthz", "v1/models", "v1/models/small", "v1/audio/voices"])
async def test_head_is_get_without_the_body(path: str, plain: httpx.AsyncClient) -> None:
    head, get = await plain.head(path), await plain.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("spelled", ["{}/", "/{}", "{}//"])
async def test_slashes_too_many_do_no_harm(spelled: str, plain: httpx.AsyncClient) -> None:
    def path(of: str) -> str:
        return spelled.format(of).replace("v1/", "v1//", 1)

    for name in ("v1/models", "v1/models/small", "v1/audio/voices", "healthz", "readyz"):
        assert (await plain.get(path(name))).status_code == 200, name
    for name, asked in {"v1/chat/completions": CHAT, "v1/audio/speech": SPEECH}.items():
        assert (await plain.post(path(name), json=asked)).status_code == 200, name
    assert (await plain.post(path("v1/audio/transcriptions"), files={"file": RECORDING})).status_code == 200
    async with socket_at(str(plain.base_url), path("v1/realtime")) as line:
        assert json.loads(await line.recv())["type"] == "session.created"


@pytest.mark.parametrize("path", ["realtime", "v1/realtimes", "v1/realtime/sessions", "", "v1/models", "v1/v1/realtime", "openai/realtime"])
async def test_a_websocket_elsewhere_is_told_where_it_is(path: str, server: str) -> None:
    status, error = await refused_socket(server, path)
    assert (status, error["code"]) == (404, "unknown_url")
    assert "It is at /v1/realtime" in str(error["message"])
    async with socket_at(server, path, subprotocols=["realtime"]) as page:
        assert json.loads(await page.recv())["error"]["code"] == "unknown_url"
        with pytest.raises(ConnectionClosed) as closed:
            await page.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4404


@pytest.mark.parametrize("call_id", ["rtc_123", ""])
async def test_a_call_that_is_not_there_is_no_new_session(call_id: str, server: str) -> None:
    status, error = await refused_socket(server, f"v1/realtime?model=gpt-realtime&call_id={call_id}")
    assert (status, error["code"], error["param"]) == (404, "not_supported", "call_id")
    async with socket_at(server, f"v1/realtime?call_id={call_id}", subprotocols=["realtime"]) as page:
        assert json.loads(await page.recv())["error"]["param"] == "call_id"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "v1/realtime/calls", 404, "not_supported"),
        ("POST", "v1/realtime/calls/rtc_1/hangup", 404, "not_supported"),
        ("POST", "v1/realtime", 404, "not_supported"),
        ("GET", "v1/realtime", 426, "websocket_required"),
        ("POST", "v1/realtime/sessions", 404, "unknown_url"),
        ("POST", "v1/nothing", 404, "unknown_url"),
        ("GET", "v1/models", 403, "insufficient_permissions"),
        ("POST", "v1/chat/completions", 403, "insufficient_permissions"),
    ],
)
async def test_an_ephemeral_key_is_blamed_only_where_it_is_to_blame(method: str, path: str, status: int, code: str, keyed: str) -> None:
    async with httpx.AsyncClient(base_url=keyed) as client:
        made = await client.post("v1/realtime/client_secrets", json={}, headers={"authorization": f"Bearer {KEY}"})
        sdp = {"content-type": "application/sdp", "authorization": f"Bearer {made.json()['value']}"}
        answer = await client.request(method, path, content=b"v=0", headers=sdp)
        assert (answer.status_code, error_of(answer)["code"]) == (status, code)
        assert (await client.request(method, path, content=b"v=0")).status_code == 401


async def test_a_client_of_the_old_sessions_is_told_of_client_secrets(plain: httpx.AsyncClient) -> None:
    assert "POST /v1/realtime/client_secrets" in str(error_of(await plain.post("v1/realtime/sessions", json={}))["message"])


async def test_options_of_a_page_needs_no_key_and_gives_nothing_away(keyed: str) -> None:
    asks = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
    async with httpx.AsyncClient(base_url=keyed, headers=asks) as page:
        asked = await page.options("v1/chat/completions")
        assert asked.status_code == 204
        assert not [name for name in asked.headers if name.startswith("access-control")]
