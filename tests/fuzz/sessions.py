"""Rounds of sessions in one process, in virtual time: some clients send what the grammar gives, and one talks plainly beside them.

A round follows from its seed alone: the clock is virtual, ids are counted, and what runs in a thread elsewhere runs at once. After each
round nothing may be left.
"""

import asyncio
import base64
import hashlib
import itertools
import json
import logging
import re
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, get_args

import orjson
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError

from load_tests import virtual_time
from serve_app.connection import Disconnected
from serve_app.engines import Engines
from serve_app.kept import Copy, KeptSessions
from serve_app.life import Leaving, Life
from serve_app.realtime.session_object import Served
from serve_app.session import SessionOptions, drive
from tests.conformance.invariants import LONGEST_MESSAGE, Broken, Invariants
from tests.fuzz.fakes import BYSTANDER, Canceller, engines
from tests.fuzz.grammar import Event, Grammar, Known, Sent

SERVED = Served("small", "ear", "af_heart", ("af_heart", "af_bella"), "Be brief.")
FUZZERS = 5
MESSAGES = 160
"""Of one client, about."""
PATIENCE_S = 120.0
"""Virtual seconds in which a session answers something harmless."""
FRAME = (b"\x00\x20" * 20 + b"\x00\xe0" * 20) * 120
"""0.2 s of a buzz at 24 kHz."""
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven")
EPOCH = 1_800_000_000.0
UNREAD = 40
"""Messages that a client sends before the first of them was taken."""
KEPT = 30
"""Messages of both sides that a failure shows."""
_MODELS = {get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(RealtimeServerEvent)[0])}
_SHAPES: dict[str, TypeAdapter[Any]] = {}


class Failed(AssertionError):
    """Something is not as it must always be."""


class Broke(Failed):
    """A session has ended by itself."""


def strictly(event: Event) -> None:
    """Raises Failed for an event that the official types would not take; by the model of its type, which is many times faster than the
    union of all."""
    kind = event["type"]
    if kind not in _MODELS:
        raise Failed(f"an event of type {kind!r}")
    if kind not in _SHAPES:
        _SHAPES[kind] = TypeAdapter(_MODELS[kind])
    try:
        _SHAPES[kind].validate_python(event, strict=True)
    except ValidationError as error:
        raise Failed(f"{kind} is not what the official types say: {error.errors(include_url=False)[:3]}") from error


_SOUND = re.compile(r'"(?:audio|delta)": ?"([A-Za-z0-9+/=]{40,})"')


def _length(match: re.Match[str]) -> str:
    """Resampled sound is not twice the same to the last bit: soxr dithers."""
    return str(len(match[1]))


def _shown(text: str) -> str:
    """Without its sound, and not too long to be read."""
    return re.sub(r'("(?:audio|delta)": ?"[A-Za-z0-9+/=]{20})[A-Za-z0-9+/=]+', r"\1…", text)[:500]


class Watched:
    """What a client sees of a session, held against the rules that always hold."""

    def __init__(self) -> None:
        self.known = Known()
        self.invariants = Invariants()
        self.types: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.digest = hashlib.blake2b(digest_size=16)
        self.sent_ids: set[str] = set()
        self._trace: deque[tuple[str, str | bytes]] = deque(maxlen=KEPT)

    @property
    def trace(self) -> list[str]:
        """The last messages of both sides, to be read."""
        return [f"{who} {_shown(text if isinstance(text, str) else repr(text))}" for who, text in self._trace]

    def sent(self, sent: Sent) -> None:
        if sent.event_id is not None:
            self.sent_ids.add(sent.event_id)
        self._trace.append((f"> {sent.kind}", sent.raw))

    def see(self, text: str, event: Event) -> None:
        """Raises Failed."""
        self.types[str(event.get("type"))] += 1
        self._trace.append(("<", text))
        if 4 * len(text) > LONGEST_MESSAGE and len(text.encode()) > LONGEST_MESSAGE:
            raise Failed(f"a message of {len(text)} characters: {text[:200]}")
        strictly(event)
        try:
            self.invariants.see(event)
        except Broken as broken:
            raise Failed(str(broken)) from broken
        if event["type"] == "error":
            error = event["error"]
            self.codes[str(error.get("code"))] += 1
            if error["type"] == "server_error" or not error["message"]:
                raise Failed(f"an error of the server: {error}")
            if error.get("event_id") is not None and error["event_id"] not in self.sent_ids:
                raise Failed(f"an error for an event that was not sent: {error}")
        self.known.see(event)
        self.digest.update(_SOUND.sub(_length, text).encode())


class Client:
    """One end of a session without a network; the server has the other."""

    def __init__(self) -> None:
        self.watched = Watched()
        self.closed: tuple[int, str] | None = None
        self.broken: Failed | None = None
        self.gone = False
        self.reads = asyncio.Event()
        self.reads.set()
        self._to_server: deque[str | bytes] = deque()
        self._news = asyncio.Event()
        self._heard = asyncio.Event()
        self.events: list[Event] = []
        """Those that are waited for: kept while `keeps`."""
        self.keeps = False
        self._numbers = itertools.count(1)

    # --- what the server uses -----------------------------------------------------------------------------------------------------------

    async def receive(self) -> str | bytes:
        while not self._to_server:
            if self.gone:
                raise Disconnected("hung up")
            self._news.clear()
            await self._news.wait()
        return self._to_server.popleft()

    async def send(self, text: str) -> None:
        await self.reads.wait()
        if self.gone:
            raise Disconnected("hung up")
        event: Event = orjson.loads(text)
        try:
            self.watched.see(text, event)
        except Failed as failed:
            self.broken = self.broken or failed
        if self.keeps:
            self.events.append(event)
            self._heard.set()

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    # --- what the client does -----------------------------------------------------------------------------------------------------------

    def says(self, sent: Sent) -> None:
        self.watched.sent(sent)
        self._to_server.append(sent.raw)
        self._news.set()

    def asks(self, kind: str, **fields: Any) -> str:
        event_id = f"asked_{next(self._numbers)}"
        self.says(Sent(json.dumps({"type": kind, "event_id": event_id, **fields}), "valid", kind, event_id))
        return event_id

    @property
    def unread(self) -> int:
        return len(self._to_server)

    def hangs_up(self) -> None:
        self.gone = True
        self._to_server.clear()
        self._news.set()
        self.reads.set()

    async def gets(self, what: Callable[[Event], bool]) -> Event:
        """The first of the kept events for which that is true, and forgets those before it. Raises Failed."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    while self.events:
                        if what(event := self.events.pop(0)):
                            return event
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise Failed(self.broken or f"nothing came within {PATIENCE_S:g} s; closed: {self.closed}") from None

    async def fence(self) -> None:
        """The session lives, and has handled everything before."""
        self.keeps = True
        self.asks("input_audio_buffer.clear")
        await self.gets(lambda event: event["type"] == "input_audio_buffer.cleared")
        self.keeps = False
        self.events.clear()


@dataclass(slots=True)
class Found:
    """What happened in the rounds so far."""

    messages: int = 0
    sessions: int = 0
    turns_beside: int = 0
    virtual_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    """Messages by kind."""
    events: Counter[str] = field(default_factory=Counter)
    """Of the servers, by type."""
    codes: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))

    def add(self, client: Client, grammar: Grammar | None, ending: str) -> None:
        self.events += client.watched.types
        self.codes += client.watched.codes
        self.digest.update(client.watched.digest.digest())
        if grammar is not None:
            self.sessions += 1
            self.kinds += grammar.counts
            self.endings[ending] += 1


class Keeper:
    """In this process."""

    def __init__(self) -> None:
        self.kept = KeptSessions(3600.0)

    async def keep(self, copy: Copy) -> bool:
        return self.kept.keep(copy, 0.0)

    async def take(self, session_id: str, owner: str) -> Copy | None:
        return self.kept.take(session_id, owner, 0.0)

    async def forget(self, copy: Copy) -> None:
        self.kept.forget(copy)


ENDINGS = {"hangs up": 30, "settles": 25, "vanishes": 15, "is cancelled": 10, "stalls": 5, "is replaced": 5, "expires": 5, "comes back": 15}


Connect = Callable[[Client, SessionOptions], Coroutine[Any, Any, None]]
"""Has a session with that client at its other end, until it ends."""


class Fuzzer:
    """One client after the other: each has a session, sends, and ends it in one of several ways."""

    def __init__(
        self, name: str, connect: Connect, dice: Random, found: Found, endings: Mapping[str, int] = ENDINGS, pace: float = 1.0
    ) -> None:
        """`endings`: ways to end and how often; `pace`: the share of its usual time that a pause lasts."""
        self._name = name
        self._connect = connect
        self._dice = dice
        self._found = found
        self._endings = endings
        self._pace = pace

    async def run(self) -> None:
        ending = self._dice.choices(list(self._endings), list(self._endings.values()))[0]
        keeper, leaving = Keeper(), Leaving(5.0)
        options = SessionOptions(
            SERVED,
            longest_s=self._dice.choice((2.0, 20.0)) if ending == "expires" else 1e6,
            lead_s=self._dice.choice((0.5, 4.0)),
            barge_in_s=self._dice.choice((0.0, 0.6)),
            echo=Canceller if self._dice.random() < 0.1 else None,
            eager=lambda: True,
            warms=lambda: True,
            timings=self._dice.random() < 0.2,
            transcription_only=self._dice.random() < 0.05,
            life=Life(keeper, "me", None, leaving) if ending == "comes back" else Life(leaving=leaving),
        )
        client = Client()
        grammar = Grammar(self._dice, client.watched.known)
        client.keeps = True
        driving = asyncio.create_task(self._connect(client, options))
        created = await client.gets(lambda event: event["type"] == "session.created")
        client.keeps = False
        try:
            await self._talk(client, grammar, driving, ending)
            await self._end(client, driving, ending, leaving)
            if client.broken is not None:
                raise client.broken
            self._found.add(client, grammar, ending)
            if ending == "comes back":
                await self._comes_back(created["session"]["id"], options, keeper)
        except (Failed, virtual_time.Stuck) as failed:
            raise type(failed)("\n".join([f"{self._name}, which {ending}: {failed}", *client.watched.trace])) from failed
        finally:
            if not driving.done():
                client.hangs_up()
                await asyncio.wait((driving,))

    async def _talk(self, client: Client, grammar: Grammar, driving: asyncio.Task[None], ending: str) -> None:
        pauses = self._dice.choice(((0.0,), (0.0, 0.0, 0.0, 0.02), (0.0, 0.0, 0.02, 0.02, 0.1), (0.0, 0.1, 1.0), (0.0, 0.0, 0.0, 0.0, 8.0)))
        for number in range(self._dice.randint(MESSAGES // 2, MESSAGES * 3 // 2)):
            if self._dice.random() < 0.02 and ending != "expires":
                await client.fence()
            client.says(grammar.next())
            self._found.messages += 1
            if pause_s := self._dice.choice(pauses):
                await asyncio.sleep(pause_s * self._pace)
            elif number % 4 == 0:
                await asyncio.sleep(0)
            waited_s = 0.0
            while client.unread > UNREAD and not driving.done():
                await asyncio.sleep(0.01)
                waited_s += 0.01
                if waited_s > PATIENCE_S:
                    raise Failed(f"the session has taken nothing for {PATIENCE_S:g} s")
            if driving.done() or client.closed or client.broken:
                break
        self._expected(client, driving, ending)

    def _expected(self, client: Client, driving: asyncio.Task[None], ending: str) -> None:
        if client.broken is not None:
            raise client.broken
        if driving.done() and driving.exception() is not None:
            raise Broke(f"the session raised {driving.exception()!r}") from driving.exception()
        if (driving.done() or client.closed) and not (ending == "expires" and client.closed and client.closed[0] == 1001):
            raise Broke(f"the session ended by itself: {client.closed}")

    async def _end(self, client: Client, driving: asyncio.Task[None], ending: str, leaving: Leaving) -> None:
        code = None
        match ending:
            case "settles":
                await self._settle(client)
            case "is cancelled":
                await asyncio.sleep(self._dice.choice((0.0, 0.01)))
                driving.cancel()
            case "stalls":
                await client.fence()
                client.reads.clear()
                for _ in range(5):
                    client.asks("input_audio_buffer.clear")
                code = 1013
            case "is replaced":
                await client.fence()
                leaving.ask()
                code = 1012
            case "expires":
                code = 1001
        if code is not None:
            await asyncio.wait((driving,), timeout=PATIENCE_S)
            if client.closed is None or client.closed[0] != code:
                raise Failed(f"the session should have been closed with {code}, but it was {client.closed}")
        client.hangs_up()
        await asyncio.wait((driving,), timeout=PATIENCE_S)
        if not driving.done():
            raise Failed("the session does not end after its client has gone")
        if not driving.cancelled() and driving.exception() is not None:
            raise Broke(f"the session raised {driving.exception()!r}") from driving.exception()

    async def _settle(self, client: Client) -> None:
        """Ends what is live, so that everything that was begun is seen to end; then the order is that of the server."""
        await client.fence()
        off = {"turn_detection": None}
        client.asks("session.update", session={"audio": {"input": off}})
        while client.watched.invariants.live:
            for response_id in client.watched.invariants.live:
                client.asks("response.cancel", response_id=response_id)
            await client.fence()
        await asyncio.sleep(5.0 * self._pace)  # responses that have waited for a transcript
        for response_id in client.watched.invariants.live:
            client.asks("response.cancel", response_id=response_id)
        await client.fence()
        try:
            client.watched.invariants.finish()
        except Broken as broken:
            raise Failed(str(broken)) from broken
        client.keeps = True
        previous = None
        for item_id in client.watched.invariants.order:
            client.asks("conversation.item.retrieve", item_id=item_id)
            told = await client.gets(lambda event: event["type"] in ("conversation.item.retrieved", "error"))
            if told["type"] == "error" or told["item"]["id"] != item_id:
                raise Failed(f"the client has an item {item_id!r} after {previous!r} that the server has not: {told}")
            previous = item_id

    async def _comes_back(self, session_id: str, options: SessionOptions, keeper: Keeper) -> None:
        client = Client()
        client.keeps = True
        options = replace(options, life=Life(keeper, "me", session_id))
        driving = asyncio.create_task(self._connect(client, options))
        await client.fence()
        if client.watched.codes:
            raise Failed(f"taking the session up made errors: {client.watched.codes}: {list(client.watched.trace)}")
        client.hangs_up()
        await asyncio.wait((driving,), timeout=PATIENCE_S)
        self._expected(Client(), driving if driving.done() and driving.exception() else asyncio.create_task(asyncio.sleep(0)), "hangs up")
        if client.broken is not None:
            raise client.broken
        self._found.events += client.watched.types


class Bystander:
    """Has a plain conversation, in which each word and each second of sound is known beforehand."""

    def __init__(self, connect: Connect, s_a_letter: float, found: Found, pace: float = 1.0) -> None:
        self._connect = connect
        self._pace = pace
        self._s_a_letter = s_a_letter
        self._found = found
        self.stops = False

    async def run(self) -> None:
        client = Client()
        client.keeps = True
        driving = asyncio.create_task(self._connect(client, SessionOptions(SERVED, barge_in_s=0.6, echo=Canceller)))
        try:
            for number in itertools.count(1):
                await self._turn(client, f"{BYSTANDER} number {NAMES[number % len(NAMES)]}")
                self._found.turns_beside += 1
                if self.stops:
                    break
            client.watched.invariants.finish()
            self._found.add(client, None, "")
        except (AssertionError, virtual_time.Stuck) as failed:
            raise Failed("\n".join([f"the session beside the others: {failed}", *client.watched.trace])) from failed
        finally:
            client.hangs_up()
            await asyncio.wait((driving,))

    async def _turn(self, client: Client, words: str) -> None:
        client.asks("session.update", session={"audio": {"input": {"transcription": {"model": "x", "prompt": words}}}})
        for frame in [FRAME] * 5 + [bytes(len(FRAME))] * 4:
            client.asks("input_audio_buffer.append", audio=base64.b64encode(frame).decode())
            await asyncio.sleep(0.2 * self._pace)
        heard: list[Event] = []

        def last(event: Event) -> bool:
            heard.append(event)
            return event["type"] == "response.done"

        done = (await client.gets(last))["response"]
        if client.broken is not None:
            raise client.broken
        errors = [one["error"] for one in heard if one["type"] == "error"]
        transcripts = [one["transcript"] for one in heard if one["type"].endswith("input_audio_transcription.completed")]
        said = [one["transcript"] for one in heard if one["type"] == "response.output_audio_transcript.done"]
        seconds = sum(len(base64.b64decode(one["delta"])) for one in heard if one["type"] == "response.output_audio.delta") / 48_000
        answer = f"You said {words}."
        expected = ("completed", [], [words], [answer], round(len(answer) * self._s_a_letter, 2))
        if (got := (done["status"], errors, transcripts, said, round(seconds, 2))) != expected:
            raise Failed(f"it should have been {expected}, and was {got}")
        await asyncio.sleep(len(answer) * self._s_a_letter + 15.0 * self._pace)


class ErrorLog(logging.Handler):
    """Errors that were logged, by the session or by asyncio."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        lost = "lost its speech-to-text" in record.getMessage() or "does not end" in record.getMessage()
        if record.levelno >= logging.ERROR or lost:
            self.records.append(self.format(record))


class _Loop(virtual_time._Loop):
    """What runs in a thread elsewhere runs at once."""

    def run_in_executor(self, executor: Any, function: Any, *given: Any) -> Any:
        answer = self.create_future()
        try:
            answer.set_result(function(*given))
        except Exception as error:
            answer.set_exception(error)
        return answer


@contextmanager
def determined(loop: asyncio.AbstractEventLoop, seed: str) -> Iterator[None]:
    """Time is the loop's, and ids are drawn from the seed."""
    dice, clock, wall, token = Random(seed), time.monotonic, time.time, secrets.token_urlsafe
    from serve_app import echo, limits  # noqa: PLC0415  # their clocks are defaults, bound when they were imported

    clocked = [echo.EchoingMicrophone.__init__, limits.Allowance.__init__, limits.Allowances.__init__]
    before = [(one, one.__defaults__) for one in clocked]
    time.monotonic, time.time = loop.time, lambda: EPOCH + loop.time()
    secrets.token_urlsafe = lambda length=12: f"{dice.getrandbits(8 * (length or 12)):x}"
    for one, defaults in before:
        one.__defaults__ = tuple(loop.time if value is clock else value for value in defaults or ())
    try:
        yield
    finally:
        time.monotonic, time.time, secrets.token_urlsafe = clock, wall, token
        for one, defaults in before:
            one.__defaults__ = defaults


def play(seed: int, number: int, found: Found, fuzzers: int = FUZZERS) -> None:
    """One round. Raises Failed, or Stuck."""
    log, name = ErrorLog(), f"seed {seed}, round {number}"
    loop = _Loop()
    wrong: list[str] = []
    loop.set_exception_handler(lambda _, context: wrong.append(f"{context.get('message')}: {context.get('exception')!r}"))
    root = logging.getLogger()
    root.addHandler(log)
    try:
        with determined(loop, f"{seed}-{number}"), asyncio.Runner(loop_factory=lambda: loop) as runner:
            loop.set_exception_handler(lambda _, context: wrong.append(f"{context.get('message')}: {context.get('exception')!r}"))
            runner.run(_round(name, Random(f"{seed}-{number}"), found, fuzzers))
            found.virtual_s += loop.time()
    except (Failed, virtual_time.Stuck) as failed:
        raise type(failed)("\n".join([str(failed), *wrong, *log.records])) from failed
    finally:
        root.removeHandler(log)
    if wrong or log.records:
        raise Failed("\n".join([f"{name}: what nobody waits for failed, or an error was logged:", *wrong, *log.records]))


async def _driven(made: Engines, client: Client, options: SessionOptions) -> None:
    await drive(client, made, options)


async def _round(name: str, dice: Random, found: Found, fuzzers: int) -> None:
    made, model, voice, listening = engines(dice)
    connect = partial(_driven, made)
    bystander = Bystander(connect, voice._s_per_character, found)
    fuzzed = [Fuzzer(f"{name}, client {one}", connect, dice, found).run() for one in range(fuzzers)]
    await beside(bystander, fuzzed)
    await listening.idle()
    await asyncio.sleep(0)
    left = {
        "replies": model.live, "speeches": voice.live, "sessions of speech-to-text": listening.sessions, "utterances": listening.utterances,
        "tasks": [str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()],
    }  # fmt: skip
    if any(left.values()):
        raise Failed(f"{name}: work is left: {left}")


async def beside(bystander: Bystander, fuzzed: list[Coroutine[Any, Any, None]]) -> None:
    """Until all are done; the bystander ends with the turn that it has then. Raises the first failure."""
    jobs = [asyncio.create_task(bystander.run()), *(asyncio.create_task(one) for one in fuzzed)]
    try:
        waiting = set(jobs[1:])
        while waiting:
            done, _ = await asyncio.wait([*waiting, jobs[0]], return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
            waiting -= done
        bystander.stops = True
        await jobs[0]
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
