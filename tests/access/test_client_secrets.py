"""Ephemeral keys: a web server makes one with its key, a browser opens a session with it that is already set."""

import random
import string
import time
from contextlib import suppress
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, PermissionDeniedError
from openai.types.realtime import ClientSecretCreateResponse
from websockets.exceptions import ConnectionClosed, InvalidStatus

from serve_app.access import MAX_EPHEMERAL_CHARS, Access, Key, SessionTooLong, digest_of
from tests.access.conftest import KITCHEN, PHONE, House, Open, event
from tests.fake_server import serving

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime",
    "instructions": "Sing every answer.",
    "output_modalities": ["text"],
    "tools": [{"type": "function", "name": "dim", "description": "Dims the light.", "parameters": {"type": "object", "properties": {}}}],
    "audio": {"input": {"turn_detection": None}, "output": {"voice": "bf_emma"}},
}


async def made(client: AsyncOpenAI, **asked: Any) -> ClientSecretCreateResponse:
    return await client.realtime.client_secrets.create(**asked)


async def test_a_session_begins_as_the_key_says(house: House) -> None:
    async with house.client() as client:
        secret = await made(client, session=SESSION)
    async with house.client(secret.value) as browser, browser.realtime.connect(model="gpt-realtime") as connection:
        created = await connection.recv()
        assert created.type == "session.created"
        session = created.session
        assert (session.instructions, session.output_modalities) == ("Sing every answer.", ["text"])
        assert session.audio.input.turn_detection is None
        assert session.audio.output.voice == "bf_emma"
        assert [tool.name for tool in session.tools] == ["dim"]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
        )
        await connection.response.create()
        kinds = [(await connection.recv()).type]
        while kinds[-1] != "response.done":
            kinds.append((await connection.recv()).type)
        assert "response.output_text.done" in kinds


async def test_what_is_answered_is_the_whole_session_and_when_the_key_ends(house: House) -> None:
    before = int(time.time())
    headers = {"Authorization": f"Bearer {KITCHEN}"}
    body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": SESSION}
    async with httpx.AsyncClient(headers=headers) as plain:
        answer = (await plain.post(house.url + "v1/realtime/client_secrets", json=body)).json()
    checked = ClientSecretCreateResponse.model_validate(answer, strict=True)
    assert before + 60 <= checked.expires_at <= int(time.time()) + 60
    assert answer["session"]["object"] == "realtime.session"
    assert answer["session"]["model"] == "small"
    assert answer["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


async def test_a_page_opens_its_session_with_a_subprotocol_and_so_often_as_it_likes(house: House) -> None:
    async with house.client() as client:
        secret = await made(client, session=SESSION)
    ids = set()
    for _ in range(2):
        async with house.socket(subprotocols=["realtime", f"openai-insecure-api-key.{secret.value}"]) as socket:
            session = (await event(socket, "session.created"))["session"]
            assert session["instructions"] == "Sing every answer."
            ids.add(session["id"])
    assert len(ids) == 2


async def test_a_key_for_transcription_opens_a_transcription_session(house: House) -> None:
    async with house.client() as client:
        secret = await made(client, session={"type": "transcription", "audio": {"input": {"transcription": {"language": "en"}}}})
        assert secret.session.type == "transcription"
        assert secret.session.object == "realtime.transcription_session"
    async with house.socket(secret.value) as socket:
        session = (await event(socket, "session.created"))["session"]
    assert (session["type"], session["audio"]["input"]["transcription"]["language"]) == ("transcription", "en")


@pytest.mark.parametrize("kind", ["realtime", "transcription"])
async def test_a_rate_that_a_format_has_not_is_refused_by_name(house: House, kind: str) -> None:
    session = {"type": kind, "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8_000}}}}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {KITCHEN}"}) as plain:
        answer = await plain.post(house.url + "v1/realtime/client_secrets", json={"session": session})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "session.audio.input.format.rate")


async def test_without_a_session_it_is_an_ordinary_one(house: House) -> None:
    async with house.client() as client:
        secret = await made(client)
    async with house.socket(secret.value) as socket:
        assert (await event(socket, "session.created"))["session"]["output_modalities"] == ["audio"]


async def test_an_ephemeral_key_opens_sessions_and_nothing_else(house: House) -> None:
    async with house.client() as client:
        secret = await made(client)
    async with house.client(secret.value) as browser:
        with pytest.raises(PermissionDeniedError) as refused:
            await made(browser)
        assert refused.value.code == "insufficient_permissions"
        with pytest.raises(PermissionDeniedError):
            await browser.models.list()


async def test_an_ephemeral_key_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house.client() as client:
        secret = await made(client, expires_after={"anchor": "created_at", "seconds": 10})
    now = time.time()
    monkeypatch.setattr("deployments.guard.time.time", lambda: now + 11)
    with pytest.raises(InvalidStatus) as shut:
        async with house.socket(secret.value):
            pass
    assert shut.value.response.status_code == 401
    async with house.socket(subprotocols=["realtime", f"openai-insecure-api-key.{secret.value}"]) as socket:
        assert "expired" in (await event(socket, "error"))["error"]["message"]


async def test_sessions_of_ephemeral_keys_are_sessions_of_the_key_that_made_them(open_house: Open) -> None:
    house = open_house(phone="sessions=1")
    async with house.client(PHONE) as client:
        first, second = await made(client), await made(client)
    async with house.socket(first.value) as one:
        await event(one, "session.created")
        async with house.socket(second.value) as another:
            assert (await event(another, "error"))["error"]["code"] == "rate_limit_exceeded"
            with pytest.raises(ConnectionClosed):
                await another.recv()


@pytest.mark.parametrize(
    ("asked", "code", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "invalid_value", "expires_after.seconds"),
        ({"expires_after": {"anchor": "never", "seconds": 60}}, "invalid_value", "expires_after.anchor"),
        ({"session": {"type": "realtime", "speed": 2}}, "unknown_parameter", "session.speed"),
        ({"session": {"type": "realtime", "audio": {"output": {"speed": 9}}}}, "invalid_value", "session.audio.output.speed"),
        ({"session": {"type": "song"}}, "invalid_value", "session.type"),
        ({"session": {"type": "realtime", "instructions": "".join(map(chr, range(0x4E00, 0x6000)))}}, "invalid_value", "session"),
        ({"more": 1}, "unknown_parameter", "more"),
    ],
)
async def test_what_no_session_could_be_is_refused_at_once(asked: Any, code: str, param: str, house: House) -> None:
    async with house.client() as client:
        with pytest.raises(BadRequestError) as refused:
            await client.post("/realtime/client_secrets", cast_to=object, body=asked)
    assert (refused.value.code, refused.value.param) == (code, param)


def longest_session() -> dict[str, Any]:
    """That fits into a key: of random letters, which cannot be compressed."""
    letters = "".join(random.Random(1).choices(string.ascii_letters, k=MAX_EPHEMERAL_CHARS))
    for length in range(len(letters), 0, -10):
        with suppress(SessionTooLong):
            session = {"type": "realtime", "instructions": letters[:length]}
            Access(b"secret").ephemeral(Key("kitchen", digest_of(KITCHEN)), session, int(time.time()))
            return session
    raise AssertionError("nothing fits")


async def test_the_longest_key_gets_through(house: House) -> None:
    """By the header of programs and by the one of pages, which other subprotocols share."""
    async with house.client() as client:
        secret = await made(client, session=longest_session())
    assert MAX_EPHEMERAL_CHARS - 30 < len(secret.value) <= MAX_EPHEMERAL_CHARS
    async with house.socket(secret.value) as socket:
        await event(socket, "session.created")
    offered = ["realtime", f"openai-insecure-api-key.{secret.value}", f"openai-organization.{'o' * 200}", f"openai-project.{'p' * 200}"]
    async with house.socket(subprotocols=offered) as socket:
        await event(socket, "session.created")


async def test_without_keys_anybody_may_make_one() -> None:
    with serving() as url:
        house = House(url)
        async with house.client("none") as client:
            secret = await made(client, session=SESSION)
        async with house.socket(secret.value) as socket:
            assert (await event(socket, "session.created"))["session"]["instructions"] == "Sing every answer."
