"""Who may come in. Decides at once, from what is known, so that two who come together cannot both take the last place."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

from serve_app.errors import SparkvoxError


class Refused(SparkvoxError):
    """No place: it may be tried again later."""


class Admission:
    def __init__(self, max_sessions: int) -> None:
        self._max_sessions = max_sessions
        self.sessions = 0

    @contextmanager
    def session(self) -> Iterator[None]:
        """One place, while the block runs. Raises `Refused`."""
        if self.sessions >= self._max_sessions:
            raise Refused(f"all {self._max_sessions} places are taken; please try again later")
        self.sessions += 1
        try:
            yield
        finally:
            self.sessions -= 1


def is_loopback(host: str | None) -> bool:
    """Whether a peer's address is this machine's own. Unknown addresses are not."""
    if host is None:
        return False
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def origin_allowed(origin: str | None, host: str | None, allowed: tuple[str, ...]) -> bool:
    """Programs send no origin; a page of this server has the server's own. Any other page that the user visits may not speak for the
    user."""
    if origin is None or "*" in allowed or origin in allowed:
        return True
    return host is not None and origin.partition("://")[2] == host
