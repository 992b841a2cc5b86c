"""The links of this machine, and which of them joins the boxes of a stack.

A DGX Spark's ConnectX-7 sits on two PCIe links of four lanes, so one QSFP port is two network interfaces and two RoCE devices ("twins", as
enp1s0f1np1 with rocep1s0f1 and enP2p1s0f1np1 with roceP2p1s0f1). One address is enough, but NCCL reaches 200 Gb/s only when both RoCE
devices are listed. The names differ from box to box, so they are looked up (public notes on stacked Sparks, 2026).
"""

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from serve_app.errors import SparkvoxError

MELLANOX = "0x15b3"
"""PCI vendor of ConnectX."""
SYS = Path("/sys")


class NoInnerLink(SparkvoxError):
    """Which address joins the nodes cannot be told from the machine."""


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    addresses: tuple[str, ...] = ()
    """IPv4."""
    up: bool = False
    vendor: str = ""
    """Of the PCI device; empty for what is no device."""
    mtu: int = 1500
    mbit_s: int = 0
    """0: not told."""
    rdma: tuple[str, ...] = ()
    """RoCE devices on this interface whose port is active."""


def found(sys: Path = SYS, addresses: Mapping[str, Sequence[str]] | None = None) -> tuple[Interface, ...]:
    """What the machine has, by name."""
    addresses = _addresses() if addresses is None else addresses
    rdma = _rdma(sys)
    names = sorted(entry.name for entry in (sys / "class" / "net").iterdir() if (entry / "operstate").exists())
    return tuple(_interface(sys / "class" / "net" / name, tuple(addresses.get(name, ())), rdma.get(name, ())) for name in names)


def inner(interfaces: Iterable[Interface], wanted: str | None = None) -> Interface:
    """The one that joins the nodes, with its address first: the one with the name or address `wanted`, else the only ConnectX with an
    address. Raises `NoInnerLink`."""
    every = list(interfaces)
    if wanted is not None:
        for one in every:
            if wanted == one.name and one.addresses:
                return one
            if wanted in one.addresses:
                return _with_first(one, wanted)
        raise NoInnerLink(f"--inner {wanted} is neither an interface with an IPv4 address nor an address of this machine")
    fast = [one for one in every if one.vendor == MELLANOX and one.up and one.addresses]
    if len(fast) == 1:
        return fast[0]
    seen = ", ".join(one.name for one in fast) or "none"
    raise NoInnerLink(f"ConnectX interfaces with a link and an address: {seen}; say which address the other node reaches with --inner")


def environment(interfaces: Iterable[Interface], link: Interface) -> dict[str, str]:
    """What NCCL, Gloo and UCX must know to use the link, and all of its RoCE devices."""
    wanted = {"NCCL_SOCKET_IFNAME": link.name, "GLOO_SOCKET_IFNAME": link.name, "TP_SOCKET_IFNAME": link.name}
    devices = [device for one in _twins(interfaces, link) for device in one.rdma]
    if devices:
        wanted["NCCL_IB_HCA"] = ",".join(devices)
        wanted["UCX_NET_DEVICES"] = ",".join(f"{device}:1" for device in devices)
    else:
        wanted["UCX_NET_DEVICES"] = link.name
    return wanted


def _twins(interfaces: Iterable[Interface], link: Interface) -> list[Interface]:
    """The link, and what has its card's vendor and an active RoCE port: a port without a cable has none."""
    if not link.rdma:
        return [link]
    others = [one for one in interfaces if one.name != link.name and one.vendor == link.vendor and one.rdma]
    return [link, *others]


def _with_first(one: Interface, address: str) -> Interface:
    rest = tuple(other for other in one.addresses if other != address)
    return Interface(one.name, (address, *rest), one.up, one.vendor, one.mtu, one.mbit_s, one.rdma)


def _interface(at: Path, addresses: tuple[str, ...], rdma: Sequence[str]) -> Interface:
    return Interface(
        name=at.name,
        addresses=addresses,
        up=_text(at / "carrier") == "1",
        vendor=_text(at / "device" / "vendor"),
        mtu=_number(at / "mtu", 1500),
        mbit_s=max(0, _number(at / "speed", 0)),
        rdma=tuple(rdma),
    )


def _rdma(sys: Path) -> dict[str, list[str]]:
    """Active RoCE devices by the interface that they are on."""
    devices: dict[str, list[str]] = {}
    for device in sorted((sys / "class" / "infiniband").glob("*")):
        states = [_text(port / "state") for port in (device / "ports").glob("*")]
        if any(state.endswith("ACTIVE") for state in states):
            for interface in sorted((device / "device" / "net").glob("*")):
                devices.setdefault(interface.name, []).append(device.name)
    return devices


def _addresses() -> dict[str, list[str]]:
    every = psutil.net_if_addrs().items()
    return {name: [one.address for one in found if one.family == socket.AF_INET] for name, found in every}


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # an interface that is down has no carrier to read
        return ""


def _number(path: Path, otherwise: int) -> int:
    try:
        return int(_text(path))
    except ValueError:
        return otherwise
