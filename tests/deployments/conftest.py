"""One Ray cluster and one Serve for the whole folder, with fake engines; started once, because that takes most of the time."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from serve_app import serving
from serve_app.settings import Settings

FAKE = Settings.of({"profile": "fake", "stt.max_sessions": 3, "session.max_sessions": 2})
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Parts:
    """Handles of the three deployments that have a window (watched.py)."""

    stt: Any
    llm: Any
    tts: Any


@pytest.fixture(scope="package")
def cluster() -> Iterator[int]:
    """The port of Serve's proxy, which is the one that users get."""
    before = dict(os.environ)
    serving.prepare(os.environ, FAKE, serving.best_proxy())
    try:
        yield from _cluster()
    finally:
        os.environ.clear()
        os.environ.update(before)


def _cluster() -> Iterator[int]:
    import ray
    from ray import serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    serving.start_ray(num_cpus=2)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    yield port
    serve.shutdown()
    ray.shutdown()


@pytest.fixture(scope="package")
def server(cluster: int) -> str:
    """The application as it is deployed, fakes for engines; its address without a scheme."""
    from ray import serve

    from serve_app import graph

    serve.run(graph(FAKE), name="sparkvox", route_prefix="/")
    return f"127.0.0.1:{cluster}"


@pytest.fixture(scope="package")
def parts(cluster: int) -> Parts:
    from ray import serve

    from tests.deployments import watched

    def run(deployment: type, settings: Any) -> Any:
        light = serve.deployment(deployment, ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32)
        return serve.run(light.bind(settings), name=deployment.__name__, route_prefix=None)

    return Parts(
        run(watched.WatchedSpeechToText, FAKE.stt),
        run(watched.WatchedLanguageModel, FAKE.llm),
        run(watched.WatchedTextToSpeech, FAKE.tts),
    )


async def eventually(what: Callable[[], Awaitable[Any]], expected: Any, patience_s: float = PATIENCE_S, every_s: float = 0.01) -> None:
    """Other processes take their time, and nothing tells when they are done."""
    async with asyncio.timeout(patience_s):
        while await what() != expected:  # noqa: ASYNC110
            await asyncio.sleep(every_s)
