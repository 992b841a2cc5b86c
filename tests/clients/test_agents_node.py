"""@openai/agents-realtime in Node, unchanged: node/agents.mjs is the application, here is what it must have seen."""

from tests.clients.node_client import Node
from tests.clients.script import Stage


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(node: Node, stage: Stage) -> None:
    stage.agrees(await node.converses("agents.mjs", stage))
