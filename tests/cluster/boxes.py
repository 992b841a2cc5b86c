"""A cluster of two hosts, started as its users start it, and what can be seen of it from outside."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cluster.ports import REPLICAS
from tests.cluster.hosts import Host, Hosts, Socket

ENGINES_AND_GATEWAY = ("Gateway", "LanguageModel", "SpeechToText", "TextToSpeech")
PARTS = (*ENGINES_AND_GATEWAY, "Sessions")
SETTINGS = (
    "topology=two_sparks",
    "profile=fake",
    "stt.num_gpus=0.2",
    "llm.num_gpus=0.5",
    "tts.num_gpus=0.2",
    "session.max_sessions=8",
    "session.drain_s=3",
    "llm.options.step_s=0.02",
    "tts.options.word_s=0.04",
    "gateway.open_to_all=true",
)
PATIENCE_S = 300.0
"""Only against hanging: two cores start two nodes' processes."""
DOOR = 8000
POLL_S = 0.5
REPLICA = "ray::ServeReplica:sparkvox:"


@dataclass(slots=True)
class Cluster:
    hosts: Hosts
    folder: Path
    settings: tuple[str, ...] = SETTINGS
    _nodes: list[tuple[Host, subprocess.Popen[bytes]]] = field(default_factory=list)

    @property
    def a(self) -> Host:
        """The head's."""
        return self.hosts.a

    @property
    def b(self) -> Host:
        return self.hosts.b

    # --- what its users do ---

    def start_head(self) -> None:
        self._start(self.a, "head", *self.settings, "--host", "0.0.0.0")

    def start_other(self) -> None:
        """With the token copied, as one does by hand."""
        token = self.state(self.b) / "token"
        token.parent.mkdir(exist_ok=True)
        token.write_bytes((self.state(self.a) / "token").read_bytes())
        token.chmod(0o600)
        self._start(self.b, "join", self.a.inner)

    def start_what_ended(self) -> None:
        """Each host whose node runs no more: a case that failed half-way takes no later one with it."""
        last = dict(self._nodes)
        for host, start in ((self.a, self.start_head), (self.b, self.start_other)):
            if host in last and last[host].poll() is not None:
                start()

    def leave(self, host: Host) -> None:
        """Until the node has left."""
        left = self.sparkvox(host, "leave", within_s=PATIENCE_S)
        assert left.returncode == 0, left.stderr

    def status(self, host: Host) -> dict[str, object]:
        out = self.sparkvox(host, "status", "--json").stdout
        found: dict[str, object] = json.loads(out.strip().splitlines()[-1])
        return found

    def sparkvox(self, host: Host, *words: str, within_s: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serve_app", "node", *words, "--state", str(self.state(host))]
        return host.run(command, self.environment(), within_s)

    def bury(self) -> None:
        """The nodes, once their hosts have ended: they are children of this process."""
        for _, node in self._nodes:
            node.wait(PATIENCE_S)

    # --- what can be seen ---

    def log(self, host: Host) -> str:
        return self._log(host).read_text()

    def parts(self, host: Host) -> list[str]:
        """The deployments that have a replica there."""
        return sorted(title.removeprefix(REPLICA).split()[0] for title in host.processes().values() if title.startswith(REPLICA))

    def gateway(self, host: Host) -> str | None:
        """The address of the host's own gateway, past HAProxy."""
        pids = self.pids(host, "Gateway")
        ports = [one.port for one in host.sockets() if one.listens and pids and pids[0] in one.pids and one.port in REPLICAS]
        return f"{host.outer}:{ports[0]}" if ports else None

    def door(self, host: Host) -> str:
        return f"{host.outer}:{DOOR}"

    def pids(self, host: Host, part: str) -> list[int]:
        return [pid for pid, title in host.processes().items() if title.startswith(REPLICA + part)]

    def spare(self, host: Host) -> list[str]:
        """Processes of which the host has one too many: a replica of each part, and what Ray and Serve have once on each host."""
        once = (*(REPLICA + part for part in PARTS), "ray::ProxyActor", "raylet", "haproxy", "gcs_server")
        titles = [title.split()[0].rpartition("/")[2] for title in host.processes().values()]
        return [name for name in once if sum(title.startswith(name) for title in titles) > 1]

    def sockets(self, host: Host) -> list[str]:
        """Open connections of clients to the host, and of gateways to its speech-to-text: what a session holds."""
        every = host.sockets()
        clients = [one for one in every if one.state == "ESTAB" and one.peer == self.outside]
        return [f"{one.address}:{one.port} from {one.peer}" for one in (*clients, *self._ears(host, every))]

    def heard_there(self, host: Host) -> int:
        """Sessions whose audio goes to the host's speech-to-text."""
        return len(self._ears(host, host.sockets()))

    def _ears(self, host: Host, every: list[Socket]) -> list[Socket]:
        hearing = set(self.pids(host, "SpeechToText"))
        ports = {one.port for one in every if one.listens and one.address == host.inner and hearing & one.pids}
        return [one for one in every if one.state == "ESTAB" and one.port in ports]

    @property
    def outside(self) -> str:
        """The tests' own address."""
        return re.sub(r"\.\d+$", ".254", self.a.outer)

    def counts(self, host: Host) -> dict[str, int]:
        """Places, leases and utterances, as the host's gateway knows them."""
        found: dict[str, int] = httpx.get(f"http://{self.gateway(host)}/debug/sessions", timeout=10, trust_env=False).json()
        return found

    def is_ready(self, host: Host) -> bool:
        """Whether its door says so."""
        try:
            return httpx.get(f"http://{self.door(host)}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def has_all_parts(self, host: Host) -> bool:
        return set(self.parts(host)) >= set(ENGINES_AND_GATEWAY) and self.gateway(host) is not None and self.is_ready(host)

    def is_whole(self) -> bool:
        return all(self.parts(host) == sorted(PARTS) and self.has_all_parts(host) for host in self.hosts.both)

    # ---

    def state(self, host: Host) -> Path:
        return self.folder / ("a" if host is self.a else "b")

    def environment(self) -> dict[str, str]:
        """Nothing of the tests' own, which may speak of another Ray."""
        root = str(Path(__file__).parents[2])
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": root, "PYTHONUNBUFFERED": "1"}

    def _start(self, host: Host, *words: str) -> None:
        own = ["--inner", "inner0", "--num-gpus", "1", "--num-cpus", "2", "--drain", "30", "--state", str(self.state(host))]
        command = [sys.executable, "-m", "serve_app", "node", *words, *own]
        self._nodes.append((host, host.start(command, self.environment(), self._log(host))))

    def _log(self, host: Host) -> Path:
        return self.folder / f"{'a' if host is self.a else 'b'}.log"


def until(what: Callable[[], object], said: str, within_s: float = PATIENCE_S) -> float:
    """Seconds until it is true: other processes take their time, and nothing tells when they are done."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"not within {within_s:.0f} s: {said}")
        time.sleep(POLL_S)
    return time.monotonic() - began
