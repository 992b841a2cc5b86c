"""What replicas write, as it is without settings."""

import json
from pathlib import Path

from tests.deployments.conftest import eventually
from tests.deployments.test_gateway import received, session

WORD = "Chrysanthemum"


async def test_a_replica_writes_for_people_of_which_session_and_not_what_was_said(server: str) -> None:
    async with session(server) as socket:
        session_id = (await received(socket, "session.created"))["session"]["id"]
        content = [{"type": "input_text", "text": WORD}]
        await socket.send(json.dumps({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}))
        await socket.send(json.dumps({"type": "response.create"}))
        response = (await received(socket, "response.done"))["response"]
    assert WORD in response["output"][0]["content"][0]["transcript"]

    async def told() -> int:
        return len([line for line in written("Gateway") if session_id in line and "the session has ended" in line])

    await eventually(told, 1)
    (line,) = [line for line in written("Gateway") if response["id"] in line]
    assert line.startswith("INFO ") and f"a response has ended session_id={session_id} response_id={response['id']}" in line
    assert not [file for file in logs().rglob("*") if file.is_file() and WORD.encode() in file.read_bytes()]


def written(deployment: str) -> list[str]:
    return [line for file in logs().glob(f"serve/replica_*{deployment}*.log") for line in file.read_text().splitlines()]


def logs() -> Path:
    from ray._private.worker import _global_node  # Ray 2.60 has no public way

    assert _global_node is not None
    return Path(_global_node.get_logs_dir_path())
