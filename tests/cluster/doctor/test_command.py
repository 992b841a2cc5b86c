"""`sparkvox doctor` as it is called."""

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.doctor import command
from cluster.doctor.facts import Facts
from cluster.doctor.over_ray import ClusterSilent
from serve_app.cli import main
from tests.cluster.doctor.spark import second, spark

ALONE = {"ray__running": False, "ray__nodes": 1, "chosen__nodes": 1}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what this machine is."""

    def become(facts: Facts) -> None:
        monkeypatch.setattr(command, "gather", lambda settings: facts)
        monkeypatch.setattr(command, "ray_runs", lambda: facts.ray.running)

    become(spark(**ALONE))
    return become


@pytest.fixture
def other(tmp_path: Path) -> Any:
    def written(facts: Facts) -> str:
        path = tmp_path / "other.json"
        path.write_text(facts.model_dump_json())
        return str(path)

    return written


def test_a_healthy_machine_exits_with_0(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "profile=fake"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("spark-1: aarch64, 128 GB shared with NVIDIA GB10 (sm_121)")
    assert "0 wrong, 0 to look at" in said


def test_something_to_look_at_exits_with_1_and_something_wrong_with_2(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    here(spark(**ALONE, memory__pressure=False))
    assert main(["doctor", "profile=fake"]) == 1
    here(spark(**ALONE, memory__pressure=False, memory__swap_total=10**9))
    assert main(["doctor", "profile=fake"]) == 2
    said = capsys.readouterr().out
    assert "WRONG  swap: 1.0 GB of swap are on, 0.0 in use\n" in said
    assert "mend: sudo swapoff -a" in said


def test_json_has_every_judgement_and_the_exit_code(here: Any, capsys: pytest.CaptureFixture[str]) -> None:
    here(spark(**ALONE, memory__swap_total=10**9))
    assert main(["doctor", "profile=fake", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == 2
    (section,) = told["sections"]
    (swap,) = (one for one in section["judgements"] if one["rule"] == "swap")
    assert swap["level"] == "wrong" and swap["mend"].startswith("sudo swapoff")


def test_facts_that_one_node_writes_are_compared_on_the_other(here: Any, other: Any, capsys: pytest.CaptureFixture[str]) -> None:
    here(second(**ALONE, clock__offset_s=None))
    assert main(["doctor", "profile=fake", "--facts"]) == 0
    path = other(Facts.read(capsys.readouterr().out))
    here(spark(**ALONE))
    assert main(["doctor", "profile=fake", "--other", path]) == 0
    said = capsys.readouterr().out
    assert "spark-1 and spark-2 together" in said
    assert "?      clocks: how far apart the clocks are" in said


def test_rules_about_two_nodes_hold_as_soon_as_a_second_is_named(here: Any, other: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone a cable is nobody's business."""
    unplugged = [link.model_dump() | {"up": False} for link in spark().network.interfaces]
    here(spark(**ALONE, network__interfaces=unplugged))
    assert main(["doctor", "profile=fake"]) == 0
    assert main(["doctor", "profile=fake", "--other", other(second(**ALONE))]) == 2
    assert "WRONG  cable" in capsys.readouterr().out


def test_another_version_of_vllm_on_the_other_node_is_wrong(here: Any, other: Any, capsys: pytest.CaptureFixture[str]) -> None:
    newer = second(**ALONE, packages__installed={"vllm": {"version": "0.33.0"}})
    assert main(["doctor", "profile=fake", "--other", other(newer)]) == 2
    assert "vllm: 0.32.0 on spark-1, 0.33.0 on spark-2" in capsys.readouterr().out


def test_a_running_cluster_is_asked_on_every_node(here: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    here(spark())
    monkeypatch.setattr(command, "facts_of_nodes", lambda words: [spark(), second(memory__swap_total=10**9)])
    assert main(["doctor", "profile=fake"]) == 2
    said = capsys.readouterr().out
    assert said.index("spark-2:") < said.index("WRONG  swap")


def test_a_cluster_that_does_not_answer_is_told_and_this_node_is_examined(here: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def silent(words: list[str]) -> list[Facts]:
        raise ClusterSilent("the nodes of the cluster did not answer within 420 s")

    here(spark())
    monkeypatch.setattr(command, "facts_of_nodes", silent)
    assert main(["doctor", "profile=fake"]) == 1
    assert "LOOK   cluster: the nodes of the cluster did not answer" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--other", "/no/such/file"], ["no-setting"], ["llm.modle=x"]])
def test_what_cannot_be_done_exits_with_2_and_one_sentence(here: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *words]) == 2
    assert capsys.readouterr().err.startswith("sparkvox doctor: ")
