"""docs/spark.md says what the commands say."""

import re
from pathlib import Path

import pytest

from cluster import ports
from cluster.topology import TOPOLOGIES
from serve_app.cli import COMMANDS
from serve_app.kernel_caches import KINDS
from serve_app.settings import Settings, known_settings

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/spark.md").read_text()


def test_the_table_of_ports_is_the_one_of_the_command() -> None:
    assert ports.table() in DOC


def test_the_firewall_is_the_one_of_the_command() -> None:
    assert ports.firewall("enp1s0f1np1") in DOC


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_cache_is_listed(kind) -> None:
    assert f"| {kind.holds} | `{kind.variable}` |" in DOC


def test_every_command_exists() -> None:
    said = set(re.findall(r"(?:^|[`$/ ])sparkvox ([a-z]+)", DOC))
    assert said >= {"doctor", "warm", "plan", "node", "serve"}
    assert said - COMMANDS.keys() <= {"refuses"}


def test_every_topology_and_setting_exists() -> None:
    assert set(re.findall(r"topology=([a-z_]+)", DOC)) <= set(TOPOLOGIES)
    known = set(known_settings())
    for name in re.findall(r"`((?:stt|llm|tts|gateway|memory|models)\.[a-z_]+)", DOC):
        assert name in known
    Settings.of({"topology": "two_sparks"})


def test_what_is_linked_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)", DOC):
        assert (ROOT / "docs" / target).exists(), target
    for folder in ("cluster/systemd", "requirements/spark.lock"):
        assert folder in DOC and (ROOT / folder).exists()
