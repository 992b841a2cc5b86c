"""Serve's autoscaling by live sessions, on Ray, with a fake engine."""

import asyncio
from typing import Any

import pytest

from deployments.remote import RemoteSpeechToText
from serve_app.engines import Ear
from serve_app.wiring import CADENCE, by_sessions
from tests.deployments.conftest import FAKE, PATIENCE_S, eventually
from tests.deployments.test_remote import heard

ROOM = 3
LONGER_THAN_SERVE_TAKES_S = 6.0
"""To stop a replica: its figures are a second old, the delay is one, and the controller acts several times a second."""


@pytest.fixture(scope="module")
def handle(cluster: int) -> Any:
    from ray import serve
    from ray.serve.config import AutoscalingConfig

    from deployments.stt import SpeechToText

    quick = AutoscalingConfig(
        min_replicas=1, max_replicas=3, policy=by_sessions(ROOM), **CADENCE | {"upscale_delay_s": 0.0, "downscale_delay_s": 1.0}
    )
    settings = FAKE.stt.model_copy(update={"max_sessions": ROOM})
    deployment = serve.deployment(SpeechToText, ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32, autoscaling_config=quick)
    yield serve.run(deployment.bind(settings), name="Scaled", route_prefix=None)
    serve.delete("Scaled")


async def sessions(handle: Any) -> dict[float, int]:
    """Of each replica that runs, the oldest first."""
    figures = await handle.broadcast("record_autoscaling_stats").results_async(return_exceptions=True)
    told = [one for one in figures if isinstance(one, dict)]
    return {one["started_at"]: int(one["sessions"]) for one in sorted(told, key=lambda one: one["started_at"])}


async def replicas(handle: Any) -> int:
    return len(await sessions(handle))


async def opened(handle: Any, speech_to_text: RemoteSpeechToText, name: str) -> tuple[Ear, float]:
    """With the replica that it is on."""
    before = await sessions(handle)
    ear = await speech_to_text.open(name)
    after = await sessions(handle)
    (place,) = [one for one, count in after.items() if count > before.get(one, 0)]
    return ear, place


async def test_sessions_bring_replicas_and_none_that_holds_one_is_taken(handle: Any) -> None:
    speech_to_text = RemoteSpeechToText(handle, PATIENCE_S)
    ears = [await opened(handle, speech_to_text, f"first {number}") for number in range(ROOM)]
    await eventually(lambda: replicas(handle), 2)
    newest = list(await sessions(handle))[-1]
    while not [place for _, place in ears if place == newest]:
        ears.append(await opened(handle, speech_to_text, "another"))
    (last,) = [ear for ear, place in ears if place == newest]
    await asyncio.gather(*(ear.close() for ear, place in ears if place != newest))
    with pytest.raises(TimeoutError):  # a loss would come as EngineGone
        async with asyncio.timeout(LONGER_THAN_SERVE_TAKES_S):
            await anext(last.results())
    assert list((await sessions(handle)).values())[-1] == 1
    assert await heard(last, "still here", 1) == "heard 1.00 seconds"
    await last.close()
    await eventually(lambda: replicas(handle), 1)
