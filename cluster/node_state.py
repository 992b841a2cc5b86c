"""A node's folder: the token that all nodes share, Ray's files, and the note of a node that runs.

    token       0600, made by the head, copied to the others by hand
    node.json   who runs here: process, address, role, and the mark in the environment of everything that was started
    gcs/        what the head knows of the cluster, by Ray's version, so that its next start goes on from there
    ray/        Ray's sessions and logs
"""

import json
import os
import secrets
import shutil
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from serve_app.errors import SettingsError

MARK = "SPARKVOX_NODE"
"""The environment variable by which a node knows its own processes."""


@dataclass(frozen=True, slots=True)
class Running:
    """The note of a node that runs, or ran and could not take it back."""

    pid: int
    head: str
    address: str
    is_head: bool
    mark: str


@dataclass(frozen=True, slots=True)
class NodeState:
    folder: Path
    mark: str
    """Of this start: whatever carries it in its environment was started by it."""

    @property
    def token(self) -> Path:
        return self.folder / "token"

    @property
    def note(self) -> Path:
        return self.folder / "node.json"

    @property
    def gcs(self) -> Path:
        return self.folder / "gcs"

    def open(self, running: Running) -> None:
        """The node starts."""
        self.haproxy.mkdir(mode=0o700)  # a new one: in /tmp somebody else may have made it
        self.note.write_text(json.dumps(asdict(running)) + "\n")

    def close(self) -> None:
        """The node has ended."""
        self.note.unlink(missing_ok=True)
        shutil.rmtree(self.haproxy, ignore_errors=True)

    def forget(self) -> None:
        """The next head begins anew."""
        shutil.rmtree(self.gcs, ignore_errors=True)

    @property
    def ray(self) -> Path:
        return self.folder / "ray"

    @property
    def haproxy(self) -> Path:
        """HAProxy's configuration and admin socket. Not in the folder: Serve adds 56 letters, and HAProxy takes 97 in all."""
        return Path("/tmp") / f"sv-{self.mark}"


def fresh(folder: Path) -> NodeState:
    """The folder, for its owner alone."""
    state = NodeState(folder, secrets.token_hex(8))
    for path in (folder, state.ray):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return state


def make_token(state: NodeState) -> bool:
    """Whether there was none yet."""
    try:
        descriptor = os.open(state.token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32))
    return True


def check_token(state: NodeState, head: str) -> None:
    """Raises `SettingsError` when it is not here, or everybody's."""
    try:
        mode = state.token.stat().st_mode
    except FileNotFoundError:
        host = head.rpartition(":")[0]
        raise SettingsError(f"the cluster's token is not here: copy it from the head, scp {host}:{state.token} {state.token}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"others can read the cluster's token: chmod 600 {state.token}")


def read_note(folder: Path) -> Running | None:
    try:
        return Running(**json.loads((folder / "node.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
