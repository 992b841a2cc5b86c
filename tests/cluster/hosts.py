"""Two hosts on one machine: namespaces, an inner link between them and an outer network that the tests stand on.

    host a ── inner ── host b        10.x.0.1, 10.x.0.2: what a cable between two boxes is
       └───── outer ─────┴── tests   10.x.1.1, 10.x.1.2: where clients come from (10.x.1.254)

A host has its network, its processes, its /sys and its shared memory for itself; the files are everybody's. Both links go through a third
namespace, so that one can be cut without any of its ends noticing, as when a switch fails. Nothing here outlives the tests, however they
end: each namespace stands on a process that reads from a pipe of ours, and the kernel ends what is in it when that process goes.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

IP = shutil.which("ip") or "/usr/sbin/ip"
KEEPER = "mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /dev/shm; ip link set lo up; echo ready; read -r _"
"""Process 1 of a host; bash, because it buries the dead that are left to it."""


def why_not() -> str | None:
    """What keeps this machine from having two hosts."""
    if os.geteuid() != 0:
        return "two hosts on one machine need root (namespaces)"
    if not Path(IP).exists():
        return "two hosts on one machine need iproute2"
    tried = subprocess.run(["unshare", "--net", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, text=True)
    return f"this machine gives no namespaces: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True, slots=True)
class Socket:
    """TCP, as `ss` shows it."""

    state: str
    address: str
    port: int
    peer: str
    pids: frozenset[int]

    @property
    def listens(self) -> bool:
        return self.state == "LISTEN"


@dataclass(frozen=True, slots=True)
class Host:
    keeper: int
    """Process 1 of the host, by its number outside."""
    inner: str = ""
    outer: str = ""

    def start(self, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """In a session of its own, so that it gets no signal that is meant for the tests."""
        with log.open("ab") as out:
            return subprocess.Popen(self.here(argv), env=dict(environment), stdout=out, stderr=out, start_new_session=True)

    def run(self, argv: Sequence[str], environment: Mapping[str, str], within_s: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.here(argv), env=dict(environment), capture_output=True, text=True, timeout=within_s)

    def here(self, argv: Sequence[str]) -> list[str]:
        """nsenter goes to the root of the mounts that it enters."""
        return ["nsenter", "--target", str(self.keeper), "--mount", "--net", "--pid", "--", "env", "-C", os.getcwd(), *argv]

    def processes(self) -> dict[int, str]:
        """Command lines of all that run on the host, whoever started them, by their numbers outside."""
        home = _namespace(self.keeper)
        pids = [pid for pid in psutil.pids() if pid != self.keeper and _namespace(pid) == home]
        return {pid: title for pid in pids if (title := _title(pid))}

    def sockets(self) -> list[Socket]:
        return [_socket(line) for line in _in(self, "ss", "-Htnap").splitlines()]

    def kill(self, title: str) -> int:
        """SIGKILL to all whose command line has it; how many those were."""
        found = [pid for pid, line in self.processes().items() if title in line]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        return len(found)


@dataclass(frozen=True, slots=True)
class Hosts:
    a: Host
    b: Host
    switch: Host

    def cut(self) -> None:
        """Whatever is sent over the inner link is lost, and nobody is told."""
        _ip(self.switch, "link", "set", "inner2", "nomaster")

    def mend(self) -> None:
        _ip(self.switch, "link", "set", "inner2", "master", "inner")

    @property
    def both(self) -> tuple[Host, Host]:
        return (self.a, self.b)


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    octet = 64 + os.getpid() % 128
    with ExitStack() as kept:
        switch, a, b = (Host(kept.enter_context(_keeper())) for _ in range(3))
        for bridge in ("inner", "outer"):
            _ip(switch, "link", "add", bridge, "type", "bridge")
            _ip(switch, "link", "set", bridge, "up")
        both = []
        for n, host in ((1, a), (2, b)):
            _cable(switch, "inner", f"inner{n}", host, f"10.{octet}.0.{n}")
            _cable(switch, "outer", f"outer{n}", host, f"10.{octet}.1.{n}")
            both.append(Host(host.keeper, f"10.{octet}.0.{n}", f"10.{octet}.1.{n}"))
        _cable(switch, "outer", "outer9", Host(os.getpid()), f"10.{octet}.1.254", f"sparkvox{os.getpid() % 100_000}")
        yield Hosts(both[0], both[1], switch)


@contextmanager
def _keeper() -> Iterator[int]:
    isolated = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", KEEPER]
    with subprocess.Popen(isolated, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as unshare:
        assert unshare.stdin is not None and unshare.stdout is not None
        unshare.stdout.readline()
        (keeper,) = psutil.Process(unshare.pid).children()
        yield keeper.pid
        unshare.stdin.close()


def _cable(switch: Host, bridge: str, port: str, host: Host, address: str, name: str | None = None) -> None:
    """From the bridge's port to the host's interface, which is named like the bridge."""
    there = name or f"{bridge}0"
    _ip(switch, "link", "add", port, "type", "veth", "peer", "name", there, "netns", str(host.keeper))
    _ip(switch, "link", "set", port, "master", bridge, "up")
    _ip(host, "address", "add", f"{address}/24", "dev", there)
    _ip(host, "link", "set", there, "up")


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:  # ended meanwhile
        return ""


def _title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""


def _socket(line: str) -> Socket:
    state, _, _, here, there, *users = line.split(maxsplit=5)
    address, _, port = here.rpartition(":")
    pids = frozenset(map(int, re.findall(r"pid=(\d+)", " ".join(users))))
    return Socket(state, _plain(address), int(port), _plain(there.rpartition(":")[0]), pids)


def _plain(address: str) -> str:
    return address.strip("[]").removeprefix("::ffff:")


def _ip(host: Host, *arguments: str) -> str:
    return _in(host, IP, *arguments)


def _in(host: Host, *argv: str) -> str:
    """In the host's network and among our own processes, so that everything has the numbers that we know."""
    done = subprocess.run(["nsenter", "--target", str(host.keeper), "--net", *argv], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout
