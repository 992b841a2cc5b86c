"""Ray on this node, started again when it ends, until somebody says stop. Ray itself gives up: a node that was declared dead, or that
lost its head for long, ends and does not come back."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cluster import children, processes
from cluster.children import CallFailed
from cluster.head_watch import HeadWatch
from cluster.machine import versions
from cluster.node_start import Node, Shared, environment, ray_command
from serve_app.kernel_caches import kernel_caches

POLL_S = 0.5
CALL_S = 60.0
"""What a call to the cluster may take; importing Ray on a busy machine is most of it."""
END_S = 5.0
"""For Ray to end by itself; what matters has ended by then, and what is left is killed."""
TRIES = 3
"""To deploy, as long as it has never worked."""
REPLICA = "ray::ServeReplica"


@dataclass(slots=True)
class Backoff:
    """How long to wait before the next start."""

    first_s: float = 1.0
    most_s: float = 30.0
    settled_s: float = 60.0
    """After such a life the next failure is a first one again."""
    _next_s: float = field(default=0.0, init=False)

    def after(self, lived_s: float) -> float:
        wait_s = self.first_s if lived_s >= self.settled_s or not self._next_s else self._next_s
        self._next_s = min(self.most_s, wait_s * 2)
        return wait_s


@dataclass(frozen=True, slots=True)
class Work:
    """What the head does once its Ray is up; for other nodes nothing."""

    shared: Shared = field(default_factory=Shared)
    """A node that joins learns it from the head."""
    application: Mapping[str, Any] | None = None
    """What `node_calls.deploy` is given. None: only Ray."""


@dataclass(frozen=True, slots=True)
class Signals:
    """First everything is ended in order; whoever asks twice does not want to wait."""

    stop: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.stop.set()


class Supervisor:
    def __init__(self, node: Node, work: Work, given: Mapping[str, str], drain_s: float, say: Callable[[str], None]) -> None:
        self._node = node
        self._given = given
        self._drain_s = drain_s
        self._say = say
        self._application = Application(work, say)
        self._shared = work.shared
        self._ended_in_order = False
        self.signals = Signals()

    def run(self) -> int:
        """The exit code, once stopped: 1 when the application cannot be deployed."""
        backoff = Backoff()
        while not self.signals.stop.is_set():
            began = time.monotonic()
            why = self._life()
            if self._application.hopeless:
                self._node.state.forget()
                return 1
            if not self.signals.stop.is_set():
                wait_s = backoff.after(time.monotonic() - began)
                self._say(f"{why} Another try in {wait_s:.0f} s.")
                self.signals.stop.wait(wait_s)
        if self._ended_in_order:
            self._node.state.forget()
        return 0

    def _life(self) -> str:
        """Of one Ray; why it ended."""
        processes.end(self._node.state.mark, self._node.state.ray)
        try:
            shared = self._shared_by_all()
        except CallFailed as error:
            return f"The head at {self._node.head} cannot be joined: {error}."
        wanted = environment(self._node, shared, self._given)
        kernel_caches(wanted)
        log = self._node.state.ray / "start.log"
        ray = self._started(shared, wanted, log)
        try:
            self._tend(ray, shared, wanted)
        except CallFailed as error:
            return f"{error} ({log} says more)."
        finally:
            children.end(ray, 0 if self.signals.hurry.is_set() else END_S)
            processes.end(self._node.state.mark, self._node.state.ray)
        return f"Ray ended with {ray.returncode} ({log} says why)."

    def _shared_by_all(self) -> Shared:
        if self._node.is_head:
            return self._shared
        shared = self._shared_now(environment(self._node, self._shared, self._given))
        if differences := shared.differences(versions()):
            raise CallFailed("; ".join(differences))
        return shared

    def _shared_now(self, given: Mapping[str, str]) -> Shared:
        answer = self._asked("shared", None, given)
        if answer is None:
            raise CallFailed("it is up, but not ready yet")
        return Shared(**answer)

    def _started(self, shared: Shared, wanted: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
        (self._node.state.ray / "ray_current_cluster").unlink(missing_ok=True)  # else Ray may take its own leftovers for a cluster
        command = ray_command(self._node, shared, str(Path(sys.executable).parent / "ray"))
        with log.open("wb") as out:
            return subprocess.Popen(command, env=dict(wanted), stdout=out, stderr=out, start_new_session=True)

    def _tend(self, ray: "subprocess.Popen[bytes]", shared: Shared, wanted: Mapping[str, str]) -> None:
        if self._node.is_head:
            self._asked("publish", asdict(self._shared), wanted)
            self._say(f"Ray is up at {self._node.address}.")
        else:
            self._say(f"Ray starts at {self._node.address}, for the head at {self._node.head}.")
        watch = None if self._node.is_head else HeadWatch(self._node.head, shared.cluster, lambda: self._shared_now(wanted).cluster)
        with self._application:
            while ray.poll() is None and not self.signals.stop.wait(POLL_S) and not self._application.hopeless:
                self._application.tend(wanted)
                if watch is not None:
                    watch.look()
        if ray.poll() is None:
            self._leave(wanted)

    def _leave(self, wanted: Mapping[str, str]) -> None:
        """What runs here moves or ends before Ray does."""
        if self.signals.hurry.is_set():
            return
        if self._node.is_head:
            self._say("The server ends.")
            self._asked("undeploy", None, wanted, self._drain_s + CALL_S)
            self._ended_in_order = True
            return
        self._say(f"This node leaves; its sessions have {self._drain_s:.0f} s to end.")
        until = time.monotonic() + self._drain_s
        move_s = self._drain_s / 2
        self._asked("leave", {"address": self._node.address, "within_s": move_s}, wanted, CALL_S + move_s)
        while self._runs_replicas() and time.monotonic() < until and not self.signals.hurry.wait(POLL_S):
            pass

    def _runs_replicas(self) -> bool:
        return bool(processes.titled(self._node.state.mark, self._node.state.ray, REPLICA))

    def _asked(self, name: str, given: Any, environment: Mapping[str, str], within_s: float = CALL_S) -> Any:
        return children.asked(name, given, environment, within_s, self.signals.hurry)


class Application:
    """The head's: deployed when Ray is up, and again when it has come back."""

    def __init__(self, work: Work, say: Callable[[str], None]) -> None:
        self._given = work.application
        self._say = say
        self._tries_left = TRIES
        self._deploying: subprocess.Popen[str] | None = None
        self._done = False

    @property
    def hopeless(self) -> bool:
        return not self._tries_left

    def __enter__(self) -> None:
        """A Ray has come up."""
        self._done = self._given is None

    def __exit__(self, *_: object) -> None:
        if self._deploying is not None:
            children.end(self._deploying, children.END_S)
            self._deploying = None

    def tend(self, environment: Mapping[str, str]) -> None:
        """Starts it if it is not, and looks how far it is. Never waits."""
        if self._done:
            return
        if self._deploying is None:
            self._deploying = children.started("deploy", self._given, environment)
        code = self._deploying.poll()
        if code is None:
            return
        self._deploying = None
        self._done = code == 0
        if self._done:
            self._tries_left = -1  # what has worked once is tried for as long as it takes
            self._say("The server is ready.")
        elif self._tries_left > 0:
            self._tries_left -= 1
