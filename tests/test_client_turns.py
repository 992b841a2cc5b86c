"""What a client makes of a conversation, without network or time."""

import base64
import json
from typing import Any

import numpy as np

from serve_app.client_speaker import VirtualSpeaker
from serve_app.client_turns import Dialogue, Timings

SECOND = np.ones(24_000, np.int16)


def test_a_virtual_speaker_plays_at_the_pace_of_real_time() -> None:
    speaker = VirtualSpeaker()
    speaker.play("a", SECOND, now=100.0)
    speaker.play("b", SECOND, now=100.1)
    assert speaker.left_s(now=101.5) == 0.5
    assert speaker.stop(now=101.5) == {"a": 24_000, "b": 12_000}
    assert speaker.left_s(now=101.5) == 0


def test_a_virtual_speaker_with_nothing_to_play_waits() -> None:
    speaker = VirtualSpeaker()
    speaker.play("a", SECOND, now=100.0)
    speaker.play("a", SECOND, now=110.0)
    assert speaker.stop(now=110.25) == {"a": 30_000}


class Told:
    """A dialogue that is told of events, second by second."""

    def __init__(self) -> None:
        self.dialogue = Dialogue(VirtualSpeaker())
        self.now = 0.0

    def tell(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        return self.dialogue.handle({"type": kind, **fields}, self.now)

    def user_speaks(self, item_id: str) -> list[dict[str, Any]]:
        sent = self.tell("input_audio_buffer.speech_started", item_id=item_id)
        self.tell("input_audio_buffer.speech_stopped", item_id=item_id)
        self.tell("input_audio_buffer.committed", item_id=item_id)
        return sent

    def transcript(self, item_id: str, text: str) -> None:
        self.tell("conversation.item.input_audio_transcription.completed", item_id=item_id, transcript=text)

    def answer_begins(self, response_id: str, item_id: str) -> None:
        self.tell("response.created", response={"id": response_id})
        self.tell("response.output_item.added", response_id=response_id, item={"id": item_id, "type": "message"})

    def sound(self, response_id: str, item_id: str, seconds: int) -> None:
        delta = base64.b64encode(np.tile(SECOND, seconds).tobytes()).decode()
        self.tell("response.output_audio.delta", response_id=response_id, item_id=item_id, content_index=0, delta=delta)

    def answer_ends(self, response_id: str, status: str = "completed", **fields: Any) -> None:
        self.tell("response.output_audio.done", response_id=response_id)
        self.tell("response.done", response={"id": response_id, "status": status, **fields})


def test_a_turn_holds_both_sides_and_where_the_time_went() -> None:
    told = Told()
    told.user_speaks("u1")
    told.answer_begins("r1", "a1")
    told.tell("response.output_audio_transcript.delta", response_id="r1", delta="Paris, ")
    told.tell("response.output_audio_transcript.delta", response_id="r1", delta="of course.")
    told.sound("r1", "a1", 2)
    told.answer_ends("r1", metadata={"sparkvox.timings": json.dumps({"endpoint_ms": 400.5, "total_ms": 900})})
    assert told.dialogue.finished == ()
    told.transcript("u1", " The capital of France? ")

    (turn,) = told.dialogue.finished
    assert (turn.user_text, turn.answer_text) == ("The capital of France?", "Paris, of course.")
    assert (turn.user_item_id, turn.answer_item_id, turn.status) == ("u1", "a1", "completed")
    assert turn.timings == Timings(endpoint_ms=400.5, total_ms=900)
    assert len(turn.heard) == 48_000
    assert told.dialogue.is_settled


def test_a_committed_question_is_not_settled_before_its_answer_is_done() -> None:
    told = Told()
    told.user_speaks("u1")
    told.transcript("u1", "Hello?")
    assert not told.dialogue.is_settled
    told.answer_begins("r1", "a1")
    assert not told.dialogue.is_settled
    told.answer_ends("r1")
    assert told.dialogue.is_settled


def test_speech_of_which_nothing_was_understood_needs_no_answer() -> None:
    told = Told()
    told.user_speaks("u1")
    told.transcript("u1", "")
    assert told.dialogue.is_settled


def test_speaking_over_an_answer_truncates_it_to_what_was_played() -> None:
    told = Told()
    told.answer_begins("r1", "a1")
    told.sound("r1", "a1", 5)
    told.now = 1.5
    assert told.user_speaks("u2") == [{"type": "conversation.item.truncate", "item_id": "a1", "content_index": 0, "audio_end_ms": 1500}]
    told.sound("r1", "a1", 1)
    told.answer_ends("r1", "cancelled")
    (turn,) = told.dialogue.finished
    assert (len(turn.pcm), len(turn.heard), turn.status) == (120_000, 36_000, "cancelled")


def test_an_answer_that_is_made_but_still_playing_is_truncated_too() -> None:
    told = Told()
    told.answer_begins("r1", "a1")
    told.sound("r1", "a1", 5)
    told.answer_ends("r1")
    told.now = 2.0
    assert [event["audio_end_ms"] for event in told.user_speaks("u2")] == [2000]


def test_the_servers_own_end_before_the_start_of_speech_does_not_lose_the_truncation() -> None:
    told = Told()
    told.answer_begins("r1", "a1")
    told.sound("r1", "a1", 5)
    told.answer_ends("r1", "cancelled")
    told.now = 0.5
    assert [event["audio_end_ms"] for event in told.user_speaks("u2")] == [500]


def test_an_answer_that_was_heard_to_its_end_is_never_truncated() -> None:
    told = Told()
    told.answer_begins("r1", "a1")
    told.sound("r1", "a1", 1)
    told.answer_ends("r1")
    told.now = 1.5
    assert told.user_speaks("u2") == []
    told.answer_begins("r2", "a2")
    told.sound("r2", "a2", 1)
    told.now = 2.0
    assert [event["item_id"] for event in told.user_speaks("u3")] == ["a2"]


def test_an_answer_without_sound_yet_is_silenced_and_needs_no_truncation() -> None:
    told = Told()
    told.answer_begins("r1", "a1")
    assert told.user_speaks("u2") == []
    told.sound("r1", "a1", 1)
    assert told.dialogue.speaker.left_s(told.now) == 0
