"""A machine that runs short of memory, told by a file in the place of the kernel's, and the whole application on Serve."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from serve_app import key_file
from serve_app.pressure import GB
from serve_app.settings import Settings
from tests.deployments.conftest import PATIENCE_S, eventually
from tests.deployments.watched import WatchedLanguageModel, WatchedSpeechToText, WatchedTextToSpeech

QUICK = {"memory.period_s": 0.02, "memory.step_s": 0.1, "memory.calm_s": 0.1, "memory.ask_s": 0.1}


class Kernel:
    """What /proc says, as the test wants it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has(60)

    def has(self, available_gb: float) -> None:
        """Replaced at once: a reader never sees half a file."""
        sizes = {"MemTotal": 121.0, "MemAvailable": available_gb, "SwapTotal": 0.0}
        new = self.folder / "new"
        new.write_text("".join(f"{name}: {int(size * GB / 1024)} kB\n" for name, size in sizes.items()))
        new.rename(self.folder / "meminfo")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return Kernel(tmp_path_factory.mktemp("proc"))


@pytest.fixture(scope="module")
def short(cluster: int, kernel: Kernel) -> Iterator[str]:
    """Its gateway is told that there are several nodes, and so asks the other replicas, which read the same file."""
    from ray import serve

    from deployments.gateway import Gateway

    layout = {"profile": "fake", "topology": "two_sparks_split"}
    settings = Settings.of(layout | QUICK | {"memory.proc": kernel.folder})

    def small(kind: type, settings: Any, memory: Any) -> Any:
        return serve.deployment(kind, ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32).bind(settings, memory)

    parts = {
        "stt": small(WatchedSpeechToText, settings.stt, settings.memory),
        "llm": small(WatchedLanguageModel, settings.llm, settings.memory),
        "tts": small(WatchedTextToSpeech, settings.tts, settings.memory),
    }
    gateway = serve.deployment(serve.ingress()(Gateway), name="Gateway", ray_actor_options={"num_cpus": 0.05}, max_ongoing_requests=32)
    serve.run(gateway.bind(settings, key_file.access(settings, {}), parts), name="short", route_prefix="/short")
    yield f"ws://127.0.0.1:{cluster}/short/v1/realtime"
    serve.delete("short")


async def first_event(address: str) -> dict[str, Any]:
    async with connect(address, proxy=None, open_timeout=PATIENCE_S) as socket:
        event: dict[str, Any] = json.loads(await socket.recv())
        if event["type"] == "error":
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1013
        return event


async def test_sessions_are_refused_with_the_reason_while_those_that_live_go_on_and_all_comes_back(short: str, kernel: Kernel) -> None:
    from ray import serve

    model = serve.get_deployment_handle("WatchedLanguageModel", "short").options(_by_reference=False)

    async def kind() -> str:
        return str((await first_event(short))["type"])

    await eventually(kind, "session.created")
    async with connect(short, proxy=None, open_timeout=PATIENCE_S) as living:
        assert json.loads(await living.recv())["type"] == "session.created"
        kernel.has(3)
        await eventually(kind, "error")
        error = (await first_event(short))["error"]
        assert error["code"] == "server_busy"
        assert "3.0 of 121.0 GB are available, less than 3.6" in error["message"]

        async def caches_were_given_back() -> bool:
            return bool(await model.sheds.remote())

        await eventually(caches_were_given_back, True)
        await living.send(json.dumps({"type": "input_audio_buffer.clear"}))
        assert json.loads(await living.recv())["type"] == "input_audio_buffer.cleared"
    kernel.has(60)
    await eventually(kind, "session.created")


async def test_a_gateway_hears_how_the_nodes_of_the_others_are(short: str, kernel: Kernel) -> None:
    from ray import serve

    from deployments.memory_guard import _states

    kinds = (WatchedSpeechToText, WatchedLanguageModel, WatchedTextToSpeech)
    handles = [serve.get_deployment_handle(kind.__name__, "short") for kind in kinds]

    async def worst() -> tuple[int, int]:
        states = await _states(handles, PATIENCE_S)
        return len(states), max(level for level, _ in states)

    kernel.has(60)
    await eventually(worst, (3, 0))
    kernel.has(1)
    await eventually(worst, (3, 4))
    kernel.has(60)
    await eventually(worst, (3, 0))
