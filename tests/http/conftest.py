from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack

import pytest
from openai import AsyncOpenAI

from serve_app.engines import Engines
from tests.fake_server import fakes, serving

Connect = Callable[..., AsyncOpenAI]


@pytest.fixture
def engines() -> Engines:
    """A test that wants others overrides it, or changes what these say."""
    return fakes()


@pytest.fixture
async def connect(engines: Engines) -> AsyncIterator[Connect]:
    """The official client of a server with these engines and the settings that are given."""
    clients: list[AsyncOpenAI] = []
    with ExitStack() as servers:

        def connect(**settings: object) -> AsyncOpenAI:
            address = servers.enter_context(serving(engines=engines, **settings))
            clients.append(AsyncOpenAI(base_url=f"{address}v1", api_key="none", max_retries=0))
            return clients[-1]

        yield connect
        for client in clients:
            await client.close()


@pytest.fixture
def client(connect: Connect) -> Iterator[AsyncOpenAI]:
    yield connect()
