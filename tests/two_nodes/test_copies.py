"""Copies of sessions on two nodes, one of which is lost."""

import os
import signal
from dataclasses import replace
from typing import Any

import pytest

from deployments.sessions import RemoteKeeper, Sessions
from serve_app.kept import Copy
from tests.deployments.conftest import PATIENCE_S, eventually
from tests.two_nodes.conftest import Nodes


class WatchedSessions(Sessions):
    async def place(self) -> tuple[str, int]:
        import ray

        return ray.get_runtime_context().get_node_id(), os.getpid()


@pytest.fixture(scope="module")
def handle(nodes: Nodes) -> Any:
    from ray import serve

    options: dict[str, Any] = {"num_replicas": 2, "max_replicas_per_node": 1, "ray_actor_options": {"num_cpus": 0}}
    return serve.run(serve.deployment(WatchedSessions, **options).bind(60.0), name="sessions", route_prefix=None)


async def test_a_session_is_taken_up_though_the_node_that_was_asked_first_has_lost_its_copies(handle: Any, nodes: Nodes) -> None:
    keeper = RemoteKeeper(handle, PATIENCE_S)
    await keeper.warm()
    copy = Copy("sess_1", "anna", 1, 1, b"hello")
    assert await keeper.keep(copy)
    places = dict(await handle.broadcast("place").results_async())
    assert set(places) == {nodes.head, nodes.other}

    os.kill(places[nodes.head], signal.SIGKILL)
    taken = await keeper.take("sess_1", "anna")
    assert taken == replace(copy, connection=2)
    assert await keeper.take("sess_1", "bob") is None

    async def running() -> int:
        places = await handle.broadcast("place").results_async(return_exceptions=True)
        return len([place for place in places if isinstance(place, tuple)])

    await eventually(running, 2)
    assert await keeper.keep(replace(taken, number=2, data=b"hello again")), "the one that came back has it from now on too"
    assert not await keeper.keep(replace(copy, number=9)), "the connection before has lost the session"
    assert [data for data in await handle.broadcast("peek", "sess_1").results_async()] == [b"hello again"] * 2
