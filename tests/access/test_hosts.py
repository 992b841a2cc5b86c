"""By which names a server may be called: a page whose own name was made to point at this machine (DNS rebinding) gets nothing."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from serve_app.access import new_key
from serve_app.admission import known_host
from serve_app.errors import SettingsError
from serve_app.hosts import allowed_name, host_name
from serve_app.settings import Settings
from tests.access.conftest import PATIENCE_S
from tests.fake_server import serving

KEY = new_key()
PATHS = ["", "main.js", "healthz", "readyz", "debug/sessions", "v1/models", "v1/audio/voices", "v1/nothing", "nothing"]
OWN = ["localhost", "LocalHost:8000", "localhost.", "localhost.:1", "127.0.0.1", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000"]
FOREIGN = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "evil.localhost",
    "127.0.0.1.evil.example",
    "evil127.0.0.1",
    "192.0.2.7",
    "0.0.0.0:8000",
    "[2001:db8::7]",
    "127.1",
    "2130706433",
]
BROKEN = ["", ":8000", "a b", "localhost@evil.example", "localhost/evil", "localhost,evil.example", "[::1", "::1", "[localhost]", ".."]
BROKEN += ["localhost:x", "localhost:8000:8000", "localhost..", "lo\u212aalhost"]


def statuses(server: str, head: bytes) -> tuple[int, dict[str, object]]:
    """What the server answers to these bytes: the status, and the error object."""
    place = urlsplit(server)
    with socket.create_connection((place.hostname, place.port), PATIENCE_S) as line:
        line.sendall(head)
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    top, _, body = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)["error"] if body.startswith(b'{"error"') else {}


def rebound(server: str, host: str, path: str, **how: Any) -> connect:
    """A websocket to the server, which is called `host`."""
    place = urlsplit(server)
    return connect(f"ws://{host}/{path}", host=place.hostname, port=place.port, proxy=None, open_timeout=PATIENCE_S, **how)


@pytest.fixture(scope="module")
def keyless() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.mark.parametrize("host", OWN)
async def test_a_server_without_keys_is_called_by_the_names_of_this_machine(host: str, keyless: str) -> None:
    async with httpx.AsyncClient(headers={"Host": host}) as client:
        assert (await client.get(keyless + "v1/models")).status_code == 200
    async with rebound(keyless, host, "v1/realtime") as line:
        assert json.loads(await line.recv())["type"] == "session.created"


@pytest.mark.parametrize("host", FOREIGN)
async def test_and_by_no_other_whatever_is_asked_for(host: str, keyless: str) -> None:
    async with httpx.AsyncClient(headers={"Host": host, "Origin": f"http://{host}"}) as page:
        for path in PATHS:
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                assert (await page.request(method, keyless + path)).status_code == 403, (method, path)
        error = (await page.get(keyless + "v1/models")).json()["error"]
    assert (error["code"], set(error)) == ("host_not_allowed", {"message", "type", "param", "code"})
    assert f"gateway.hosts={host_name(host)}" in error["message"]
    for path in ("v1/realtime", "v1/nothing", "nothing"):
        for protocols in (None, ["realtime"]):
            with pytest.raises(InvalidStatus) as shut:
                await rebound(keyless, host, path, subprotocols=protocols, origin=f"http://{host}")
            assert shut.value.response.status_code == 403
            assert json.loads(shut.value.response.body)["error"]["code"] == "host_not_allowed"


def test_a_request_names_the_server_once(keyless: str) -> None:
    for hosts in (b"", b"Host: localhost\r\nHost: localhost\r\n", b"Host: localhost\r\nHost: evil.example\r\n"):
        for version in (b"1.0", b"1.1"):
            status, _ = statuses(keyless, b"GET /v1/models HTTP/%b\r\n%bConnection: close\r\n\r\n" % (version, hosts))
            assert status == 400, (hosts, version)


def test_an_absolute_address_in_the_first_line_does_not_go_around_the_header(keyless: str) -> None:
    status, error = statuses(keyless, b"GET http://localhost/v1/models HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    assert (status, error["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize("forwarded", ["x-forwarded-host", "forwarded", "x-host", "x-original-host"])
async def test_no_other_header_names_the_server(forwarded: str, keyless: str) -> None:
    async with httpx.AsyncClient(headers={"Host": "evil.example", forwarded: "localhost"}) as client:
        assert (await client.get(keyless + "v1/models")).status_code == 403


async def test_names_from_the_settings_pass_and_their_own_pages_with_them() -> None:
    with serving(**{"gateway.hosts": "Voice.Example.org.:8443,*.lan"}) as address:
        for host in ("voice.example.org", "voice.example.org:8443", "box.lan", "localhost"):
            async with httpx.AsyncClient(headers={"Host": host, "Origin": f"https://{host}"}) as page:
                asked = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
                assert (await page.post(address + "v1/chat/completions", json=asked)).status_code == 200, host
        for host in ("example.org", "lan", "other.example.org", "192.0.2.7"):
            async with httpx.AsyncClient(headers={"Host": host}) as page:
                assert (await page.get(address)).status_code == 403, host


@pytest.mark.parametrize("hosts", [{}, {"gateway.hosts": "voice.example.org"}])
async def test_a_server_for_other_machines_is_held_to_names_where_some_are_set(hosts: dict[str, str]) -> None:
    with ExitStack() as servers:
        keyed = servers.enter_context(serving(environment={"SPARKVOX_API_KEY": KEY}, **hosts))
        opened = servers.enter_context(serving(**{"gateway.open_to_all": True, **hosts}))
        for address in (keyed, opened):
            for host, listed in {"voice.example.org": True, "192.0.2.7:8000": True, "[2001:db8::7]": True, "other.example": False}.items():
                async with httpx.AsyncClient(headers={"Host": host, "Authorization": f"Bearer {KEY}"}) as client:
                    assert (await client.get(address + "v1/models")).status_code == (200 if listed or not hosts else 403), host


async def test_with_a_key_the_page_is_known_by_the_name_that_it_was_called_by() -> None:
    with serving(environment={"SPARKVOX_API_KEY": KEY}) as address:
        for origin, status in (("https://voice.example.org", 404), ("https://evil.example", 403)):
            headers = {"Host": "voice.example.org", "Origin": origin, "Authorization": f"Bearer {KEY}"}
            async with httpx.AsyncClient(headers=headers) as page:
                assert (await page.post(address + "v1/audio/translations")).status_code == status


async def test_any_name_passes_where_that_was_said() -> None:
    with serving(**{"gateway.hosts": "*"}) as address:
        async with httpx.AsyncClient(headers={"Host": "anything.example"}) as client:
            assert (await client.get(address)).status_code == 200


@pytest.mark.parametrize("host", BROKEN)
def test_what_is_no_host(host: str) -> None:
    assert host_name(host) is None
    assert not known_host("", ("*.example.org",), beyond_loopback=False)


@pytest.mark.parametrize(
    ("given", "compared"),
    [
        ("Voice.Example.org", "voice.example.org"),
        ("*.lan", "*.lan"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]:1", "2001:db8::7"),
        ("*", "*"),
    ],
)
def test_a_name_in_the_settings_is_compared_as_clients_send_it(given: str, compared: str) -> None:
    assert allowed_name(given) == compared
    assert Settings.of({"profile": "fake", "gateway.hosts": given}).gateway.hosts == (compared,)


@pytest.mark.parametrize("given", ["https://voice.example.org", "voice.example.org/", "*.", "*x", "a b", "", "*.127.0.0.1"])
def test_a_name_in_the_settings_that_no_client_could_send_is_refused(given: str) -> None:
    with pytest.raises(SettingsError, match=r"gateway\.hosts"):
        Settings.of({"profile": "fake", "gateway.hosts": given})


async def test_a_path_writes_no_line_of_its_own_into_the_log(keyless: str, caplog: pytest.LogCaptureFixture) -> None:
    async with httpx.AsyncClient(headers={"Host": "evil.example"}) as client:
        assert (await client.get(keyless + "a%0aERROR%20all%20is%20lost")).status_code == 403
    (line,) = [record.getMessage() for record in caplog.records if record.name == "deployments.guard"]
    assert "\n" not in line
