"""A server as a user starts it, with spoken turns, a real Prometheus that looks at it, and every query of the dashboard asked of that."""

import json
import math
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from websockets.exceptions import ConnectionClosed

from serve_app.measures import MEASURES, Kind
from tests.e2e.caller import RATE, Caller, Event, calling
from tests.observability.prometheus import DASHBOARDS, Prometheus, looking_at, program
from tests.real_server import free_port, running

HEARD = (
    "The first is of the proof that the engine hears.",
    "A pomegranate.",
    "",
    "Tell me of the medlar.",
    "Mm-hm.",
    "Tell me of the persimmon, and of its wood.",
    "Stop now please.",
)
"""What speech-to-text hears, one utterance after the other. Answers repeat it, and none asks anything: then "mm-hm" would be the reply."""
UNCOMMON = ("pomegranate", "medlar", "persimmon")
PLAYED = {"completed": 3, "silent": 1, "interrupted": 1, "cancelled": 0, "incomplete": 0, "failed": 0}
RAY = "ray_"
PIXELS = {"$__rate_interval": "1m"}
"""What Grafana puts into a query."""
SETTINGS = (
    "logs.format=json",
    "session.max_sessions=1",
    "session.barge_in_s=3",
    "session.lead_s=1",
    "session.eager_wait_s=60",
    "stt.options.step_s=0.1",
    f"stt.options.texts={json.dumps(HEARD)}",
)
"""Whether the machine has much to do decides nothing."""
SILENCE_S = 1.0
"""Ends a turn: long enough for the guess in it on such a machine too."""


@dataclass(frozen=True, slots=True)
class Played:
    prometheus: Prometheus
    logs: Path
    """The folder of Ray's logs."""


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    """Two sessions were held, the second is live; one more was refused."""
    program()
    with tempfile.TemporaryDirectory(prefix="sv", dir="/tmp") as name:
        folder, port = Path(name), free_port()
        environment = {"RAY_TMPDIR": str(folder), "RAY_metrics_report_interval_ms": "1000"}
        with running(folder / "server.log", "fake", *SETTINGS, "--metrics-port", str(port), **environment) as url:
            with looking_at(port, folder) as prometheus, start_blocking_portal() as portal:
                portal.call(first_session, url)
                prometheus.until("ray_sparkvox_voice_to_voice_seconds_count", 1)  # a rate counts from the second look on
                with portal.wrap_async_context_manager(second_session(url)):
                    prometheus.until("ray_sparkvox_turns_total", sum(PLAYED.values()))
                    prometheus.until("ray_sparkvox_refusals_total", 1)
                    prometheus.until("ray_sparkvox_live_sessions", 1)
                    yield Played(prometheus, folder / "ray")


async def first_session(url: str) -> None:
    async with patiently(url) as caller:
        await hesitating(caller)


@asynccontextmanager
async def second_session(url: str) -> AsyncIterator[None]:
    async with patiently(url) as caller:
        await coughing(caller)
        await listening(caller)
        await interrupting(caller)
        await refused(url)
        yield


def patiently(url: str) -> AbstractAsyncContextManager[Caller]:
    turns = {"type": "server_vad", "silence_duration_ms": int(SILENCE_S * 1000)}
    return calling(url, audio={"input": {"turn_detection": turns}})


async def hesitating(caller: Caller) -> None:
    """The pause is long enough for a draft, and too short for the end of the turn."""
    caller.hums(0.3)
    caller.is_silent(SILENCE_S - 0.1)
    caller.hums(0.3)
    await answered(caller, "pomegranate")


async def coughing(caller: Caller) -> None:
    caller.hums(0.3)
    response = await ended(caller)
    assert response["status"] == "completed" and not response["output"], response


async def listening(caller: Caller) -> None:
    """An answer, and "mm-hm" over it."""
    caller.hums(0.3)
    await caller.gets("response.output_audio.delta")
    caller.hums(0.3)
    response = await answered(caller, "medlar")
    caller.is_silent(len(caller.audio_of(response["id"])) / RATE)  # what is said next is not said over it


async def interrupting(caller: Caller) -> None:
    """Words over an answer of which more is to come; they are answered."""
    caller.hums(0.3)
    await caller.gets("response.output_audio.delta")
    caller.hums(0.3)
    response = await ended(caller)
    assert response["status"] == "cancelled", response
    await answered(caller, "stop")


async def answered(caller: Caller, word: str) -> Event:
    response = await ended(caller)
    assert response["status"] == "completed" and word in json.dumps(response["output"]).lower(), response
    return response


async def ended(caller: Caller) -> Event:
    response: Event = (await caller.gets("response.done"))["response"]
    return response


async def refused(url: str) -> None:
    with pytest.raises(ConnectionClosed, match="1013"):
        async with calling(url):
            pass


def queries() -> list[tuple[str, str]]:
    """Of each panel, with what Grafana puts in."""
    dashboard = json.loads((DASHBOARDS / "sparkvox.json").read_text())
    found = [(panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for variable, value in PIXELS.items():
        found = [(title, query.replace(variable, value)) for title, query in found]
    return found


@pytest.mark.parametrize(("title", "query"), queries())
def test_every_query_of_the_dashboard_has_an_answer(title: str, query: str, played: Played) -> None:
    answer = played.prometheus.ask(query)
    assert answer, f"{title} is empty"
    assert not any(math.isnan(float(one["value"][1])) for one in answer), f"{title} divides by nothing: {answer}"


def test_the_turns_are_those_that_were_played(played: Played) -> None:
    assert played.prometheus.by("outcome", "sum by (outcome) (ray_sparkvox_turns_total)") == PLAYED


def test_the_sessions_are_those_that_were_held(played: Played) -> None:
    assert played.prometheus.sum("ray_sparkvox_sessions_started_total") == 2
    ended = played.prometheus.by("why", "sum by (why) (ray_sparkvox_sessions_ended_total)")
    assert ended == {"left": 1, "expired": 0, "replaced": 0, "other": 0}


def test_each_answer_that_was_heard_was_waited_for_once(played: Played) -> None:
    assert played.prometheus.sum("ray_sparkvox_voice_to_voice_seconds_count") == 4
    stages = played.prometheus.by("stage", "sum by (stage) (ray_sparkvox_stage_seconds_count)")
    assert stages.pop("guess") >= 1
    assert stages == {"endpointing": 5, "transcription": 5, "first_token": 4, "first_clause": 4, "synthesis": 4, "first_audio": 4}


def test_speech_over_answers_is_told_by_what_it_was(played: Played) -> None:
    assert played.prometheus.by("outcome", "sum by (outcome) (ray_sparkvox_barge_ins_total)") == {"confirmed": 1, "false_alarm": 1}


def test_the_hesitation_cost_a_draft_and_the_others_were_released(played: Played) -> None:
    drafts = played.prometheus.by("outcome", "sum by (outcome) (ray_sparkvox_drafts_total)")
    assert drafts["discarded"] >= 1 and drafts["released"] >= 1
    assert played.prometheus.sum("ray_sparkvox_draft_saved_seconds_total") > 0


def test_one_session_was_refused_for_want_of_a_place(played: Played) -> None:
    reasons = played.prometheus.by("reason", "sum by (reason) (ray_sparkvox_refusals_total)")
    assert reasons == {"places": 1, "key_places": 0, "audio": 0, "memory": 0, "engine": 0, "key": 0, "host": 0}


def test_prometheus_sees_every_measure_and_no_other(played: Played) -> None:
    declared = {f"{RAY}{measure.name}{end}" for measure in MEASURES for end in endings(measure.kind)}
    assert {name for name in played.prometheus.names() if name.startswith(f"{RAY}sparkvox_")} == declared


def endings(kind: Kind) -> tuple[str, ...]:
    return ("_bucket", "_count", "_sum") if kind is Kind.HISTOGRAM else ("",)


def test_labels_are_few_and_hold_no_ids(played: Played) -> None:
    label_values = {value for one in played.prometheus.ask('{__name__=~"ray_sparkvox_.*"}') for value in one["metric"].values()}
    assert not [value for value in label_values if value.startswith(("sess_", "resp_", "item_"))]


# --- logs -------------------------------------------------------------------------------------------------------------------------------


def lines(logs: Path, name: str) -> list[dict[str, Any]]:
    """Of a replica's log, each a JSON object."""
    (file,) = {one.resolve() for one in logs.glob(f"session_*/logs/serve/replica_*{name}*.log")}
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_logs_are_json_with_the_ids_of_session_response_and_item(played: Played) -> None:
    ended = [line for line in lines(played.logs, "Gateway") if line["message"] == "a response has ended"]
    assert [line["outcome"] for line in ended].count("completed") == PLAYED["completed"]
    assert len({line["session_id"] for line in ended}) == 2
    assert len({line["response_id"] for line in ended}) == len({line["item_id"] for line in ended}) == len(ended)
    assert {line["levelname"] for line in ended} == {"INFO"}


def test_what_the_engines_log_is_json_too(played: Played) -> None:
    for name in ("SpeechToText", "LanguageModel", "TextToSpeech"):
        assert lines(played.logs, name)


def test_no_word_of_what_was_said_or_answered_is_in_any_log(played: Played) -> None:
    searched = [file for file in played.logs.rglob("*") if file.is_file() and "logs" in file.parts]
    assert [file for file in searched if "Gateway" in file.name], "nothing was searched"
    for file in searched:
        text = file.read_bytes().decode(errors="replace").lower()
        assert not [word for word in UNCOMMON if word in text], f"{file} holds what was said"
