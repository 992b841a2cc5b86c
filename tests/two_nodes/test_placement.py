"""The topologies on a Ray of two nodes with a GPU each (that are not there), fakes for engines: what goes where, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from serve_app import serving
from serve_app.pressure import GB
from serve_app.profiles import ROLE
from serve_app.settings import Settings
from tests.two_nodes.conftest import HEAD, OTHER, Nodes

# Ray Serve's own modules, at their import.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SMALL = {f"{part}.num_cpus": 0.05 for part in ("gateway", "stt", "llm", "tts")}
GPUS = {"stt.num_gpus": 0.1, "tts.num_gpus": 0.1, "llm.num_gpus": 0.6}


def places(topology: str, **more: Any) -> dict[str, set[str]]:
    """The roles of the nodes that the replicas of those deployments are on that take memory, with fakes."""
    import ray
    from ray import serve
    from ray._private.state import actors

    from serve_app import graph

    settings = Settings.of({"topology": topology, "profile": "fake", **SMALL, **GPUS, **more})
    serve.run(graph(settings), name="placed", route_prefix="/")
    roles = {node["NodeID"]: node["Labels"][ROLE] for node in ray.nodes()}
    found: dict[str, set[str]] = {}
    for actor in actors().values():
        if actor["State"] == "ALIVE" and actor["Name"].startswith("SERVE_REPLICA::placed#"):
            found.setdefault(actor["Name"].split("#")[1], set()).add(roles[actor["Address"]["NodeID"]])
    serve.delete("placed")
    return {name: found[name] for name in ALL}


ALL = ("Gateway", "SpeechToText", "LanguageModel", "TextToSpeech")
BOTH, SPEECH, LANGUAGE = {HEAD, OTHER}, {HEAD}, {OTHER}


def test_on_two_sparks_every_deployment_is_on_both(nodes: Nodes) -> None:
    assert places("two_sparks") == dict.fromkeys(ALL, BOTH)


def test_split_keeps_the_language_model_apart(nodes: Nodes) -> None:
    assert places("two_sparks_split") == dict.fromkeys(ALL, SPEECH) | {"LanguageModel": LANGUAGE}


def test_a_model_over_both_is_led_from_the_node_without_speech(nodes: Nodes) -> None:
    bundles = [{"CPU": 0.1, "GPU": 0.6}, {"CPU": 0.1, "GPU": 0.6}]
    found = places("two_sparks_tp", **{"llm.bundles": bundles, "llm.num_gpus": 0})
    assert found == dict.fromkeys(ALL, SPEECH) | {"LanguageModel": LANGUAGE}


def test_a_role_is_a_wish_where_no_node_has_it(nodes: Nodes) -> None:
    found = places("two_sparks_split", **{"llm.prefer": {ROLE: "nothing"}})
    assert found["LanguageModel"] <= BOTH and found["LanguageModel"]


def test_an_engine_that_would_not_fit_is_refused_by_name_at_the_start(nodes: Nodes, tmp_path: Path) -> None:
    from ray import serve

    from serve_app import graph

    sizes = {"MemTotal": 121, "MemAvailable": 20, "SwapTotal": 0}
    (tmp_path / "meminfo").write_text("".join(f"{name}: {size * GB // 1024} kB\n" for name, size in sizes.items()))
    large = {"tts.memory_bytes": 50 * GB, "memory.proc": tmp_path, "memory.wait_s": 0}
    settings = Settings.of({"topology": "one_spark", "profile": "fake", **SMALL, **GPUS, **large})
    with pytest.raises(RuntimeError):
        serve.run(graph(settings), name="large", route_prefix="/")
    why = serving._why(serve.status().applications["large"])
    assert (
        "text-to-speech is not loaded: it takes 50.0 GB and 2.0 stay free, but 20.0 of 121.0 GB are available: 32.0 GB are missing" in why
    )
    serve.delete("large")
