"""Links are found in a folder like /sys; the Spark's is as public notes on stacked Sparks show it (one cable, outer port)."""

from pathlib import Path

import pytest

from cluster.interfaces import MELLANOX, Interface, NoInnerLink, environment, found, inner

ADDRESSES = {"lo": ["127.0.0.1"], "enP7s7": ["192.0.2.10"], "enp1s0f1np1": ["192.168.177.11"]}
CARDS = {
    "enp1s0f0np0": ("rocep1s0f0", False),
    "enp1s0f1np1": ("rocep1s0f1", True),
    "enP2p1s0f0np0": ("roceP2p1s0f0", False),
    "enP2p1s0f1np1": ("roceP2p1s0f1", True),
}


@pytest.fixture
def spark(tmp_path: Path) -> Path:
    for name, (device, up) in CARDS.items():
        _interface(tmp_path, name, MELLANOX, up)
        port = tmp_path / "class" / "infiniband" / device / "ports" / "1"
        port.mkdir(parents=True)
        (port / "state").write_text("4: ACTIVE\n" if up else "1: DOWN\n")
        (tmp_path / "class" / "infiniband" / device / "device" / "net" / name).mkdir(parents=True)
    _interface(tmp_path, "enP7s7", "0x10ec", True)
    _interface(tmp_path, "lo", "", True)
    return tmp_path


def _interface(sys: Path, name: str, vendor: str, up: bool) -> None:
    folder = sys / "class" / "net" / name
    (folder / "device").mkdir(parents=True)
    (folder / "operstate").write_text("up\n" if up else "down\n")
    (folder / "carrier").write_text("1\n" if up else "0\n")
    (folder / "mtu").write_text("9000\n")
    (folder / "speed").write_text("200000\n" if up else "-1\n")
    if vendor:
        (folder / "device" / "vendor").write_text(f"{vendor}\n")


def test_the_link_is_the_connectx_with_a_cable_and_an_address(spark: Path) -> None:
    link = inner(found(spark, ADDRESSES))
    assert link == Interface("enp1s0f1np1", ("192.168.177.11",), True, MELLANOX, 9000, 200_000, ("rocep1s0f1",))


def test_both_roce_twins_of_the_cable_are_listed_for_nccl_and_no_other(spark: Path) -> None:
    interfaces = found(spark, ADDRESSES)
    wanted = environment(interfaces, inner(interfaces))
    assert sorted(wanted["NCCL_IB_HCA"].split(",")) == ["roceP2p1s0f1", "rocep1s0f1"]
    assert wanted["NCCL_SOCKET_IFNAME"] == wanted["GLOO_SOCKET_IFNAME"] == "enp1s0f1np1"
    assert sorted(wanted["UCX_NET_DEVICES"].split(",")) == ["roceP2p1s0f1:1", "rocep1s0f1:1"]


def test_a_link_without_rdma_is_used_by_its_name(spark: Path) -> None:
    interfaces = found(spark, ADDRESSES)
    wanted = environment(interfaces, inner(interfaces, "enP7s7"))
    assert "NCCL_IB_HCA" not in wanted
    assert wanted["UCX_NET_DEVICES"] == "enP7s7"


@pytest.mark.parametrize("wanted", ["enP7s7", "192.0.2.10"])
def test_the_user_may_name_the_link_or_its_address(spark: Path, wanted: str) -> None:
    assert inner(found(spark, ADDRESSES), wanted).addresses == ("192.0.2.10",)


def test_of_several_addresses_the_named_one_comes_first(spark: Path) -> None:
    addresses = {**ADDRESSES, "enP7s7": ["192.0.2.10", "192.0.2.11"]}
    assert inner(found(spark, addresses), "192.0.2.11").addresses == ("192.0.2.11", "192.0.2.10")


def test_without_a_cable_the_user_is_asked() -> None:
    with pytest.raises(NoInnerLink, match="none; say which"):
        inner([Interface("eth0", ("192.0.2.10",), True, "0x10ec"), Interface("enp1s0f1np1", ("192.168.177.11",), False, MELLANOX)])


def test_with_two_links_the_user_is_asked() -> None:
    with pytest.raises(NoInnerLink, match="one, two"):
        inner([Interface(name, (address,), True, MELLANOX) for name, address in (("one", "192.0.2.1"), ("two", "192.0.2.2"))])


def test_an_address_of_no_interface_is_refused(spark: Path) -> None:
    with pytest.raises(NoInnerLink, match="192.0.2.99"):
        inner(found(spark, ADDRESSES), "192.0.2.99")


def test_this_machine_has_a_loopback() -> None:
    assert "127.0.0.1" in {address for one in found() for address in one.addresses}
