"""Keys through Serve's own door, where a refused handshake passes a proxy."""

import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from deployments import gateway
from serve_app.access import Access, Key, digest_of, new_key
from serve_app.errors import SettingsError
from serve_app.settings import Settings
from tests.deployments.conftest import PATIENCE_S

KEY = new_key()


@pytest.fixture(scope="module")
def keyed(cluster: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A second application beside the open one, below a path of its own; its address without a scheme."""
    from ray import serve

    from serve_app import graph

    file = tmp_path_factory.mktemp("keys") / "sparkvox.keys"
    file.write_text(f"kitchen:{digest_of(KEY)}\n")
    tiny = {f"{part}.num_cpus": 0.05 for part in ("stt", "llm", "tts", "gateway")}
    serve.run(graph(Settings.of({"profile": "fake", "gateway.keys_file": file, **tiny})), name="keyed", route_prefix="/keyed")
    yield f"127.0.0.1:{cluster}/keyed"
    serve.delete("keyed")


async def test_the_key_is_asked_for_below_another_path_too(keyed: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://{keyed}/", trust_env=False, timeout=PATIENCE_S) as client:
        assert (await client.get("v1/models")).status_code == 401
        assert (await client.get("debug/sessions")).status_code == 401
        assert (await client.get("healthz")).status_code == 200
        assert (await client.get("v1/models", headers={"Authorization": f"Bearer {KEY}"})).status_code == 200


async def test_a_handshake_without_a_key_is_answered_with_401(keyed: str) -> None:
    with pytest.raises(InvalidStatus) as shut:
        async with connect(f"ws://{keyed}/v1/realtime", proxy=None, open_timeout=PATIENCE_S):
            pass
    assert shut.value.response.status_code == 401
    assert json.loads(shut.value.response.body)["error"]["code"] == "invalid_api_key"


async def test_an_ephemeral_key_of_one_process_opens_a_session_in_another(keyed: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S, headers={"Authorization": f"Bearer {KEY}"}) as client:
        body = {"session": {"type": "realtime", "instructions": "Sing."}}
        made = (await client.post(f"http://{keyed}/v1/realtime/client_secrets", json=body)).json()
    offered = ["realtime", f"openai-insecure-api-key.{made['value']}"]
    async with connect(f"ws://{keyed}/v1/realtime", subprotocols=offered, proxy=None, open_timeout=PATIENCE_S) as socket:
        assert json.loads(await socket.recv())["session"]["instructions"] == "Sing."


def test_a_gateway_without_a_key_does_not_start_where_serve_listens_to_others(cluster: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.of({"profile": "fake"})
    gateway.must_not_be_open(settings, Access(b"secret"))
    monkeypatch.setattr(gateway, "listening_host", lambda: "0.0.0.0")
    with pytest.raises(SettingsError, match="sparkvox keys new"):
        gateway.must_not_be_open(settings, Access(b"secret"))
    gateway.must_not_be_open(settings, Access(b"secret", (Key("kitchen", digest_of(KEY)),)))
    gateway.must_not_be_open(Settings.of({"profile": "fake", "gateway.open_to_all": True}), Access(b"secret"))


def test_the_address_that_serve_listens_on_is_known(cluster: int) -> None:
    assert gateway.listening_host() == "127.0.0.1"
