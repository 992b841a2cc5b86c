"""openai-node, unchanged, which speaks wss alone: TLS in front of the server, and node/openai.mjs as the application."""

from pathlib import Path

from tests.clients.node_client import Node, lacks
from tests.clients.script import Stage
from tests.clients.tls import missing, tls_before


async def test_it_has_a_spoken_turn_a_tool_round_and_an_interruption(node: Node, stage: Stage, tmp_path: Path) -> None:
    if packages := missing():
        lacks(f"openai-node needs TLS in front of the server: `apt install {' '.join(packages)}`")
    with tls_before(stage.url, tmp_path) as tls:
        seen = await node.converses("openai.mjs", stage, tls.url, NODE_EXTRA_CA_CERTS=str(tls.certificate))
    stage.agrees(seen)
