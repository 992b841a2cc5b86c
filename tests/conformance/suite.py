"""What a check is, and how checks are run: each with lines of its own, some of them about one conversation that is had once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect

from tests.conformance.invariants import Rule
from tests.conformance.line import Failed, Line
from tests.conformance.watch import Breach

T = TypeVar("T")


class Skipped(Exception):
    """This server cannot be asked that."""


class Need(StrEnum):
    """What a check needs of the server and of whoever runs it."""

    SPEECH = "speech"
    """It hears the recordings of tests/audio as speech."""
    WORDS = "words"
    """It transcribes them: the words are compared, without case and punctuation."""
    TOOLS = "tools"
    """Its model calls a tool when it has to."""
    KEY = "key"
    """A key (--key-env) without which it lets nobody in."""
    FAILING = "failing"
    """Its ear and its model fail when the transcription's prompt or the user's text says "fail": only a server made for it."""
    SHORT_SESSION = "short-session"
    """Sessions of --session-s seconds."""
    PLACES = "places"
    """It takes --places sessions at once, and nobody else is there."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    rule: str
    needs: tuple[Need, ...]
    run: Callable[["Suite"], Awaitable[None]]

    @property
    def group(self) -> str:
        return self.name.split(".")[0]


CHECKS: list[Check] = []
"""In the order in which they are defined."""
Run = Callable[["Suite"], Awaitable[None]]


def check(*needs: Need) -> Callable[[Run], Run]:
    """The function is a check: its name says what holds, its docstring is the rule."""

    def added(run: Run) -> Run:
        group = run.__module__.rsplit(".", 1)[-1].removeprefix("checks_")
        add(f"{group}.{run.__name__}", " ".join((run.__doc__ or "").split()), run, needs)
        return run

    return added


def add(name: str, rule: str, run: Run, needs: Iterable[Need] = ()) -> None:
    assert rule, f"{name} does not say its rule"
    CHECKS.append(Check(name.replace("_", "-"), rule, tuple(needs), run))


@dataclass(frozen=True, slots=True)
class Options:
    url: str
    """ws://host:port/v1/realtime"""
    key: str | None = None
    model: str | None = None
    has: frozenset[Need] = frozenset({Need.SPEECH, Need.WORDS, Need.TOOLS})
    patience_s: float = 90.0
    """Only to fail instead of hanging."""
    idle_ms: int = 5000
    """The service takes no idle timeout below 5 s."""
    session_s: float | None = None
    places: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    check: Check
    outcome: str
    """passed, failed or skipped."""
    why: str = ""
    seconds: float = 0.0
    lines: tuple[Line, ...] = field(default=(), repr=False)
    """The conversations that it was about."""

    @property
    def breaches(self) -> dict[Rule, tuple[Line, Breach]]:
        """What was broken in them of the rules that always hold."""
        return {rule: (line, breach) for line in self.lines for rule, breach in line.watch.breaches.items()}


class Suite:
    def __init__(self, options: Options) -> None:
        self.options = options
        self._scenes: dict[Any, tuple[Any, list[Line]]] = {}
        self._lines: list[Line] = []

    async def run(self, one: Check) -> Result:
        missing = [need for need in one.needs if need not in self.options.has]
        if missing:
            return Result(one, "skipped", f"needs {', '.join(missing)}")
        self._lines, began = [], time.monotonic()
        outcome, why = "passed", ""
        try:
            await one.run(self)
        except Skipped as skipped:
            outcome, why = "skipped", str(skipped)
        except Failed as failed:
            outcome, why = "failed", str(failed)
        except Exception as unexpected:  # whatever a server sends may break a check's expectations; the others go on
            outcome, why = "failed", f"something is not there or not as expected: {unexpected!r}"
        return Result(one, outcome, why, time.monotonic() - began, tuple(self._lines))

    def line_on(self, socket: ClientConnection) -> Line:
        return Line(socket, self.options.patience_s)

    async def scene(self, play: Callable[["Suite"], Awaitable[T]]) -> T:
        """What `play` gives, had once for all checks that are about it. What went wrong in it fails each of them."""
        if play not in self._scenes:
            before, self._lines = self._lines, []
            try:
                outcome: Any = await play(self)
            except (Failed, Skipped) as ended:
                outcome = ended
            finally:
                played, self._lines = self._lines, before
            self._scenes[play] = (outcome, played)
        outcome, lines = self._scenes[play]
        self._lines.extend(lines)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @asynccontextmanager
    async def line(self, query: dict[str, str] | None = None, greeted: bool = True, **session: Any) -> AsyncIterator[Line]:
        """A conversation whose session.created has come, and whose session was updated with what is given."""
        async with self.connected(query) as line:
            if greeted:
                created = await line.gets("session.created")
                line.kind = created["session"].get("type", "realtime")
            if session:
                await line.update(**session)
            yield line

    @asynccontextmanager
    async def connected(
        self, query: dict[str, str] | None = None, key: str | None = None, subprotocols: list[Any] | None = None
    ) -> AsyncIterator[Line]:
        """`key`: another one than the suite's; "" for none."""
        key = self.options.key if key is None else key
        asked = ({"model": self.options.model} if self.options.model else {}) | (query or {})
        address = self.options.url + (f"?{urlencode(asked)}" if asked else "")
        async with connect(
            address,
            additional_headers={"Authorization": f"Bearer {key}"} if key and not subprotocols else None,
            subprotocols=subprotocols,
            max_size=None,
            open_timeout=self.options.patience_s,
        ) as socket:
            line = self.line_on(socket)
            self._lines.append(line)
            hearing = asyncio.create_task(line.hear())
            try:
                yield line
                await line.settle()
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
