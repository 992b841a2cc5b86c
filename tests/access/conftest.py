"""A server that asks for a key, and the official client of it."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.asyncio.client import ClientConnection, connect

from serve_app.access import digest_of, new_key
from tests.fake_server import serving

PATIENCE_S = 20.0
KITCHEN, PHONE, STRANGER = new_key(), new_key(), new_key()


@dataclass(frozen=True, slots=True)
class House:
    """A running server."""

    url: str

    def client(self, key: str = KITCHEN) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}v1", api_key=key, max_retries=0)

    @property
    def socket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}v1/realtime"

    @asynccontextmanager
    async def socket(self, bearer: str | None = None, **how: Any) -> AsyncIterator[ClientConnection]:
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        async with connect(self.socket_url, additional_headers=headers, proxy=None, open_timeout=PATIENCE_S, **how) as socket:
            yield socket


Open = Callable[..., House]


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Open]:
    """Opens a server with a key for the kitchen and one for the phone; `phone`: what the latter may have."""
    with ExitStack() as servers:

        def open_house(phone: str = "", **settings: Any) -> House:
            file = tmp_path / "sparkvox.keys"
            file.write_text(f"kitchen:{digest_of(KITCHEN)}\nphone:{digest_of(PHONE)} {phone}\n")
            return House(servers.enter_context(serving(**{"gateway.keys_file": file, **settings})))

        yield open_house


@pytest.fixture
def house(open_house: Open) -> House:
    return open_house()


async def event(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next one of that kind."""
    while (found := json.loads(await socket.recv()))["type"] != kind:
        pass
    return dict(found)
