"""What a client makes of a conversation's events: who said what, what was heard of it, what the server must be told. Pure: time comes in.

Rules:
- A reply belongs to the user's item that was last committed or typed when the reply was created.
- The user starting to speak silences every reply that has sound left: what the speaker had played of it is what the server is told to
  truncate to, and sound of it that still arrives is dropped.
- A turn is finished when its response is done and its transcript, where one is to come, has come.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from serve_app.client_speaker import WIRE_RATE, Speaker
from serve_app.engines import Pcm

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a turn's time went, in ms, as the server measured it; each step from the end of the one before. None: no such step."""

    endpoint_ms: float | None = None
    """From the end of speech to the decision that the turn is over."""
    transcript_ms: float | None = None
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    total_ms: float | None = None
    """From the end of speech to the first audio."""

    @classmethod
    def read(cls, metadata: dict[str, str] | None) -> "Timings | None":
        text = (metadata or {}).get("sparkvox.timings")
        if text is None:
            return None
        figures = json.loads(text)
        return cls(*(figures.get(name) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class Turn:
    response_id: str
    user_item_id: str | None
    answer_item_id: str | None
    user_text: str
    answer_text: str
    """All that the server sent, heard or not."""
    pcm: Pcm
    """All audio that was taken, at `WIRE_RATE`."""
    status: str
    """The response's: completed, cancelled, failed or incomplete; in_progress until it is done."""
    heard_samples: int | None
    """How many samples of `pcm` had been played when the user interrupted; None when nobody did."""
    timings: Timings | None
    problem: str
    """What the server said of a failed response, or of speech that could not be transcribed."""

    @property
    def heard(self) -> Pcm:
        return self.pcm[: self.heard_samples]


@dataclass(slots=True)
class _Reply:
    response_id: str
    user_item_id: str | None
    item_id: str | None = None
    content_index: int = 0
    text: str = ""
    pieces: list[Pcm] = field(default_factory=list)
    samples: int = 0
    sound_done: bool = False
    heard_samples: int | None = None
    status: str = "in_progress"
    timings: Timings | None = None
    problem: str = ""

    @property
    def silenced(self) -> bool:
        return self.heard_samples is not None

    def can_be_cut(self, played: dict[str, int]) -> bool:
        """Whether something of it is still to be heard, or to come. `played` has all items played since the last stop."""
        if self.silenced:
            return False
        if not self.sound_done:
            return self.status == "in_progress"
        return self.item_id in played and played[self.item_id] < self.samples

    def truncation(self) -> Event:
        heard_ms = (self.heard_samples or 0) * 1000 // WIRE_RATE
        return {
            "type": "conversation.item.truncate",
            "item_id": self.item_id,
            "content_index": self.content_index,
            "audio_end_ms": heard_ms,
        }


@dataclass(slots=True)
class _Said:
    """What the user said, or is saying."""

    text: str = ""
    known: bool = False
    problem: str = ""


class Dialogue:
    """Give it every server event; send what it returns."""

    def __init__(self, speaker: Speaker, *, transcribed: bool = True) -> None:
        self.speaker = speaker
        self.user_is_speaking = False
        self._transcribed = transcribed
        self._replies: dict[str, _Reply] = {}
        self._said: dict[str, _Said] = {}
        self._user_item_id: str | None = None
        self._unanswered: str | None = None
        self._handlers = self._table()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All so far, the last perhaps not finished."""
        return tuple(self._turn(reply) for reply in self._replies.values())

    @property
    def finished(self) -> tuple[Turn, ...]:
        return tuple(self._turn(reply) for reply in self._replies.values() if self._is_finished(reply))

    @property
    def is_settled(self) -> bool:
        """Nobody speaks, nothing is being answered or transcribed. Playback may go on."""
        waits = self.user_is_speaking or self._unanswered is not None
        return not waits and all(self._is_finished(reply) for reply in self._replies.values())

    def handle(self, event: Event, now: float) -> list[Event]:
        """Returns the client events that are due because of it."""
        handler = self._handlers.get(event["type"])
        return list(handler(event, now)) if handler else []

    def _table(self) -> dict[str, Callable[[Event, float], Iterator[Event]]]:
        return {
            "input_audio_buffer.speech_started": self._speech_started,
            "input_audio_buffer.speech_stopped": self._speech_stopped,
            "input_audio_buffer.committed": self._committed,
            "conversation.item.added": self._item_added,
            "conversation.item.input_audio_transcription.completed": self._transcribed_as,
            "conversation.item.input_audio_transcription.failed": self._not_transcribed,
            "response.created": self._response_created,
            "response.output_item.added": self._answer_added,
            "response.output_audio_transcript.delta": self._text_delta,
            "response.output_text.delta": self._text_delta,
            "response.output_audio.delta": self._audio_delta,
            "response.output_audio.done": self._audio_done,
            "response.done": self._response_done,
        }

    # --- the user -----------------------------------------------------------------------------------------------------------------------

    def _speech_started(self, _event: Event, now: float) -> Iterator[Event]:
        self.user_is_speaking = True
        played = self.speaker.stop(now)
        for reply in [reply for reply in self._replies.values() if reply.can_be_cut(played)]:
            reply.heard_samples = played.get(reply.item_id or "", 0)
            if reply.samples > 0:
                yield reply.truncation()

    def _speech_stopped(self, _event: Event, _now: float) -> Iterator[Event]:
        self.user_is_speaking = False
        yield from ()

    def _committed(self, event: Event, _now: float) -> Iterator[Event]:
        self.user_is_speaking = False
        self._user_item_id = self._unanswered = event["item_id"]
        self._said.setdefault(event["item_id"], _Said(known=not self._transcribed))
        yield from ()

    def _item_added(self, event: Event, _now: float) -> Iterator[Event]:
        item = event["item"]
        typed = [part["text"] for part in item.get("content", []) if part["type"] == "input_text"]
        if item.get("role") == "user" and typed:
            self._user_item_id = item["id"]
            self._said[item["id"]] = _Said(" ".join(typed), known=True)
        yield from ()

    def _transcribed_as(self, event: Event, _now: float) -> Iterator[Event]:
        said = _Said(event["transcript"].strip(), known=True)
        self._said[event["item_id"]] = said
        if not said.text and self._unanswered == event["item_id"]:
            self._unanswered = None
        yield from ()

    def _not_transcribed(self, event: Event, _now: float) -> Iterator[Event]:
        self._said[event["item_id"]] = _Said(known=True, problem=event["error"].get("message") or "The speech could not be transcribed.")
        yield from ()

    # --- the answer ---------------------------------------------------------------------------------------------------------------------

    def _response_created(self, event: Event, _now: float) -> Iterator[Event]:
        response_id = event["response"]["id"]
        self._replies[response_id] = _Reply(response_id, self._user_item_id)
        self._unanswered = None
        yield from ()

    def _answer_added(self, event: Event, _now: float) -> Iterator[Event]:
        if event["item"]["type"] == "message":
            self._replies[event["response_id"]].item_id = event["item"]["id"]
        yield from ()

    def _text_delta(self, event: Event, _now: float) -> Iterator[Event]:
        self._replies[event["response_id"]].text += event["delta"]
        yield from ()

    def _audio_delta(self, event: Event, now: float) -> Iterator[Event]:
        reply = self._replies[event["response_id"]]
        if not reply.silenced:
            pcm = np.frombuffer(base64.b64decode(event["delta"]), "<i2").astype(np.int16)
            reply.content_index = event["content_index"]
            reply.pieces.append(pcm)
            reply.samples += len(pcm)
            self.speaker.play(event["item_id"], pcm, now)
        yield from ()

    def _audio_done(self, event: Event, _now: float) -> Iterator[Event]:
        self._replies[event["response_id"]].sound_done = True
        yield from ()

    def _response_done(self, event: Event, _now: float) -> Iterator[Event]:
        response = event["response"]
        reply = self._replies[response["id"]]
        reply.status = response["status"]
        reply.timings = Timings.read(response.get("metadata"))
        if reply.status == "failed":
            reply.problem = ((response.get("status_details") or {}).get("error") or {}).get("message") or "The answer failed."
        yield from ()

    # --- turns --------------------------------------------------------------------------------------------------------------------------

    def _is_finished(self, reply: _Reply) -> bool:
        said = self._said.get(reply.user_item_id or "")
        return reply.status != "in_progress" and (said is None or said.known)

    def _turn(self, reply: _Reply) -> Turn:
        said = self._said.get(reply.user_item_id or "", _Said())
        return Turn(
            response_id=reply.response_id,
            user_item_id=reply.user_item_id,
            answer_item_id=reply.item_id,
            user_text=said.text,
            answer_text=reply.text,
            pcm=np.concatenate([np.empty(0, np.int16), *reply.pieces]),
            status=reply.status,
            heard_samples=reply.heard_samples,
            timings=reply.timings,
            problem=reply.problem or said.problem,
        )
