"""Where a session's engines are, on two nodes."""

import asyncio
import zlib
from typing import Any

import pytest

from deployments.remote import RemoteSpeechToText, RemoteTextToSpeech, elsewhere, near
from serve_app.engines import Speech
from serve_app.errors import EngineBusy
from tests.deployments.conftest import FAKE, PATIENCE_S
from tests.deployments.watched import WatchedSpeechToText, WatchedTextToSpeech
from tests.two_nodes.conftest import Nodes

ROOM = 2
LIGHT = {"num_cpus": 0.1}
ON_BOTH: dict[str, Any] = {"num_replicas": 2, "max_replicas_per_node": 1, "max_ongoing_requests": 32, "ray_actor_options": LIGHT}


@pytest.fixture(scope="module")
def stt(nodes: Nodes) -> Any:
    from ray import serve

    settings = FAKE.stt.model_copy(update={"max_sessions": ROOM})
    return serve.run(serve.deployment(WatchedSpeechToText, **ON_BOTH).bind(settings), name="stt", route_prefix=None)


@pytest.fixture(scope="module")
def tts(nodes: Nodes) -> Any:
    from ray import serve

    return serve.run(serve.deployment(WatchedTextToSpeech, **ON_BOTH).bind(FAKE.tts), name="tts", route_prefix=None)


async def sessions(handle: Any, nodes: Nodes) -> list[int]:
    """On the head, where the callers are, and on the other node."""
    figures = await handle.broadcast("record_autoscaling_stats").results_async()
    held = {one["node"]: int(one["sessions"]) for one in figures}
    return [held[float(zlib.crc32(node_id.encode()))] for node_id in (nodes.head, nodes.other)]


async def test_sessions_stay_on_their_node_until_it_is_full_and_then_go_to_the_other(stt: Any, nodes: Nodes) -> None:
    speech_to_text = RemoteSpeechToText(near(elsewhere(stt)), PATIENCE_S)
    ears = []
    for expected in ([1, 0], [2, 0], [2, 1], [2, 2]):
        ears.append(await speech_to_text.open(f"session {expected}"))
        assert await sessions(stt, nodes) == expected
    with pytest.raises(EngineBusy):
        await speech_to_text.open("one too many")
    await asyncio.gather(*(ear.close() for ear in ears))


async def test_speech_is_made_on_the_same_node(tts: Any, nodes: Nodes) -> None:
    speaker = RemoteTextToSpeech(tts, PATIENCE_S)
    await speaker.warm()
    await tts.broadcast("spoken").results_async()  # each has said something before it was ready
    for _ in range(6):
        _ = [sound async for sound in speaker.speak(Speech("Hello.", "af_heart"))]
    spoken = {node_id: number for node_id, number in await tts.broadcast("spoken").results_async()}
    assert spoken == {nodes.head: 6, nodes.other: 0}
    await speaker.close()
