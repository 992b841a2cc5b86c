"""Who comes in at a server that asks for keys: the official client, plain websockets, and what a browser sends."""

import asyncio
import base64
from pathlib import Path

import httpx
import pytest
from openai import APIStatusError, AuthenticationError, NotFoundError, RateLimitError
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serve_app import serving as command
from serve_app.errors import SettingsError
from tests.access.conftest import KITCHEN, PHONE, STRANGER, House, Open, event
from tests.fake_server import fakes, serving

CHAT = {"model": "small", "messages": [{"role": "user", "content": "Hello"}]}
WAV = Path(__file__).parent.parent / "audio" / "capital_of_france.wav"
PAGE = "http://app.example"


async def test_the_official_client_comes_in_with_its_key(house: House) -> None:
    async with house.client() as client:
        assert (await client.chat.completions.create(**CHAT)).choices[0].message.content
        async with client.realtime.connect(model="gpt-realtime") as connection:
            assert (await connection.recv()).type == "session.created"


async def test_the_official_client_is_told_that_its_key_is_wrong(house: House) -> None:
    async with house.client(STRANGER) as client:
        with pytest.raises(AuthenticationError) as refused:
            await client.chat.completions.create(**CHAT)
        assert (refused.value.code, refused.value.type) == ("invalid_api_key", "invalid_request_error")
        assert refused.value.response.headers["www-authenticate"].startswith("Bearer")
        with pytest.raises(InvalidStatus) as shut:
            await client.realtime.connect(model="gpt-realtime").enter()
    assert shut.value.response.status_code == 401
    assert b"invalid_api_key" in shut.value.response.body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "v1/models"),
        ("GET", "v1/models/small"),
        ("GET", "v1/audio/voices"),
        ("GET", "v1/something"),
        ("POST", "v1/audio/speech"),
        ("POST", "v1/audio/transcriptions"),
        ("POST", "v1/chat/completions"),
        ("POST", "v1/realtime/client_secrets"),
        ("GET", "debug/sessions"),
    ],
)
async def test_nothing_of_the_api_is_open(method: str, path: str, house: House) -> None:
    async with httpx.AsyncClient() as plain:
        assert (await plain.request(method, house.url + path)).status_code == 401


@pytest.mark.parametrize("path", ["healthz", "readyz", "", "main.js"])
async def test_the_probes_and_the_page_are_open(path: str, house: House) -> None:
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(house.url + path)).status_code == 200


async def test_the_key_may_come_in_the_header_of_azure_s_clients(house: House) -> None:
    async with httpx.AsyncClient(headers={"api-key": KITCHEN}) as plain:
        assert (await plain.get(house.url + "v1/models")).status_code == 200


async def test_a_page_gives_its_key_as_a_subprotocol(house: House) -> None:
    offered = ["realtime", f"openai-insecure-api-key.{KITCHEN}", "openai-beta.realtime-v1"]
    async with house.socket(subprotocols=offered) as socket:
        assert socket.subprotocol == "realtime"
        await event(socket, "session.created")


@pytest.mark.parametrize("offered", [["realtime"], ["realtime", f"openai-insecure-api-key.{STRANGER}"]])
async def test_a_page_with_a_wrong_key_is_told_in_an_event(offered: list[str], house: House) -> None:
    async with house.socket(subprotocols=offered) as socket:
        refused = (await event(socket, "error"))["error"]
        assert (refused["code"], refused["type"]) == ("invalid_api_key", "invalid_request_error")
        assert STRANGER not in refused["message"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (3000, "invalid_request_error.invalid_api_key")


async def test_a_program_without_a_key_gets_401_at_the_handshake(house: House) -> None:
    with pytest.raises(InvalidStatus) as shut:
        async with house.socket():
            pass
    assert shut.value.response.status_code == 401


async def test_without_keys_any_key_will_do() -> None:
    with serving() as url:
        async with House(url).client("none") as client, client.realtime.connect(model="gpt-realtime") as connection:
            assert (await connection.recv()).type == "session.created"
            assert [model.id async for model in client.models.list()]


async def test_sessions_of_one_key_have_an_end_and_others_still_come_in(open_house: Open) -> None:
    house = open_house(phone="sessions=1")
    async with house.socket(PHONE) as first, house.socket(KITCHEN) as other:
        await event(first, "session.created")
        await event(other, "session.created")
        async with house.socket(PHONE) as second:
            assert (await event(second, "error"))["error"]["code"] == "rate_limit_exceeded"
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013


async def test_pages_of_allowed_origins_may_use_the_http_api(open_house: Open) -> None:
    house = open_house(**{"gateway.origins": PAGE})
    asks = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-stainless-os"}
    async with httpx.AsyncClient() as browser:
        may = await browser.options(house.url + "v1/chat/completions", headers=asks)
        assert (may.status_code, may.headers["access-control-allow-origin"]) == (200, PAGE)
        assert "authorization" in may.headers["access-control-allow-headers"].lower()
        told = await browser.get(house.url + "v1/models", headers={"Origin": PAGE})
        assert (told.status_code, told.headers["access-control-allow-origin"]) == (401, PAGE)


@pytest.mark.parametrize("origins", ["", PAGE])
async def test_pages_of_other_origins_may_not(origins: str, open_house: Open) -> None:
    house = open_house(**({"gateway.origins": origins} if origins else {}))
    headers = {"Origin": "http://elsewhere.example", "Authorization": f"Bearer {KITCHEN}"}
    async with httpx.AsyncClient() as browser:
        may = await browser.options(house.url + "v1/chat/completions", headers={**headers, "Access-Control-Request-Method": "POST"})
        assert "access-control-allow-origin" not in may.headers
        assert (await browser.post(house.url + "v1/chat/completions", headers=headers, json=CHAT)).status_code == 403
    with pytest.raises(InvalidStatus):
        async with connect(house.socket_url, additional_headers=headers, proxy=None):
            pass


async def test_what_is_unknown_is_told_to_who_has_a_key(house: House) -> None:
    async with house.client() as client:
        with pytest.raises(NotFoundError):
            await client.post("/embeddings", cast_to=object, body={})


async def test_a_key_may_have_only_so_much_of_a_file_transcribed(open_house: Open) -> None:
    house = open_house(phone="audio_s_a_minute=0.01")
    wav = WAV.read_bytes()
    async with house.client(PHONE) as phone, house.client(KITCHEN) as kitchen:
        with pytest.raises(APIStatusError) as refused:
            await phone.audio.transcriptions.create(model="ear", file=("a.wav", wav))
        assert (refused.value.status_code, refused.value.code) == (429, "rate_limit_exceeded")
        assert (await kitchen.audio.transcriptions.create(model="ear", file=("a.wav", wav))).text


def test_a_server_for_the_network_does_not_start_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARKVOX_API_KEY", raising=False)
    with pytest.raises(SettingsError, match=r"gateway\.open_to_all"):
        command.settings_for(["profile=fake"], "0.0.0.0")
    assert command.settings_for(["profile=fake", "gateway.open_to_all=true"], "0.0.0.0").gateway.open_to_all
    monkeypatch.setenv("SPARKVOX_API_KEY", KITCHEN)
    assert command.settings_for(["profile=fake"], "0.0.0.0")


async def test_audio_beyond_the_limit_is_not_heard_and_the_session_goes_on(open_house: Open) -> None:
    house = open_house(phone="audio_s_a_minute=2")
    second = base64.b64encode(bytes(48_000)).decode()
    async with house.client(PHONE) as client, client.realtime.connect(model="gpt-realtime") as connection:
        for number in range(3):
            await connection.send({"type": "input_audio_buffer.append", "audio": second, "event_id": f"append_{number}"})
        refused = await connection.recv()
        while refused.type != "error":
            refused = await connection.recv()
        assert (refused.error.code, refused.error.type, refused.error.event_id) == ("rate_limit_exceeded", "rate_limit_error", "append_2")
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )
        await connection.response.create(response={"output_modalities": ["text"]})
        told = await connection.recv()
        while told.type != "rate_limits.updated":
            told = await connection.recv()
    (limit,) = told.rate_limits
    assert (limit.name, limit.limit) == ("tokens", 20)
    assert limit.remaining < 20
    assert limit.reset_seconds > 0


async def test_requests_of_one_key_at_once_have_an_end(open_house: Open) -> None:
    engines = fakes()
    house = open_house(phone="requests=1", engines=engines)
    gate = engines.speech_to_text._recogniser.gate
    gate.shut()
    async with house.client(PHONE) as phone, house.client(KITCHEN) as kitchen:
        first = asyncio.create_task(phone.audio.transcriptions.create(model="ear", file=("a.wav", WAV.read_bytes())))
        await gate.reached()
        with pytest.raises(RateLimitError) as refused:
            await phone.chat.completions.create(**CHAT)
        assert refused.value.code == "rate_limit_exceeded"
        assert await kitchen.chat.completions.create(**CHAT)
        gate.open()
        await first
        assert await phone.chat.completions.create(**CHAT)
