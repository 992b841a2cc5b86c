"""What Ray is told when a node starts: command line and environment, from facts of a machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.interfaces import Interface
from cluster.machine import Machine, this_machine
from cluster.node_start import Node, Shared, Size, check, default_folder, environment, labels_of, ray_command
from cluster.node_state import MARK, NodeState
from serve_app.errors import SettingsError
from serve_app.serving import needed
from serve_app.settings import Settings

SPARK = Machine(("NVIDIA GB10",), 20, "/usr/local/cuda")
LAPTOP = Machine((), 8, None)
LINK = Interface("enp1s0f1np1", ("10.0.0.1",), True)
SHARED = Shared(needed(Settings.of({"profile": "fake"}), "haproxy"), {"head": {}, "join": {"sparkvox-role": "language"}}, {"ray": "2.60.0"})


def node(machine: Machine = SPARK, head: bool = True, size: Size | None = None, folder: str = "/var/lib/sparkvox") -> Node:
    return Node("10.0.0.1:6379", LINK, (LINK,), machine, NodeState(Path(folder), "0a1b2c3d"), size or Size(), head)


def command(one: Node) -> list[str]:
    return ray_command(one, SHARED, "/usr/bin/ray")


def test_a_head_offers_what_the_machine_has_at_its_inner_address() -> None:
    said = command(node())
    assert {"--head", "--block", "--num-gpus=1", "--num-cpus=20", "--node-ip-address=10.0.0.1", "--port=6379"} <= set(said)
    assert {"--include-dashboard=false", "--dashboard-host=127.0.0.1"} <= set(said)


def test_a_node_joins_its_head_with_the_label_of_its_role() -> None:
    said = command(node(head=False))
    assert {"--address=10.0.0.1:6379", "--labels=sparkvox-role=language"} <= set(said)
    assert not [word for word in said if word.startswith(("--head", "--port=", "--dashboard-port", "--ray-client"))]


def test_what_the_user_says_of_the_node_wins() -> None:
    said = command(node(head=False, size=Size(gpus=0, cpus=4, labels={"sparkvox-role": "speech"})))
    assert {"--num-gpus=0", "--num-cpus=4", "--labels=sparkvox-role=speech"} <= set(said)


def test_a_laptop_has_at_least_the_two_cores_that_the_profiles_want() -> None:
    assert "--num-cpus=2" in command(node(replace(LAPTOP, cpus=1)))


def test_no_secret_is_on_the_command_line() -> None:
    assert not [word for word in command(node()) if "token" in word.lower()]


def test_a_node_asks_for_the_token_and_is_told_dead_in_seconds() -> None:
    wanted = environment(node(), SHARED, {})
    assert (wanted["RAY_AUTH_MODE"], wanted["RAY_AUTH_TOKEN_PATH"]) == ("token", "/var/lib/sparkvox/token")
    period, timeout, failures = (float(wanted[f"RAY_health_check_{name}"]) for name in ("period_ms", "timeout_ms", "failure_threshold"))
    assert (period + timeout) * failures <= 5000


def test_all_nodes_stand_behind_haproxy_with_the_limits_of_the_head() -> None:
    head, other = (environment(node(head=is_head), SHARED, {}) for is_head in (True, False))
    names = {name for name in head if name.startswith("RAY_SERVE") and not name.startswith("RAY_SERVE_HAPROXY_S")}
    assert head["RAY_SERVE_ENABLE_HA_PROXY"] == "1" and len(names) > 5
    assert {name: head[name] for name in names} == {name: other[name] for name in names}


def test_only_the_head_keeps_what_ray_knows() -> None:
    assert environment(node(), SHARED, {})["RAY_gcs_storage"] == "rocksdb"
    assert "RAY_gcs_storage" not in environment(node(head=False), SHARED, {})


def test_on_unified_memory_rays_memory_monitor_is_off() -> None:
    assert environment(node(), SHARED, {})["RAY_memory_monitor_refresh_ms"] == "0"
    assert "RAY_memory_monitor_refresh_ms" not in environment(node(LAPTOP), SHARED, {})
    assert "RAY_memory_monitor_refresh_ms" not in environment(node(Machine(("NVIDIA H200",), 16, None)), SHARED, {})


def test_on_a_spark_what_is_compiled_is_compiled_for_it() -> None:
    wanted = environment(node(), SHARED, {})
    assert (wanted["TORCH_CUDA_ARCH_LIST"], wanted["TRITON_PTXAS_BLACKWELL_PATH"]) == ("12.1a", "/usr/local/cuda/bin/ptxas")
    assert "TRITON_PTXAS_BLACKWELL_PATH" not in environment(node(replace(SPARK, cuda=None)), SHARED, {})


def test_what_the_user_has_set_wins_but_for_who_the_node_is() -> None:
    given = {"NCCL_SOCKET_IFNAME": "mine", "RAY_ADDRESS": "elsewhere:6379", MARK: "another", "HOME": "/root"}
    wanted = environment(node(), SHARED, given)
    assert (wanted["NCCL_SOCKET_IFNAME"], wanted["HOME"]) == ("mine", "/root")
    assert (wanted["RAY_ADDRESS"], wanted[MARK]) == ("10.0.0.1:6379", "0a1b2c3d")


def test_a_folder_too_long_for_rays_sockets_is_refused_with_the_room_there_is() -> None:
    check(node())
    with pytest.raises(SettingsError, match=r"--state .* characters at most"):
        check(node(folder="/var/lib/" + "long/" * 12))


def test_another_version_is_told_by_its_name() -> None:
    assert SHARED.differences({"ray": "2.59.0"}) == ["ray is 2.59.0 here and 2.60.0 at the head"]
    assert SHARED.differences({"ray": "2.60.0"}) == []


def test_labels_are_pairs() -> None:
    assert labels_of(["rack=1", "sparkvox-role=speech"]) == {"rack": "1", "sparkvox-role": "speech"}
    with pytest.raises(SettingsError, match="rack is no label"):
        labels_of(["rack"])


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/sparkvox:/var/lib/other", "XDG_STATE_HOME": "/x"}, "/var/lib/sparkvox"),
        ({"XDG_STATE_HOME": "/x"}, "/x/sparkvox"),
        ({}, "/home/me/.local/state/sparkvox"),
    ],
)
def test_the_folder_is_systemds_or_the_users(given: dict[str, str], folder: str) -> None:
    assert default_folder(given, Path("/home/me")) == Path(folder)


def test_gpus_are_what_the_driver_shows(tmp_path: Path) -> None:
    shown = tmp_path / "proc" / "driver" / "nvidia" / "gpus" / "000f:01:00.0"
    shown.mkdir(parents=True)
    (shown / "information").write_text("Model: \t\t NVIDIA GB10\nIRQ:   \t\t 284\n")
    (tmp_path / "usr" / "local" / "cuda").mkdir(parents=True)
    found = this_machine(tmp_path)
    assert (found.gpus, found.cuda, found.unified_memory) == (("NVIDIA GB10",), "/usr/local/cuda", True)


def test_in_a_container_gpus_are_device_files(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    assert this_machine(tmp_path).gpus == ("nvidia0",)
