from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.node_client import Node, installed
from tests.clients.script import TEMPERATURE, RealStage, Stage, ToolRound, fake_stage


@pytest.fixture
def tool_round() -> ToolRound:
    """Of a client whose tools the application brings."""
    return TEMPERATURE


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.e2e)])
def stage(request: pytest.FixtureRequest, tool_round: ToolRound) -> Iterator[Stage]:
    """The fake server and the real one, one after the other."""
    if request.param == "real":
        yield RealStage(request.getfixturevalue("real_server"), tool_round)
        return
    with fake_stage(tool_round) as stage:
        yield stage


@pytest.fixture(scope="session")
def node_program() -> str:
    return installed()


@pytest.fixture
def node(node_program: str, tmp_path: Path) -> Node:
    return Node(node_program, tmp_path)
