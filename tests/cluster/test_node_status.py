"""What Ray and Serve tell, as it was recorded from a cluster of two hosts, becomes a status."""

from types import SimpleNamespace

from cluster.node_status import NodeStatus, Replica, gathered, text

HEAD, OTHER, DEAD = "a0a4", "3f24", "6f5e"
NODES = [
    {"NodeID": OTHER, "Alive": True, "NodeManagerAddress": "10.72.0.2", "Resources": {"GPU": 1.0, "node:10.72.0.2": 1.0, "CPU": 2.0}},
    {"NodeID": HEAD, "Alive": True, "NodeManagerAddress": "10.72.0.1", "Resources": {"node:__internal_head__": 1.0, "GPU": 1.0}},
    {"NodeID": DEAD, "Alive": False, "NodeManagerAddress": "10.72.0.2", "Resources": {}},
]
FREE = {HEAD: {"CPU": 1.6, "GPU": 0.1}, OTHER: {"CPU": 1.6}}
REPLICAS = [
    Replica("Gateway", HEAD, 3),
    Replica("SpeechToText", HEAD, 1),
    Replica("SpeechToText", OTHER, 2),
    Replica("SpeechToText", OTHER, 0),
    Replica("TextToSpeech", OTHER, None),
]


def said(**states: str) -> SimpleNamespace:
    deployments = {name: SimpleNamespace(status=SimpleNamespace(value=state)) for name, state in states.items()}
    return SimpleNamespace(status=SimpleNamespace(value="RUNNING"), deployments=deployments)


def test_each_live_node_has_what_runs_there() -> None:
    status = gathered(NODES, FREE, REPLICAS, said(Gateway="HEALTHY"))
    assert status.nodes == (
        NodeStatus("10.72.0.1", True, 1.0, 0.1, {"Gateway": 1, "SpeechToText": 1}, sessions=3, leases=1, ongoing=4),
        NodeStatus("10.72.0.2", False, 1.0, 0.0, {"SpeechToText": 2, "TextToSpeech": 1}, sessions=0, leases=2, ongoing=2),
    )


def test_a_replica_that_does_not_answer_is_told() -> None:
    status = gathered(NODES, FREE, REPLICAS, said(Gateway="HEALTHY"))
    assert status.silent == 1
    assert "replicas that do not answer: 1" in text(status)


def test_without_an_application_that_is_said() -> None:
    assert gathered(NODES, FREE, [], None).application == "NOT DEPLOYED"


def test_the_text_names_nodes_sessions_and_what_is_not_healthy() -> None:
    lines = text(gathered(NODES, FREE, REPLICAS, said(Gateway="HEALTHY", TextToSpeech="UPDATING"))).splitlines()
    assert lines[:2] == ["application: RUNNING", "  TextToSpeech: UPDATING"]
    assert lines[2] == "node 10.72.0.1 (head): 3 sessions, 1 heard here, 0.90 of 1 GPUs reserved; runs Gateway, SpeechToText"
