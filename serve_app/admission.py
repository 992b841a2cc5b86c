"""Who may come in. Decides at once, from what is known, so that two who come together cannot both take the last place."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from serve_app.access import Access, Caller
from serve_app.engine_queues import EngineQueues
from serve_app.errors import SettingsError, SparkvoxError
from serve_app.hosts import ANY, is_address, same_origin
from serve_app.limits import Allowance, Allowances, LimitReached
from serve_app.measures import NOWHERE, REFUSALS, Sink
from serve_app.pressure import Shedding
from serve_app.settings import Settings


class Refused(SparkvoxError):
    """No place: it may be tried again later."""


class Admission:
    def __init__(self, max_sessions: int, sink: Sink = NOWHERE) -> None:
        self._max_sessions = max_sessions
        self._sink = sink
        self._held: Counter[str] = Counter()

    @property
    def sessions(self) -> int:
        return self._held.total()

    @contextmanager
    def session(self, holder: str = "", most: int | None = None) -> Iterator[None]:
        """One place, while the block runs; `holder` may have `most` of them. Raises `Refused` or `LimitReached`."""
        if self.sessions >= self._max_sessions:
            self._sink.count(REFUSALS, of="places")
            raise Refused(f"all {self._max_sessions} places are taken; please try again later")
        if most is not None and self._held[holder] >= most:
            self._sink.count(REFUSALS, of="key_places")
            raise LimitReached(f"all {most} places that this key may have are taken; please try again later")
        self._held[holder] += 1
        try:
            yield
        finally:
            self._held[holder] -= 1


@dataclass(frozen=True, slots=True)
class Door:
    """Who comes in, how many, and how much they may send: one in each replica of the gateway, which counts for itself."""

    access: Access
    sessions: Admission
    requests: Admission
    audio: Allowances
    shedding: Shedding = field(default_factory=Shedding)
    queues: EngineQueues = field(default_factory=lambda: EngineQueues(limit_s=0.5))
    sink: Sink = NOWHERE
    """Counts what was refused."""

    @classmethod
    def of(cls, settings: Settings, access: Access, sink: Sink = NOWHERE) -> "Door":
        places = Admission(settings.session.max_sessions, sink), Admission(settings.http.max_requests, sink)
        audio, queues = Allowances(settings.gateway.max_audio_s_a_minute, sink=sink), EngineQueues(settings.session.eager_wait_s)
        return cls(access, *places, audio, queues=queues, sink=sink)

    @contextmanager
    def session(self, caller: Caller) -> Iterator[None]:
        """A place for a session, while the block runs. Raises `Refused` or `LimitReached`."""
        if not self.shedding.takes_sessions:
            self.sink.count(REFUSALS, of="memory")
            raise Refused(f"memory is short here ({self.shedding.why}); please try again later")
        with self.sessions.session(caller.key.digest, caller.key.limits.sessions):
            yield

    def eager(self, most: int) -> bool:
        """Whether there is room now for answers that may be thrown away; `most`: up to how many sessions."""
        return self.shedding.speculates and max(1, self.sessions.sessions) <= most and self.queues.room(time.monotonic())

    def allowance(self, caller: Caller) -> Allowance:
        """Of audio."""
        return self.audio.of(caller.key.digest, caller.key.limits)


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


def refuse_without_key(host: str) -> None:
    """For a server that has no key and was not told to be open. Raises `SettingsError` where others can reach `host`."""
    if not is_loopback("127.0.0.1" if host == "localhost" else host):
        raise SettingsError(
            f"whoever reaches {host} could use the server, which has no key: make one with `sparkvox keys new NAME` and name its file as "
            "gateway.keys_file, or put one into SPARKVOX_API_KEY; gateway.open_to_all=true lets everybody in"
        )


def known_host(name: str, allowed: Sequence[str], beyond_loopback: bool) -> bool:
    """Whether a client may call the server `name`, as `hosts.host_name` gave it: a web page can have another name point here
    (serve_app/hosts.py). `allowed`: names from the settings, by which a server for other machines goes too as soon as there are any.
    `beyond_loopback`: whether other machines may come in."""
    if ANY in allowed or (beyond_loopback and not allowed):
        return True
    if name == "localhost" or is_loopback(name) or (beyond_loopback and is_address(name)):
        return True
    return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed)


def origin_allowed(origin: str | None, host: str | None, allowed: tuple[str, ...], host_is_known: bool = False) -> bool:
    """Programs send no origin; a page of this server has the server's own. Any other page that the user visits may not speak for the
    user. `host_is_known`: the `Host` header was held to the names of this server; without that it proves nothing, because a page that has
    its own name point here sends the same in both."""
    if origin is None or "*" in allowed or origin in allowed:
        return True
    return host_is_known and host is not None and same_origin(origin, host)
