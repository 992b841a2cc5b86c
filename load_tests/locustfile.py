"""Voice callers under locust: questions at the pace of speech, think time, interruptions, long sessions.

    locust -f load_tests/locustfile.py --host ws://127.0.0.1:8000 --users 8 --spawn-rate 1 --run-time 5m --headless --html report.html

Each caller keeps one session and an open microphone, sends a frame each 20 ms, and asks one recorded question after the other. What is
reported as response time is what a speaker waits: from the last sample of speech to the first sample of the answer. A turn fails when it
hangs, when the server says so, when its words were misheard, or when its answer is empty. `python -m load_tests.knee` runs it with more and
more callers and draws the latency.
"""

import os
import random
import signal
import time
from argparse import ArgumentParser
from typing import Any

import gevent
from locust import User, constant, events, task
from locust.exception import StopUser

from load_tests.caller import HEARS, Caller, Turn, TurnFailed
from load_tests.questions import misheard, questions

TURN, INTERRUPTION, SESSION = "turn", "interruption", "session"


@events.init_command_line_parser.add_listener
def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--think-s", type=float, default=2.0, help="mean time between an answer and the next question, in seconds")
    parser.add_argument("--interrupt-rate", type=float, default=0.2, help="share of answers that are interrupted by the next question")
    parser.add_argument("--turns", type=int, default=50, help="turns of a session; then the caller hangs up and calls again")
    parser.add_argument("--staggered", action="store_true", help="callers begin amid a session: their first has fewer turns, by chance")
    parser.add_argument("--patience-s", type=float, default=60.0, help="after so many seconds without a sign a turn counts as hung")
    parser.add_argument("--max-tokens", type=int, default=40, help="of an answer")
    parser.add_argument("--wrong-words", type=float, default=0.34, help="word error rate from which a turn was misheard; 9: never")
    parser.add_argument("--api-key-env", default="SPARKVOX_LOAD_KEY", help="the environment variable that holds the server's key")


@events.init.add_listener
def _end_on_interrupt(**_: Any) -> None:
    """Makes Ctrl-C end the run and write its report, whatever the process does at that moment, and where SIGINT was ignored when it began,
    as shells do for jobs in the background.

    Python raises KeyboardInterrupt in the greenlet that happens to run. In the thread in which websockets reads it only ends that thread:
    the caller loses its connection and the run goes on.
    """
    hub = gevent.get_hub()
    gevent.signal_handler(signal.SIGINT, lambda: hub.handle_system_error(KeyboardInterrupt, KeyboardInterrupt()))


class VoiceUser(User):
    wait_time = constant(0)
    """Callers think within their task, where an interruption cuts the thinking."""

    def on_start(self) -> None:
        self._caller: Caller | None = None
        options = self.environment.parsed_options
        self._turns = random.randrange(options.turns) if options.staggered else 0
        self._waiting: Turn | None = None

    def on_stop(self) -> None:
        self._hang_up()

    @task
    def talk(self) -> None:
        options = self.environment.parsed_options
        if self._caller is None:
            self._caller = self._call(options)
        question = random.choice(questions())
        kind = INTERRUPTION if self._waiting else TURN
        self._waiting = None
        try:
            turn = self._caller.ask(question)
            if random.random() < options.interrupt_rate:
                gevent.sleep(random.uniform(0.3, 1.5))
                self._waiting = turn
            else:
                self._caller.hear_out(turn)
                self._check(turn, options.wrong_words)
            self._fire(kind, turn)
            if not self._waiting:
                gevent.sleep(random.expovariate(1 / options.think_s) if options.think_s else 0)
        except TurnFailed as failure:
            self._fire(kind, None, failure)
            self._hang_up()
        self._turns += 1
        if self._turns % options.turns == 0:
            self._hang_up()

    def _call(self, options: Any) -> Caller:
        key = os.environ.get(options.api_key_env)
        session = {"type": "realtime", "max_output_tokens": options.max_tokens, "audio": {"input": {"transcription": HEARS}}}
        started = time.perf_counter()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            caller = Caller(f"{self.host}/v1/realtime", session, headers, options.patience_s)
        except Exception as error:  # of sockets, TLS and HTTP
            self._report(SESSION, started, error)
            gevent.sleep(1)
            raise StopUser from error
        self._report(SESSION, started, None)
        return caller

    def _hang_up(self) -> None:
        if self._caller is not None:
            self._caller.close()
            self._caller = self._waiting = None

    def _check(self, turn: Turn, wrong_words: float) -> None:
        """Raises `TurnFailed`."""
        if not turn.answer.strip():
            raise TurnFailed("answered with nothing")
        if misheard(turn.question.words, turn.heard or "") > wrong_words:
            raise TurnFailed("misheard")

    def _fire(self, kind: str, turn: Turn | None, failure: Exception | None = None) -> None:
        waited_s = turn.first_audio_at - turn.over_at if turn and turn.first_audio_at and turn.over_at else 0.0
        length = round(turn.answer_s * 1000) if turn else 0
        events.request.fire(
            request_type="VOICE", name=kind, response_time=waited_s * 1000, response_length=length, exception=failure, context={}
        )

    def _report(self, name: str, started: float, error: Exception | None) -> None:
        elapsed_ms = (time.perf_counter() - started) * 1000
        events.request.fire(request_type="WS", name=name, response_time=elapsed_ms, response_length=0, exception=error, context={})
