import itertools
import re
from pathlib import Path

from cluster.ports import EPHEMERAL, GCS, PORTS, Reach, firewall, named, ray_arguments, table


def test_no_two_ports_have_the_same_number_but_within_the_kernels_range() -> None:
    for one, other in itertools.combinations([port for port in PORTS if port is not EPHEMERAL], 2):
        assert one.last < other.first or other.last < one.first, (one.name, other.name)


def test_a_number_has_the_name_of_the_narrowest_that_has_it() -> None:
    assert named(6379) is GCS
    assert named(44_217).name == "autoscaler-metrics"
    assert named(50_000) is EPHEMERAL
    assert named(22) is None


def test_ray_is_told_all_of_its_own_ports() -> None:
    told = dict(word.split("=") for word in ray_arguments(head=True))
    assert told["--port"] == "6379"
    assert set(dict(word.split("=") for word in ray_arguments(head=False))) == set(told) - {
        "--port",
        "--dashboard-port",
        "--ray-client-server-port",
    }
    assert all(named(int(number)) is not EPHEMERAL for number in told.values())


def test_the_firewall_shuts_what_the_outside_has_no_business_with_and_nothing_else() -> None:
    rules = firewall("enp1s0f1np1")
    dropped = " ".join(re.findall(r"tcp dport .*drop", rules))
    shut = [(int(first), int(last or first)) for first, last in re.findall(r"(\d{4,5})(?:-(\d{4,5}))?", dropped)]
    for port in PORTS:
        covered = any(first <= port.first and port.last <= last for first, last in shut)
        assert covered is (port.needed is not Reach.OUTSIDE), port.name
    assert 'iifname { "lo", "enp1s0f1np1" } accept' in rules
    assert not any(first <= 22 <= last for first, last in shut)


def test_the_table_has_a_row_for_each_port() -> None:
    assert len(table().splitlines()) == len(PORTS) + 2


def test_the_documentation_has_the_table_and_the_firewall_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "spark.md").read_text()
    assert table() in text
    assert firewall("enp1s0f1np1") in text
