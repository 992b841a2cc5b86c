"""One voice client of a load test, in gevent: an open microphone, a loudspeaker that plays what has come, and turns with their times.

    microphone (a greenlet): a frame each 20 ms, of the question or of silence ──> websocket ──> events (a greenlet) ──> Turn
"""

import base64
import json
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from load_tests.questions import FRAME_S, FRAME_SAMPLES, WIRE_RATE, Question

SILENCE = bytes(2 * FRAME_SAMPLES)
HEARS = {"model": "whisper-1"}
AHEAD_S = 0.5
"""A microphone that has fallen behind by more does not make up for it: its sound is lost, as a sound card's would be."""


class TurnFailed(Exception):
    """What went wrong with a turn; the text is what the report groups by."""


@dataclass(slots=True)
class Turn:
    question: Question
    over_at: float | None = None
    """When the last sample of speech was sent."""
    heard: str | None = None
    first_audio_at: float | None = None
    answer: str = ""
    answer_s: float = 0.0
    """Seconds of audio so far."""
    status: str | None = None
    response_id: str | None = None
    problem: str | None = None
    answered: Event = field(default_factory=Event)
    """The first audio of the answer is here, or there will be none."""
    ended: Event = field(default_factory=Event)


class Caller:
    def __init__(self, url: str, session: dict[str, Any], headers: dict[str, str], patience_s: float) -> None:
        self._patience_s = patience_s
        self._socket = connect(url, max_size=None, additional_headers=headers, open_timeout=patience_s, compression=None, proxy=None)
        self._frames: deque[tuple[bytes, Turn | None]] = deque()
        self._turn: Turn | None = None
        self._before: Turn | None = None
        self._plays_until = 0.0
        self.gone: str | None = None
        """Why the connection ended, once it has."""
        self._send({"type": "session.update", "session": session})
        self._tasks = [gevent.spawn(self._microphone), gevent.spawn(self._events)]

    def close(self) -> None:
        gevent.killall(self._tasks)
        self._socket.close()

    # --- turns --------------------------------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> Turn:
        """Speaks it, and waits for the first audio of its answer. Raises `TurnFailed`."""
        turn = Turn(question)
        self._before, self._turn = self._turn, turn
        self._frames += ((frame, turn if number == question.last_speech else None) for number, frame in enumerate(question.frames))
        if not turn.answered.wait(len(question.frames) * FRAME_S + self._patience_s):
            raise TurnFailed("hung: no answer")
        if turn.problem or turn.first_audio_at is None:
            raise TurnFailed(turn.problem or f"no audio: response {turn.status}")
        return turn

    def hear_out(self, turn: Turn) -> None:
        """Waits until the answer is there, and played. Raises `TurnFailed`."""
        if not turn.ended.wait(self._patience_s):
            raise TurnFailed("hung: the answer did not end")
        if turn.problem:
            raise TurnFailed(turn.problem)
        gevent.sleep(max(0.0, self._plays_until - time.monotonic()))

    # --- the wire -----------------------------------------------------------------------------------------------------------------------

    def _send(self, event: dict[str, Any]) -> None:
        self._socket.send(json.dumps(event))

    def _microphone(self) -> None:
        due = time.monotonic()
        while True:
            frame, ends = self._frames.popleft() if self._frames else (SILENCE, None)
            self._send({"type": "input_audio_buffer.append", "audio": base64.b64encode(frame).decode()})
            now = time.monotonic()
            if ends is not None:
                ends.over_at = now
            due = max(due + FRAME_S, now - AHEAD_S)
            gevent.sleep(max(0.0, due - now))

    def _events(self) -> None:
        try:
            for event in self._received():
                self._happened(event)
        except WebSocketException as error:
            self.gone = f"connection lost: {type(error).__name__}"
        for turn in (self._before, self._turn):
            if turn is not None and not turn.ended.is_set():
                self._over(turn, self.gone or "connection closed by the server")

    def _received(self) -> Iterable[dict[str, Any]]:
        for message in self._socket:
            yield json.loads(message)

    def _happened(self, event: dict[str, Any]) -> None:
        turn = self._turn
        if turn is None:
            return
        match event["type"]:
            case "conversation.item.input_audio_transcription.completed":
                turn.heard = f"{turn.heard or ''} {event['transcript']}".strip()
            case "response.created":
                turn.response_id = event["response"]["id"]
            case "input_audio_buffer.speech_started":
                self._plays_until = 0.0  # what is not played yet is thrown away
            case "response.output_audio.delta" if event["response_id"] == turn.response_id:
                self._audio(turn, len(event["delta"]) * 3 // 4 / 2 / WIRE_RATE)
            case "response.output_audio_transcript.delta" if event["response_id"] == turn.response_id:
                turn.answer += event["delta"]
            case "response.done":
                self._done(turn, event["response"])
            case "error":
                self._over(turn, f"error {event['error'].get('code') or event['error']['type']}")

    def _audio(self, turn: Turn, audio_s: float) -> None:
        now = time.monotonic()
        turn.answer_s += audio_s
        self._plays_until = max(self._plays_until, now) + audio_s
        if turn.first_audio_at is None:
            turn.first_audio_at = now
            turn.answered.set()

    def _done(self, turn: Turn, response: dict[str, Any]) -> None:
        turn_goes_on = response["status"] == "cancelled"  # the question had a pause: what was begun in it is not the answer
        if response["id"] != turn.response_id or turn_goes_on:
            return
        turn.status = response["status"]
        self._over(turn, None if turn.status in ("completed", "incomplete") else f"response {turn.status}")

    def _over(self, turn: Turn, problem: str | None) -> None:
        turn.problem = turn.problem or problem
        turn.answered.set()
        turn.ended.set()
