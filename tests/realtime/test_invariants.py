"""Random conversations, legal moves and illegal ones, through the pure core and the wire: what is always true stays true."""

import json
from itertools import count

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.conversation import Conversation
from serve_app.realtime.session_object import Served, SessionObject
from serve_app.realtime.wire import AudioAppended, Commit, ItemBrought, Wire
from tests.conformance.invariants import Invariants

SERVED = Served("small", "ear", "af_heart", ("af_heart", "am_michael", "af_bella"))
IDLE = {"type": "server_vad", "idle_timeout_ms": 500}
SERVER_EVENT: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
words = st.sampled_from(["Yes, ", "the answer ", "is four. ", "And ", "then some more of it", "\n", "€5 – fine! "])
seconds = st.sampled_from([0.0, 0.1, 0.5, 2.0, 10.0])


class RandomConversation(RuleBasedStateMachine):
    """Engines answer late, out of order and after the end; the client asks for what is not there."""

    @initialize(
        detection=st.sampled_from(["server_vad", "semantic_vad", None]),
        modality=st.sampled_from(["audio", "text"]),
        barge_in_s=st.sampled_from([0.0, 0.6]),
    )
    def open(self, detection: str | None, modality: str, barge_in_s: float) -> None:
        numbers = count(1)
        self.now, self.audio_s = 0.0, 0.0
        self.seen = Invariants()
        self.session = SessionObject("sess_1", SERVED, 0)
        new_id = lambda kind: f"{kind}_{next(numbers)}"  # noqa: E731
        self.wire = Wire(self.session, new_id, timings=True)
        self.conversation = Conversation(self.session.config(), new_id, barge_in_s=barge_in_s)
        self.replies: list[str] = []
        self.clauses: list[tuple[str, int]] = []
        self.utterances: list[str] = []
        self.finished: set[str] = set()
        self.guesses: list[tuple[str, float]] = []
        self.held: set[str] = set()
        self.discarded: set[str] = set()
        self.drafted = 0
        self.flows = True
        self.doubtful: str | None = None
        self.messages: list[dict] = []
        self.client(
            type="session.update",
            session={"output_modalities": [modality], "audio": {"input": {
                "turn_detection": {"type": detection} if detection else None, "transcription": {"model": "x"}}}},
        )  # fmt: skip

    # --- the world ----------------------------------------------------------------------------------------------------------------------

    def client(self, **event: object) -> None:
        received = self.wire.receive(json.dumps(event))
        for one in received.events:
            match one:
                case AudioAppended():
                    pass
                case Commit(event_id):
                    self.happens(ev.CommitAsked(1.0, event_id))
                case ItemBrought(created):
                    self.happens(created)
                case _:
                    self.happens(one)
        for reply in received.replies:
            self.sees(reply)

    def happens(self, event: ev.Event) -> None:
        for command in self.conversation.handle(event, self.now):
            match command:
                case cmd.Tell(what):
                    for message in self.wire.render(what):
                        self.sees(message)
                case cmd.StartReply(response_id, _, held):
                    assert not (held and self.held), "two drafts at once"
                    self.replies.append(response_id)
                    self.held |= {response_id} if held else set()
                    self.drafted += held
                case cmd.ReleaseReply(response_id):
                    self.held.remove(response_id)
                case cmd.StopReply(response_id) if response_id in self.held:
                    self.held.remove(response_id)
                    self.discarded.add(response_id)
                case cmd.GuessTranscript(item_id, at_s):
                    self.guesses.append((item_id, at_s))
                case cmd.Speak():
                    self.clauses.append((command.response_id, command.clause))
                case cmd.BeginUtterance(item_id) | cmd.TranscribeItem(item_id):
                    self.utterances.append(item_id)
                case cmd.HoldAudio():
                    assert self.flows, "held twice"
                    self.flows, self.doubtful = False, self.utterances[-1]
                case cmd.ResumeAudio():
                    assert not self.flows, "resumed without being held"
                    self.flows, self.doubtful = True, None

    def sees(self, message: dict) -> None:
        self.seen.see(message)
        SERVER_EVENT.validate_python(json.loads(json.dumps(message)), strict=True)
        self.messages.append(message)

    # --- moves --------------------------------------------------------------------------------------------------------------------------

    @rule(seconds=seconds)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.happens(ev.DeadlinePassed())

    @rule(seconds=seconds)
    def user_speaks(self, seconds: float) -> None:
        self.audio_s += seconds
        self.happens(ev.SpeechStarted(self.audio_s))

    @rule(seconds=seconds)
    def user_stops(self, seconds: float) -> None:
        self.audio_s += seconds
        self.happens(ev.SpeechStopped(self.audio_s + 0.5, self.audio_s))

    @rule(seconds=seconds, since=st.sampled_from([0.0, 0.2, 0.4]))
    def user_pauses(self, seconds: float, since: float) -> None:
        self.audio_s += seconds
        if self.session.config().turn_taking is not None:
            self.happens(ev.SpeechPaused(self.audio_s, self.audio_s + since, True))

    @rule()
    def user_goes_on(self) -> None:
        self.happens(ev.SpeechResumed())

    @rule(text=st.sampled_from(["Hello.", "hello", "What is it?"]), speaks=st.booleans(), ends=st.booleans())
    def user_pauses_and_is_guessed(self, text: str, speaks: bool, ends: bool) -> None:
        """What is rarely met by chance: everything said has its text, and nobody answers yet."""
        for item_id in [one["item_id"] for one in self.messages if one["type"] == "input_audio_buffer.committed"]:
            self.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        if speaks:
            self.happens(ev.SpeechStarted(self.audio_s))
        self.user_pauses(1.0, 0.2)
        if self.guesses:
            self.happens(ev.TranscriptGuessed(self.guesses[-1][0], text, self.guesses[-1][1], 1.0))
        if ends:
            self.happens(ev.SpeechStopped(self.audio_s + 0.5, self.audio_s))

    @rule(text=st.sampled_from(["", "Mm-hm.", "Stop."]), guessed=st.booleans(), ends=st.booleans(), last=st.booleans())
    def user_makes_a_sound_over_an_answer(self, text: str, guessed: bool, ends: bool, last: bool) -> None:
        """What is rarely met by chance: an answer that is heard, and nobody speaking."""
        self.client(type="input_audio_buffer.clear")
        for item_id in [one["item_id"] for one in self.messages if one["type"] == "input_audio_buffer.committed"]:
            self.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        self.client(type="response.create", response={"output_modalities": ["audio"]})
        for response_id in self.replies:
            self.happens(ev.ReplyText(response_id, "One sentence. And then another one. "))
        for response_id, clause in self.clauses:
            self.happens(ev.ClauseAudio(response_id, clause, 2.0))
        self.happens(ev.SpeechStarted(self.audio_s))
        self.user_pauses(0.3, 0.2)
        if self.guesses and guessed:
            self.happens(ev.TranscriptGuessed(self.guesses[-1][0], text, self.guesses[-1][1], 1.0))
        if last:
            for response_id in self.replies:
                self.happens(ev.ReplyFinished(response_id, "stop", 7, 3, 2))
            self.finished |= set(self.replies)
        if ends:
            self.happens(ev.SpeechStopped(self.audio_s + 0.5, self.audio_s))

    @rule(text=st.sampled_from(["", "Hello.", "hello", "What is it?"]), data=st.data())
    def ear_guesses(self, text: str, data: st.DataObject) -> None:
        if self.guesses:
            item_id, at_s = data.draw(st.sampled_from(self.guesses))
            self.happens(ev.TranscriptGuessed(item_id, text, at_s, 1.0))

    @rule()
    def audio_comes_under_push_to_talk(self) -> None:
        if self.session.config().turn_taking is None:
            self.happens(ev.BufferStarted(self.audio_s))

    @rule(text=st.sampled_from(["", "Hello.", "What is it?"]), data=st.data(), outcome=st.sampled_from(["grew", "finished", "failed"]))
    def ear_answers(self, text: str, data: st.DataObject, outcome: str) -> None:
        if self.utterances:
            item_id = data.draw(st.sampled_from(self.utterances))
            match outcome:
                case "grew":
                    self.happens(ev.TranscriptGrew(item_id, text))
                case "finished":
                    self.happens(ev.TranscriptFinished(item_id, text, 1.0))
                case _:
                    self.happens(ev.TranscriptFailed(item_id, "broken"))

    @rule(text=words, data=st.data())
    def model_writes(self, text: str, data: st.DataObject) -> None:
        if unfinished := [one for one in self.replies if one not in self.finished]:
            self.happens(ev.ReplyText(data.draw(st.sampled_from(unfinished)), text))

    @rule(data=st.data(), index=st.integers(0, 2), piece=st.sampled_from(["", "{", '"a": 1', "}"]))
    def model_calls_a_tool(self, data: st.DataObject, index: int, piece: str) -> None:
        if unfinished := [one for one in self.replies if one not in self.finished]:
            self.happens(ev.ReplyToolCall(data.draw(st.sampled_from(unfinished)), index, "look_up", piece))

    @rule(data=st.data(), end=st.sampled_from(["stop", "length", "failed"]))
    def model_ends(self, data: st.DataObject, end: str) -> None:
        if self.replies:
            response_id = data.draw(st.sampled_from(self.replies))
            self.finished.add(response_id)
            self.happens(ev.ReplyFailed(response_id, "broken") if end == "failed" else ev.ReplyFinished(response_id, end, 7, 3, 2))

    @rule(seconds=seconds, last=st.booleans())
    def voice_speaks(self, seconds: float, last: bool) -> None:
        if self.clauses:
            response_id, clause = self.clauses[0]
            self.happens(ev.ClauseAudio(response_id, clause, seconds))
            if last:
                self.clauses.pop(0)
                self.happens(ev.ClauseSpoken(response_id, clause))

    @rule(data=st.data())
    def voice_has_its_first_sound(self, data: st.DataObject) -> None:
        """Of a draft too, and of what is over."""
        if self.clauses:
            self.happens(ev.SoundMade(*data.draw(st.sampled_from(self.clauses))))

    @rule()
    def voice_fails(self) -> None:
        if self.clauses:
            self.happens(ev.SpeakingFailed(self.clauses.pop(0)[0], "broken"))

    @rule(out_of_band=st.booleans(), modality=st.sampled_from([None, "text", "audio"]))
    def client_asks_for_a_response(self, out_of_band: bool, modality: str | None) -> None:
        body: dict[str, object] = {"conversation": "none"} if out_of_band else {}
        self.client(type="response.create", response=body | ({"output_modalities": [modality]} if modality else {}))

    @rule(data=st.data())
    def client_cancels(self, data: st.DataObject) -> None:
        response_id = data.draw(st.sampled_from([None, "resp_nobody", *self.replies]))
        self.client(type="response.cancel", **({"response_id": response_id} if response_id else {}))

    @rule(kind=st.sampled_from(["commit", "clear"]))
    def client_uses_the_buffer(self, kind: str) -> None:
        self.client(type=f"input_audio_buffer.{kind}")

    @rule(data=st.data(), kind=st.sampled_from(["delete", "retrieve", "truncate"]))
    def client_touches_an_item(self, data: st.DataObject, kind: str) -> None:
        item_id = data.draw(st.sampled_from([*self.seen.order, "item_nobody"]))
        extra = {"content_index": 0, "audio_end_ms": 500} if kind == "truncate" else {}
        self.client(type=f"conversation.item.{kind}", item_id=item_id, **extra)

    @rule(data=st.data())
    def client_adds_an_item(self, data: st.DataObject) -> None:
        previous = data.draw(st.sampled_from([None, "root", "item_nobody", *self.seen.order]))
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        self.client(type="conversation.item.create", item=item, **({"previous_item_id": previous} if previous else {}))

    @rule(item_id=st.sampled_from(["mine", "yours"]))
    def client_brings_audio(self, item_id: str) -> None:
        content = [{"type": "input_audio", "audio": "AAAA"}]
        self.client(type="conversation.item.create", item={"type": "message", "role": "user", "id": item_id, "content": content})

    @rule(detection=st.sampled_from([*({"type": kind} for kind in ("server_vad", "semantic_vad")), IDLE, None]))
    def client_changes_the_turn_detection(self, detection: dict[str, object] | None) -> None:
        self.client(type="session.update", session={"audio": {"input": {"turn_detection": detection}}})

    # --- what holds ---------------------------------------------------------------------------------------------------------------------

    @invariant()
    def the_client_rebuilds_the_same_order(self) -> None:
        if hasattr(self, "seen"):
            assert self.seen.order == [item.id for item in self.conversation.memory.history]

    @invariant()
    def nothing_of_a_draft_escapes_before_its_release(self) -> None:
        if hasattr(self, "seen"):
            secret = self.held | self.discarded
            assert not secret & {one.get("response_id") or one.get("response", {}).get("id") for one in self.messages}
            assert not (self.held and self.conversation.responses.default), "a draft beside a live response"

    @invariant()
    def every_draft_is_counted_once(self) -> None:
        if hasattr(self, "seen"):
            drafts = self.conversation.responses.drafts
            assert (drafts.released + drafts.discarded + len(self.held), drafts.discarded) == (self.drafted, len(self.discarded))

    @invariant()
    def nothing_of_speech_that_may_mean_nothing_is_told(self) -> None:
        if hasattr(self, "seen") and self.doubtful:
            assert self.doubtful not in json.dumps(self.messages)

    def teardown(self) -> None:
        """Whatever is still open can be closed."""
        if not hasattr(self, "seen"):
            return
        for item_id in self.utterances:
            self.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        while len(self.conversation.responses):
            created = [one["response"]["id"] for one in self.messages if one["type"] == "response.created"]
            self.client(type="response.cancel", response_id=next(one for one in created if self.is_live(one)))
        self.seen.finish()

    def is_live(self, response_id: str) -> bool:
        return not any(one["type"] == "response.done" and one["response"]["id"] == response_id for one in self.messages)


RandomConversation.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
# Without shrinking, which takes minutes for conversations of this length: run with Phase.shrink added to find the shortest failing one.
TestRandomConversations = RandomConversation.TestCase
