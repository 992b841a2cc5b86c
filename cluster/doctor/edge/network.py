"""Interfaces, RDMA devices, ports in use; Ray on this node and its token."""

import contextlib
import hashlib
import os
import resource
import socket
from collections.abc import Mapping
from pathlib import Path

import psutil

from cluster.doctor.facts import Interface, Network, Ray, Rdma, Token
from cluster.ports import named

TOLD = ("RAY_", "NCCL_", "VLLM_", "TORCH_CUDA_ARCH_LIST", "TRITON_PTXAS", "CUDA_HOME", "GLOO_SOCKET_IFNAME", "UCX_")
"""Beginnings of the variables that rules ask about."""
LONGEST_NAME = 15
"""As the kernel has it: Ray's processes write what they do into theirs."""
SECRET = ("TOKEN", "PASSWORD", "SECRET", "KEY")
TOKEN_FILE = Path("~/.ray/auth_token")
"""Where Ray looks without RAY_AUTH_TOKEN and RAY_AUTH_TOKEN_PATH."""


def network(system: Path = Path("/sys")) -> Network:
    limit, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return Network(
        interfaces=interfaces(system),
        rdma=rdma(system),
        listening=_listening(),
        locked_memory=None if limit == resource.RLIM_INFINITY else limit,
    )


def interfaces(system: Path) -> tuple[Interface, ...]:
    addresses = psutil.net_if_addrs()
    found = []
    for folder in sorted((system / "class/net").glob("*")):
        if folder.name == "lo" or not folder.is_dir():
            continue
        speed = _number(folder / "speed")
        found.append(
            Interface(
                name=folder.name,
                driver=_driver(folder),
                up=_text(folder / "operstate") == "up",
                speed=speed if speed is not None and speed > 0 else None,
                mtu=_number(folder / "mtu") or 0,
                addresses=tuple(one.address for one in addresses.get(folder.name, ()) if one.family in (socket.AF_INET, socket.AF_INET6)),
            )
        )
    return tuple(found)


def rdma(system: Path) -> tuple[Rdma, ...]:
    """RoCE devices: each has one port, and belongs to the interface that shares its PCI device."""
    found = []
    for folder in sorted((system / "class/infiniband").glob("*")):
        names = [path.name for path in (folder / "device/net").glob("*")]
        # "4: ACTIVE"
        state = _text(folder / "ports/1/state")
        found.append(Rdma(name=folder.name, interface=names[0] if names else "", active=state.endswith("ACTIVE")))
    return tuple(found)


def ray() -> Ray:
    raylets = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "raylet"]
    environment: Mapping[str, str] = os.environ
    for raylet in raylets:
        with contextlib.suppress(psutil.Error):
            environment = raylet.environ()
    return Ray(running=bool(raylets), environment=without_secrets(environment), token=token(environment))


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """What rules ask about. A name that sounds like a secret is left out, unless it names a file."""
    named = {name: value for name, value in environment.items() if name.startswith(TOLD)}
    return {name: value for name, value in named.items() if name.endswith("_PATH") or not any(word in name for word in SECRET)}


def token(environment: Mapping[str, str]) -> Token | None:
    if secret := environment.get("RAY_AUTH_TOKEN"):
        return Token(fingerprint=_fingerprint(secret))
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or TOKEN_FILE).expanduser()
    try:
        return Token(fingerprint=_fingerprint(path.read_text().strip()), readable_by_others=bool(path.stat().st_mode & 0o077))
    except OSError:
        return None


def _fingerprint(secret: str) -> str:
    return hashlib.sha256(f"sparkvox doctor {secret}".encode()).hexdigest()[:8]


def _listening() -> dict[int, str]:
    found = {}
    with contextlib.suppress(psutil.Error):
        for one in psutil.net_connections("tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr and named(one.laddr.port):
                found[int(one.laddr.port)] = _process(one.pid)
    return found


def _process(pid: int | None) -> str:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).name().split(":")[0][:LONGEST_NAME] if pid else ""
    return ""


def _driver(folder: Path) -> str:
    path = folder / "device/driver"
    return path.resolve().name if path.exists() else ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        # An interface that is down answers its speed with EINVAL.
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None
