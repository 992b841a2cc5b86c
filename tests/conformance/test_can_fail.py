"""A rule that is broken on the way fails its check, with the trace: the suite is not green by itself."""

import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection, serve

from tests.conformance import obedient, report
from tests.conformance.invariants import Event, Rule
from tests.conformance.line import Line
from tests.conformance.suite import Options, Suite
from tests.conformance.test_suite import named, options
from tests.fake_server import serving

Tamper = Callable[[Event], list[Event]]
"""What arrives in place of one message of the server."""
SOON_S = 5.0
"""What a broken server will never send is not waited for any longer."""


class TamperedLine(Line):
    def __init__(self, socket: ClientConnection, patience_s: float, tamper: Tamper) -> None:
        super().__init__(socket, patience_s)
        self._tamper = tamper

    async def _heard(self, raw: str | bytes) -> None:
        for event in self._tamper(json.loads(raw)):
            await super()._heard(json.dumps(event))


class TamperedSuite(Suite):
    def __init__(self, asked: Options, tamper: Tamper) -> None:
        super().__init__(asked)
        self._tamper = tamper

    def line_on(self, socket: ClientConnection) -> Line:
        return TamperedLine(socket, self.options.patience_s, self._tamper)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(max_sessions=16, engines=obedient.engines()) as address:
        yield address


# --- what is done to the messages -------------------------------------------------------------------------------------------------------


def without(kind: str) -> Tamper:
    return lambda event: [] if event["type"] == kind else [event]


def changed(kind: str, change: Callable[[Event], object]) -> Tamper:
    def tamper(event: Event) -> list[Event]:
        if event["type"] == kind:
            change(event)
        return [event]

    return tamper


def followed(kind: str, by: Event) -> Tamper:
    return lambda event: [event, {**event, "event_id": f"{event['event_id']}_2", **by}] if event["type"] == kind else [event]


def late(kind: str, after: str) -> Tamper:
    """`kind` comes after the next `after`."""
    held: list[Event] = []

    def tamper(event: Event) -> list[Event]:
        if event["type"] == kind:
            held.append(event)
            return []
        return [event, *(held.pop() for _ in list(held))] if event["type"] == after else [event]

    return tamper


def without_transcript(event: Event) -> None:
    for part in event["item"].get("content", []):
        part.pop("transcript", None)


ADDED, STOPPED, DONE = "conversation.item.added", "input_audio_buffer.speech_stopped", "response.done"
SPOKEN = "conversation.item.input_audio_transcription"

CHECKS: list[tuple[str, Tamper]] = [
    ("session.updated-is-whole", changed("session.updated", lambda event: event["session"].pop("tracing"))),
    ("session.empty-string-clears-instructions", changed("session.updated", lambda event: event["session"].update(instructions="Ahoy."))),
    ("session.expires-within-the-hour", changed("session.created", lambda event: event["session"].update(expires_at=1))),
    ("turns.one-item-id-for-a-spoken-turn", changed(STOPPED, lambda event: event.update(item_id="item_other"))),
    ("turns.users-item-has-a-transcript-key", changed(ADDED, without_transcript)),
    ("turns.spoken-turn-comes-in-order", late("input_audio_buffer.speech_started", "input_audio_buffer.committed")),
    ("turns.answer-comes-in-order", late("response.output_item.added", ADDED)),
    ("turns.audio-is-sound", changed("response.output_audio.delta", lambda event: event.update(delta="A" * len(event["delta"])))),
    ("turns.rate-limits-follow-the-response", without("rate_limits.updated")),
    ("hearing.transcription-only-grows", followed(f"{SPOKEN}.delta", {"delta": " again"})),
    ("hearing.transcription-is-right", changed(f"{SPOKEN}.completed", lambda event: event.update(transcript="Wombat."))),
    ("detection.prefix-padding-ms", changed("input_audio_buffer.speech_started", lambda event: event.update(audio_start_ms=300))),
    ("detection.silence-duration-ms", changed(STOPPED, lambda event: event.update(audio_end_ms=3000))),
    ("interruption.cancel-ends-the-answer", changed(DONE, lambda event: event["response"].update(status="completed"))),
    ("items.created-at-the-root-and-in-the-middle", changed(ADDED, lambda event: event.update(previous_item_id=None))),
    ("items.delete-is-told", changed("conversation.item.deleted", lambda event: event.update(item_id="item_other"))),
    ("responses.metadata-is-echoed", changed("response.created", lambda event: event["response"].update(metadata=None))),
    ("tools.arguments-are-streamed", changed("response.function_call_arguments.done", lambda event: event.update(arguments="{}"))),
    ("errors.cancelling nothing", changed("error", lambda event: event["error"].update(code="oops"))),
    ("errors.nothing to commit", changed("error", lambda event: event["error"].update(event_id=None))),
    ("access.transcription-sessions-never-respond", followed(f"{SPOKEN}.completed", {"type": "rate_limits.updated", "rate_limits": []})),
]


@pytest.mark.parametrize(("name", "tamper"), CHECKS, ids=[name for name, _ in CHECKS])
async def test_a_check_fails(url: str, name: str, tamper: Tamper) -> None:
    assert (await Suite(options(url)).run(named(name))).outcome == "passed"
    result = await TamperedSuite(options(url, patience_s=SOON_S), tamper).run(named(name))
    row = report.row_of(result)
    assert (row.outcome, bool(row.why)) == ("failed", True)
    assert any("<-" in text for text in row.trace)


RULES: list[tuple[Rule, Tamper]] = [
    (Rule.EVENT_IDS, changed("response.created", lambda event: event.update(event_id="event_1"))),
    (Rule.ONE_END, followed(DONE, {})),
    (Rule.ONE_LIVE, followed("response.created", {"response": {"id": "resp_2", "status": "in_progress", "conversation_id": "conv_1"}})),
    (Rule.ALL_DONE, without("conversation.item.done")),
    (Rule.TEXTS, changed("response.output_text.done", lambda event: event.update(text="Something else."))),
    (Rule.AFTER_ADDED, late("response.content_part.added", "response.output_text.delta")),
    (Rule.ORDER, changed(ADDED, lambda event: event.update(previous_item_id="item_nobody"))),
    (Rule.SPEECH_PAIRS, followed(DONE, {"type": STOPPED, "item_id": "item_unheard", "audio_end_ms": 1})),
    (Rule.USAGE, changed(DONE, lambda event: event["response"]["usage"].update(total_tokens=1))),
    (Rule.KNOWN, followed(DONE, {"type": "sparkvox.timings"})),
    (Rule.SIZE, changed(DONE, lambda event: event.update(padding="x" * 2**20))),
    (Rule.OPENAI, changed("response.output_text.delta", lambda event: event.update(output_index="0"))),
    (Rule.AGENTS_JS, changed("response.content_part.added", lambda event: event["part"].update(transcript=None))),
]


@pytest.mark.parametrize(("rule", "tamper"), RULES, ids=[rule.name.lower() for rule, _ in RULES])
async def test_a_rule_that_always_holds_is_found_broken(url: str, rule: Rule, tamper: Tamper, node: str) -> None:
    suite = TamperedSuite(options(url, patience_s=SOON_S), _twice(tamper))
    results = [await suite.run(named(f"responses.{name}")) for name in ("usage-adds-up", "text-answer-comes-in-order")]
    await report.ask_javascript(results)
    rows = {row.rule: row for row in report.rows_of_rules(results)}
    assert rows[rule].outcome == "failed"
    assert "first in responses." in rows[rule].why and rows[rule].trace
    assert rows[Rule.EVENT_IDS].outcome == "passed" or rule is Rule.EVENT_IDS


def _twice(tamper: Tamper) -> Tamper:
    """An id that is used twice needs a first use."""
    return lambda event: [one | ({"event_id": "event_1"} if one["type"] == "session.created" else {}) for one in tamper(event)]


def test_every_rule_has_been_broken_here() -> None:
    assert {rule for rule, _ in RULES} == set(Rule)


# --- servers that do not even try -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    async def ignore(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with serve(ignore, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_a_server_that_says_nothing_fails_instead_of_hanging(silent: str) -> None:
    result = await Suite(options(silent, patience_s=0.1)).run(named("session.updated-is-whole"))
    assert (result.outcome, result.why) == ("failed", "waited 0.1 s for session.created")


async def test_a_server_that_hangs_up_fails() -> None:
    async def hang_up(connection: ServerConnection) -> None:
        await connection.close(1011, "no")

    async with serve(hang_up, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        result = await Suite(options(address)).run(named("session.updated-is-whole"))
    assert result.outcome == "failed" and "code 1011, 'no'" in result.why


async def test_a_server_that_is_not_there_fails() -> None:
    result = await Suite(options("http://127.0.0.1:1/")).run(named("session.updated-is-whole"))
    assert result.outcome == "failed" and "ConnectionRefusedError" in result.why


async def test_an_error_that_nobody_asked_for_fails_what_waits(url: str) -> None:
    tamper = followed("session.updated", {"type": "error", "error": {"type": "server_error", "message": "overheated"}})
    result = await TamperedSuite(options(url), tamper).run(named("items.delete-is-told"))
    assert result.outcome == "passed"  # it updates nothing
    result = await TamperedSuite(options(url), tamper).run(named("responses.usage-adds-up"))
    assert result.outcome == "failed" and "overheated" in result.why
