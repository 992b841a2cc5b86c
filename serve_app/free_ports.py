"""Ports of this machine that nothing has yet."""

import socket

from serve_app.errors import SparkvoxError


class NoPort(SparkvoxError):
    """A port that is needed cannot be had."""


def free_or_fail(host: str, port: int) -> None:
    """Raises `NoPort` where something listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise NoPort(f"{host}:{port} cannot be listened on ({error.strerror}); --port takes another") from error


def free_port(wanted: int) -> int:
    """The port itself, or another when something has it already."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise NoPort("no port is free")
