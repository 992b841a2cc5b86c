import json

import pytest

from cluster import plan_command
from serve_app import cli


def test_a_plan_that_fits_is_shown_with_every_node_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "two_sparks_split"]) == 0
    shown = capsys.readouterr().out
    assert "spark-1, preferred for speech: 121.0 GB usable" in shown
    assert "spark-2, preferred for language: 121.0 GB usable" in shown
    assert "Nemotron-3-Nano-30B" in shown and "would still fit" in shown


def test_a_plan_that_does_not_fit_says_why_and_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "one_spark", "llm.model=x/Llama-3.1-405B-NVFP4"]) == plan_command.DOES_NOT_FIT
    shown = capsys.readouterr().out
    assert "161.6 GB TOO MUCH" in shown and "are missing" in shown
    assert "would still fit" not in shown


def test_the_bar_has_each_parts_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "one_spark", "llm.options.kv_cache_bytes=60000000000"]) == 0
    bar = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("["))
    assert len(bar) == 62
    assert bar.count("k") == 30, "60 of 121 GB are half of the bar"
    assert bar.count("s") == 6, "12 of 121 GB"


def test_programs_get_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "--json", "two_sparks"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["fits"] and [node["name"] for node in data["nodes"]] == ["spark-1", "spark-2"]
    for node in data["nodes"]:
        taken = sum(one["bytes"] for one in node["placed"])
        assert node["usable_bytes"] == node["system_bytes"] + taken + node["free_bytes"]


def test_sources_are_told_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "one_spark", "--sources"]) == 0
    assert "Q, measured on a Spark: 2.49 GB allocated" in capsys.readouterr().out


def test_what_would_still_fit_is_told_for_each_node(capsys: pytest.CaptureFixture[str]) -> None:
    """27 billion parameters as NVFP4, 16 GB of cache and vLLM itself; beside a cache of 60 GB there is no room for them."""
    assert cli.main(["plan", "two_sparks"]) == 0
    (extraction,) = (line for line in capsys.readouterr().out.splitlines() if "extraction model" in line)
    assert extraction.split()[-3:] == ["41.3", "yes", "yes"]
    assert cli.main(["plan", "one_spark", "llm.options.kv_cache_bytes=60000000000"]) == 0
    (extraction,) = (line for line in capsys.readouterr().out.splitlines() if "extraction model" in line)
    assert extraction.split()[-1] == "no"


def test_two_topologies_are_one_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", "one_spark", "two_sparks"]) == 1
    assert "topology is given twice" in capsys.readouterr().err
