"""HTTP through Serve's proxy: what is made comes at once, and work ends with the client that asked for it. Fakes, held by a gate."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from serve_app import key_file
from tests.deployments.conftest import FAKE, PATIENCE_S, eventually
from tests.deployments.watched import WatchedLanguageModel, WatchedSpeechToText, WatchedTextToSpeech
from tests.recordings import BEST_OF_TIMES

APPLICATION, PREFIX = "watched", "/watched"
STORY = {"messages": [{"role": "user", "content": "tell me a long story"}]}
SPEECH = {"model": "tts", "voice": "af_heart", "input": "One two three four five six seven.", "response_format": "pcm"}


@dataclass(frozen=True, slots=True)
class Watched:
    """The application, and the replicas behind it."""

    client: httpx.AsyncClient
    engines: dict[str, Any]

    async def live(self, engine: str, count: int) -> None:
        await eventually(lambda: self.engines[engine].live.remote(), count)

    @asynccontextmanager
    async def staying(self, path: str, asked: dict[str, Any], pieces: int) -> AsyncIterator[None]:
        """A client that waits meanwhile, for more than so many pieces. It is the clock: a time limit that ends somebody's work ends that of
        this one first."""
        await self.engines[path].hold_after.remote(pieces)
        waiting = asyncio.create_task(self.client.post(path, json=asked))
        await eventually(lambda: self.engines[path].held.remote(), 1)
        yield
        assert not waiting.done(), "a time limit has ended the work, and not the client that left"
        await self.engines[path].let_go.remote()
        assert (await waiting).status_code == 200


@pytest.fixture(scope="module")
def application(cluster: int) -> Iterator[str]:
    from ray import serve

    from deployments.gateway import Gateway

    def small(kind: type, settings: Any) -> Any:
        return serve.deployment(kind, ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32).bind(settings)

    gateway = serve.deployment(serve.ingress()(Gateway), name="Gateway", ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32)
    parts = {
        "stt": small(WatchedSpeechToText, FAKE.stt),
        "llm": small(WatchedLanguageModel, FAKE.llm),
        "tts": small(WatchedTextToSpeech, FAKE.tts),
    }
    serve.run(gateway.bind(FAKE, key_file.access(FAKE, {}), parts), name=APPLICATION, route_prefix=PREFIX)
    yield f"http://127.0.0.1:{cluster}{PREFIX}/v1/"
    serve.delete(APPLICATION)


@pytest.fixture
async def watched(application: str) -> AsyncIterator[Watched]:
    from ray import serve

    def engine(kind: type) -> Any:
        return serve.get_deployment_handle(kind.__name__, APPLICATION).options(_by_reference=False)

    engines = {"chat/completions": engine(WatchedLanguageModel), "audio/speech": engine(WatchedTextToSpeech)}
    async with httpx.AsyncClient(base_url=application, timeout=PATIENCE_S, trust_env=False) as client:
        yield Watched(client, engines)
    for one in engines.values():
        await one.let_go.remote()


both = pytest.mark.parametrize(("path", "asked"), [("chat/completions", {**STORY, "stream": True}), ("audio/speech", SPEECH)])


@both
async def test_the_first_piece_comes_before_the_last_is_made_and_work_ends_with_the_client(
    path: str, asked: dict[str, Any], watched: Watched
) -> None:
    async with watched.staying(path, asked, pieces=1):
        await watched.engines[path].hold_after.remote(2)
        async with watched.client.stream("POST", path, json=asked) as answer:
            assert await anext(answer.aiter_bytes())
            await watched.live(path, 2)
        await watched.live(path, 1)


@both
async def test_work_ends_with_a_client_that_leaves_before_anything_came(path: str, asked: dict[str, Any], watched: Watched) -> None:
    async with watched.staying(path, {**asked, "stream": False}, pieces=0):
        leaving = asyncio.create_task(watched.client.post(path, json={**asked, "stream": False}))
        await watched.live(path, 2)
        leaving.cancel()
        await watched.live(path, 1)


async def test_a_transcription_goes_through_all_replicas(watched: Watched) -> None:
    answer = await watched.client.post("audio/transcriptions", files={"file": BEST_OF_TIMES.path.read_bytes()})
    assert answer.json()["text"].startswith("heard 5.")
