"""The load test as it is called, against a server that is scripted: good turns, and each way in which one can fail."""

import asyncio
import csv
import json
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deployments.engines.fake import FakeLanguageModel, FakeRecogniser, FakeTextToSpeech
from load_tests.knee import LOCUSTFILE, locust, turns_of
from serve_app.engines import Prompt, ReplyPiece
from serve_app.errors import EngineFailed
from serve_app.listening import Listening
from tests.fake_server import VOICES, fakes, serving

UNDERSTOOD = "what is a"
"""At least a word of each question, so that fewer than 99 in a hundred are wrong."""
MISHEARD = "bananas bananas bananas"
HEARD = (UNDERSTOOD, MISHEARD, UNDERSTOOD, UNDERSTOOD, UNDERSTOOD, UNDERSTOOD, UNDERSTOOD)
ANSWERS = ("Yes.", "Yes.", EngineFailed("out of order"), "", "Never said.", "Yes.", "Yes.")
HANGS, LAST = 5, 7
ALONE = ("--think-s", "0", "--interrupt-rate", "0", "--patience-s", "6", "--wrong-words", "0.99")
DEADLINE_S = 240.0
"""Only against hanging: questions are asked at the pace of speech."""


class Scripted(FakeLanguageModel):
    def __init__(self, answers: Sequence[str | EngineFailed], last: int, hangs: int | None = None) -> None:
        """`last`: the turn by which all before it have been reported, and which is not answered any more; `hangs`: another such."""
        super().__init__(answers)
        self.asked_last = threading.Event()
        self._last, self._hangs = last, hangs

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        turn = len(self.prompts) + 1
        if turn >= self._last:
            self.asked_last.set()
        async for piece in super().reply(prompt):
            if turn == self._hangs or turn >= self._last:
                await asyncio.Event().wait()
            yield piece


class Reported(NamedTuple):
    kinds: list[dict[str, Any]]
    """What `--json` prints."""
    failures: dict[str, int]
    """How often, by what went wrong."""
    html: str

    def of(self, name: str) -> dict[str, Any]:
        (found,) = (kind for kind in self.kinds if kind["name"] == name)
        return found


def reported_of(folder: Path, model: Scripted, heard: Sequence[str], more: Sequence[str]) -> Reported:
    """One caller's run, until the model is asked for the last time."""
    engines = fakes(speech_to_text=Listening(FakeRecogniser(heard)), language_model=model, text_to_speech=FakeTextToSpeech(VOICES, 0.01))
    with serving(engines=engines, **{"session.eager_sessions": 0}) as address:
        files = "--csv", str(folder / "run"), "--html", str(folder / "run.html")
        command = locust(address.replace("http", "ws").rstrip("/"), 1, round(DEADLINE_S), [*more, *files])
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            model.asked_last.wait(DEADLINE_S)
            running.send_signal(signal.SIGINT)  # on SIGTERM it writes no report
            said, _ = running.communicate(timeout=DEADLINE_S)
    with (folder / "run_failures.csv").open() as rows:
        failures = {row["Error"]: int(row["Occurrences"]) for row in csv.DictReader(rows)}
    return Reported(json.loads(said), failures, (folder / "run.html").read_text())


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    return reported_of(tmp_path_factory.mktemp("locust"), Scripted(ANSWERS, LAST, HANGS), HEARD, ALONE)


def test_each_way_to_fail_is_reported_once_and_by_what_it_was(reported: Reported) -> None:
    assert sorted(reported.failures) == [
        "TurnFailed('hung: no answer')",
        "TurnFailed('misheard')",
        "TurnFailed('no audio: response completed')",
        "TurnFailed('response failed')",
    ]
    assert set(reported.failures.values()) == {1}


def test_turns_that_failed_are_told_apart_from_those_that_did_not(reported: Reported) -> None:
    turns = turns_of(reported.kinds)
    assert (turns["turns"], turns["failed"]) == (LAST - 1, 4)


def test_a_speaker_never_waits_less_than_the_silence_that_ends_the_turn(reported: Reported) -> None:
    waits = [float(ms) for ms in reported.of("turn")["response_times"] if float(ms) > 0]
    assert waits and min(waits) > 400


def test_a_session_is_begun_anew_after_each_failure(reported: Reported) -> None:
    sessions = reported.of("session")
    assert (sessions["num_requests"], sessions["num_failures"]) == (5, 0)


def test_the_report_has_percentiles_over_time(reported: Reported) -> None:
    assert '"response_time_percentile_0.95": [' in reported.html and "misheard" in reported.html


def test_callers_interrupt_as_often_as_they_are_told_and_call_again_after_so_many_turns(tmp_path: Path) -> None:
    """Two turns a session, the second an interruption of the first's answer, which would go on for half a minute."""
    model, heard = Scripted(["and on " * 500] * 5, last=5), [UNDERSTOOD] * 5
    run = reported_of(tmp_path, model, heard, ["--interrupt-rate", "1", "--turns", "2", "--wrong-words", "0.99"])
    assert not run.failures
    assert (run.of("turn")["num_requests"], run.of("interruption")["num_requests"]) == (2, 2)
    assert run.of("session")["num_requests"] == 3


INTERRUPTED_IN_A_THREAD = f"""
from locust.env import Environment
from locust.util.load_locustfile import load_locustfile
import gevent, os, signal, threading

load_locustfile({str(LOCUSTFILE)!r})
from locust import events

events.init.fire(environment=Environment(), runner=None, web_ui=None)


def reads() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    gevent.sleep(0)


threading.Thread(target=reads).start()
try:
    gevent.sleep(60)
except KeyboardInterrupt:
    print("stops")
"""


@pytest.mark.parametrize("ignored", [False, True], ids=["by a terminal", "in the background"])
def test_an_interrupt_that_comes_while_a_message_is_read_ends_the_run(ignored: bool) -> None:
    """Shells start background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        ran = subprocess.run([sys.executable, "-c", INTERRUPTED_IN_A_THREAD], capture_output=True, text=True, check=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ran.stdout.strip(), ran.stderr) == ("stops", "")
