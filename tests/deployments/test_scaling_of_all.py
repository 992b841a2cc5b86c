"""Serve's autoscaling of the whole application under load, on Ray, with fake engines: callers come, talk, and go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from deployments.figures import Waiting
from deployments.remote import RemoteLanguageModel
from serve_app import wiring
from serve_app.core.language import ChatMessage, Prompt
from serve_app.settings import Settings
from serve_app.wiring import CADENCE, QUEUED_TOKENS, by_work
from tests.cluster.callers import Caller, Lost, calling
from tests.deployments.conftest import FAKE, eventually
from tests.deployments.test_scaling import sessions
from tests.deployments.watched import WatchedLanguageModel

NAME = "Scaled"
ROOM = 3
MOST = 3
CALLERS = 7
"""So many want four replicas of `ROOM`, and fill two."""
THINKS_S = 0.3
CALLS_AGAIN_S = 0.5
"""More often would take the cores from the replicas that are to come."""
LOADED_S = 180.0
"""Only against hanging: replicas come one after the other, beside callers who talk."""
LONGER_THAN_SERVE_TAKES_S = 6.0
"""To stop a replica: its figures are a second old, the delay is one, and the controller acts several times a second."""
QUICK = CADENCE | {"upscale_delay_s": 0.0, "downscale_delay_s": 1.0}
SETTINGS = Settings.of(
    {
        "profile": "fake",
        "gateway": {"max_replicas": MOST, "num_cpus": 0.05},
        "stt": {"max_replicas": MOST, "num_cpus": 0.05, "max_sessions": ROOM},
        "llm": {"max_replicas": 2, "num_cpus": 0.05},
        "tts": {"num_cpus": 0.05},
        "session": {"max_sessions": ROOM},
    }
)


@pytest.fixture(scope="module")
def address(cluster: int) -> Iterator[str]:
    from ray import serve

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(wiring, "CADENCE", QUICK)
        serve.run(wiring.graph(SETTINGS), name=NAME, route_prefix="/scaled")
    yield f"127.0.0.1:{cluster}/scaled"
    serve.delete(NAME)


async def running(application: str) -> dict[str, int]:
    """Replicas of each deployment."""
    from ray import serve

    deployments = (await asyncio.to_thread(serve.status)).applications[application].deployments
    return {name: deployment.replica_states.get("RUNNING", 0) for name, deployment in deployments.items()}


async def settles(what: Callable[[], Awaitable[Any]], expected: Any) -> None:
    """Serve's controller is asked seldom enough to have time for its work."""
    await eventually(what, expected, LOADED_S, every_s=0.5)


async def hold_sessions() -> list[int]:
    """Replicas of what sessions drive."""
    every = await running(NAME)
    return [every["Gateway"], every["SpeechToText"]]


class Talker:
    """Calls as soon as there is room, and talks until told to hang up."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._enough = asyncio.Event()
        self.answered = asyncio.Event()
        self.talk = asyncio.create_task(self._talk())

    async def _talk(self) -> None:
        async with self._calling() as caller:
            while not self._enough.is_set():
                assert await caller.says() == "completed"
                self.answered.set()
                await asyncio.sleep(THINKS_S)

    @asynccontextmanager
    async def _calling(self) -> AsyncIterator[Caller]:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(LOADED_S):
                while (caller := await self._try(stack)) is None:  # noqa: ASYNC110  # nothing tells when there is room
                    await asyncio.sleep(CALLS_AGAIN_S)
            yield caller

    async def _try(self, stack: AsyncExitStack) -> Caller | None:
        try:
            return await stack.enter_async_context(calling(self._address))
        except Lost:
            return None

    async def is_answered(self) -> None:
        """Raises what ended the talk before: at the latest that nobody took the call."""
        answered = asyncio.create_task(self.answered.wait())
        await asyncio.wait((self.talk, answered), return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        if self.talk.done():
            self.talk.result()

    async def hangs_up(self) -> None:
        """Raises `Lost` where it was lost before."""
        self._enough.set()
        await self.talk


async def called(address: str, gateways: Any, talkers: dict[Talker, float]) -> None:
    """Another one, and which gateway it is on."""
    before = await sessions(gateways)
    talker = Talker(address)
    talkers[talker] = 0.0
    await talker.is_answered()
    after = await sessions(gateways)
    (talkers[talker],) = [gateway for gateway, count in after.items() if count > before.get(gateway, 0)]


async def test_callers_bring_replicas_and_the_one_that_serve_would_take_first_is_not_taken_from_a_caller(address: str) -> None:
    from ray import serve

    gateways = serve.get_deployment_handle("Gateway", NAME)
    talkers: dict[Talker, float] = {}
    try:
        for _ in range(CALLERS):
            await called(address, gateways, talkers)
        await settles(hold_sessions, [MOST, MOST])
        newest = list(await sessions(gateways))[-1]
        last = next(talker for talker, gateway in talkers.items() if gateway == newest)
        await asyncio.gather(*(talker.hangs_up() for talker in talkers if talker is not last))
        ended, _ = await asyncio.wait([last.talk], timeout=LONGER_THAN_SERVE_TAKES_S)
        assert not ended
        await last.hangs_up()
    finally:
        for talker in talkers:
            talker.talk.cancel()
    await settles(hold_sessions, [1, 1])


async def test_prompts_that_wait_bring_another_language_model_and_it_goes_when_they_are_answered(cluster: int) -> None:
    """One call, too long for one replica to be left alone with it."""
    from ray import serve
    from ray.serve.config import AutoscalingConfig

    quick = AutoscalingConfig(min_replicas=1, max_replicas=2, policy=by_work(64, QUEUED_TOKENS), **QUICK)
    deployment = serve.deployment(WatchedLanguageModel, ray_actor_options={"num_cpus": 0.05}, autoscaling_config=quick)
    handle: Any = serve.run(deployment.bind(FAKE.llm), name="Waiting", route_prefix=None)
    language_model = RemoteLanguageModel(handle, LOADED_S)
    try:
        await handle.hold_after.remote(0)
        prompt = Prompt((ChatMessage("user", "x" * Waiting.CHARACTERS * QUEUED_TOKENS),))
        answer = asyncio.create_task(all_of(language_model.reply(prompt)))
        await settles(lambda: running("Waiting"), {"WatchedLanguageModel": 2})
        await handle.broadcast("let_go").results_async()
        assert await answer
        await settles(lambda: running("Waiting"), {"WatchedLanguageModel": 1})
    finally:
        await language_model.close()
        serve.delete("Waiting")


async def all_of(pieces: AsyncIterator[Any]) -> list[Any]:
    return [piece async for piece in pieces]
