"""Random conversations, legal moves and illegal ones, through the pure core and the wire: what is always true stays true."""

import json

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from serve_app.core import events as ev
from tests.realtime.world import World

IDLE = {"type": "server_vad", "idle_timeout_ms": 500}
PATIENT = {"type": "server_vad", "interrupt_response": False, "silence_duration_ms": 900}
words = st.sampled_from(["Yes, ", "the answer ", "is four. ", "And ", "then some more of it", "\n", "€5 – fine! "])
seconds = st.sampled_from([0.0, 0.1, 0.5, 2.0, 10.0])
FORMATS = st.sampled_from(["audio/pcm", "audio/pcmu", "audio/pcma"])


class RandomConversation(RuleBasedStateMachine):
    """Engines answer late, out of order and after the end; the client asks for what is not there."""

    @initialize(
        detection=st.sampled_from(["server_vad", "semantic_vad", None]),
        modality=st.sampled_from(["audio", "text"]),
        barge_in_s=st.sampled_from([0.0, 0.6]),
        echo=st.booleans(),
    )
    def open(self, detection: str | None, modality: str, barge_in_s: float, echo: bool) -> None:
        self.world = World(barge_in_s, echo)
        self.world.client(
            type="session.update",
            session={"output_modalities": [modality], "audio": {"input": {
                "turn_detection": {"type": detection} if detection else None, "transcription": {"model": "x"}}}},
        )  # fmt: skip

    # --- moves --------------------------------------------------------------------------------------------------------------------------

    @rule(seconds=seconds)
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.happens(ev.DeadlinePassed())

    @rule(seconds=seconds)
    def user_speaks(self, seconds: float) -> None:
        self.world.audio_s += seconds
        self.world.happens(ev.SpeechStarted(self.world.audio_s))

    @rule(seconds=seconds)
    def user_stops(self, seconds: float) -> None:
        self.world.audio_s += seconds
        self.world.happens(ev.SpeechStopped(self.world.audio_s + 0.5, self.world.audio_s))

    @rule(seconds=seconds, since=st.sampled_from([0.0, 0.2, 0.4]))
    def user_pauses(self, seconds: float, since: float) -> None:
        self.world.audio_s += seconds
        if self.world.session.config().turn_taking is not None:
            self.world.happens(ev.SpeechPaused(self.world.audio_s, self.world.audio_s + since, True))

    @rule()
    def user_goes_on(self) -> None:
        self.world.happens(ev.SpeechResumed())

    @rule(text=st.sampled_from(["Hello.", "hello", "What is it?"]), speaks=st.booleans(), ends=st.booleans())
    def user_pauses_and_is_guessed(self, text: str, speaks: bool, ends: bool) -> None:
        """What is rarely met by chance: everything said has its text, and nobody answers yet."""
        for item_id in [one["item_id"] for one in self.world.messages if one["type"] == "input_audio_buffer.committed"]:
            self.world.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        if speaks:
            self.world.happens(ev.SpeechStarted(self.world.audio_s))
        self.user_pauses(1.0, 0.2)
        if self.world.guesses:
            self.world.happens(ev.TranscriptGuessed(self.world.guesses[-1][0], text, self.world.guesses[-1][1], 1.0))
        if ends:
            self.world.happens(ev.SpeechStopped(self.world.audio_s + 0.5, self.world.audio_s))

    @rule(text=st.sampled_from(["", "Mm-hm.", "Stop."]), guessed=st.booleans(), ends=st.booleans(), last=st.booleans())
    def user_makes_a_sound_over_an_answer(self, text: str, guessed: bool, ends: bool, last: bool) -> None:
        """What is rarely met by chance: an answer that is heard, and nobody speaking."""
        self.world.client(type="input_audio_buffer.clear")
        for item_id in [one["item_id"] for one in self.world.messages if one["type"] == "input_audio_buffer.committed"]:
            self.world.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        self.world.client(type="response.create", response={"output_modalities": ["audio"]})
        for response_id in self.world.replies:
            self.world.happens(ev.ReplyText(response_id, "One sentence. And then another one. "))
        for response_id, clause in self.world.clauses:
            self.world.happens(ev.ClauseAudio(response_id, clause, 2.0))
        self.world.happens(ev.SpeechStarted(self.world.audio_s))
        self.user_pauses(0.3, 0.2)
        if self.world.guesses and guessed:
            self.world.happens(ev.TranscriptGuessed(self.world.guesses[-1][0], text, self.world.guesses[-1][1], 1.0))
        if last:
            for response_id in self.world.replies:
                self.world.happens(ev.ReplyFinished(response_id, "stop", 7, 3, 2))
            self.world.finished |= set(self.world.replies)
        if ends:
            self.world.happens(ev.SpeechStopped(self.world.audio_s + 0.5, self.world.audio_s))

    @rule(text=st.sampled_from(["", "Hello.", "hello", "What is it?"]), data=st.data())
    def ear_guesses(self, text: str, data: st.DataObject) -> None:
        if self.world.guesses:
            item_id, at_s = data.draw(st.sampled_from(self.world.guesses))
            self.world.happens(ev.TranscriptGuessed(item_id, text, at_s, 1.0))

    @rule()
    def audio_comes_under_push_to_talk(self) -> None:
        if self.world.session.config().turn_taking is None:
            self.world.happens(ev.BufferStarted(self.world.audio_s))

    @rule(text=st.sampled_from(["", "Hello.", "What is it?"]), data=st.data(), outcome=st.sampled_from(["grew", "finished", "failed"]))
    def ear_answers(self, text: str, data: st.DataObject, outcome: str) -> None:
        if self.world.utterances:
            item_id = data.draw(st.sampled_from(self.world.utterances))
            match outcome:
                case "grew":
                    self.world.happens(ev.TranscriptGrew(item_id, text))
                case "finished":
                    self.world.happens(ev.TranscriptFinished(item_id, text, 1.0))
                case _:
                    self.world.happens(ev.TranscriptFailed(item_id, "broken"))

    @rule(text=words, data=st.data())
    def model_writes(self, text: str, data: st.DataObject) -> None:
        if unfinished := [one for one in self.world.replies if one not in self.world.finished]:
            self.world.happens(ev.ReplyText(data.draw(st.sampled_from(unfinished)), text))

    @rule(data=st.data(), index=st.integers(0, 2), piece=st.sampled_from(["", "{", '"a": 1', "}"]))
    def model_calls_a_tool(self, data: st.DataObject, index: int, piece: str) -> None:
        if unfinished := [one for one in self.world.replies if one not in self.world.finished]:
            self.world.happens(ev.ReplyToolCall(data.draw(st.sampled_from(unfinished)), index, "look_up", piece))

    @rule(data=st.data(), end=st.sampled_from(["stop", "length", "failed"]))
    def model_ends(self, data: st.DataObject, end: str) -> None:
        if self.world.replies:
            response_id = data.draw(st.sampled_from(self.world.replies))
            self.world.finished.add(response_id)
            self.world.happens(ev.ReplyFailed(response_id, "broken") if end == "failed" else ev.ReplyFinished(response_id, end, 7, 3, 2))

    @rule(seconds=seconds, last=st.booleans())
    def voice_speaks(self, seconds: float, last: bool) -> None:
        if self.world.clauses:
            response_id, clause = self.world.clauses[0]
            self.world.happens(ev.ClauseAudio(response_id, clause, seconds))
            if last:
                self.world.clauses.pop(0)
                self.world.happens(ev.ClauseSpoken(response_id, clause))

    @rule()
    def voice_has_nothing_to_speak(self) -> None:
        """Of a clause that is code or an emoji."""
        if self.world.clauses:
            self.world.happens(ev.ClauseSpoken(*self.world.clauses.pop(0)))

    @rule(
        text=st.sampled_from(["One sentence.", "no stop that please"]),
        code=st.sampled_from(["```\nprint()\n```\n", "🙂 🙂 🙂 🙂. "]),
        first=st.booleans(),
    )
    def user_speaks_over_an_answer_with_code_in_it(self, text: str, code: str, first: bool) -> None:
        """What is rarely met by chance: words over an answer of which a clause has no sound."""
        self.world.client(type="input_audio_buffer.clear")
        for item_id in [one["item_id"] for one in self.world.messages if one["type"] == "input_audio_buffer.committed"]:
            self.world.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        self.world.client(type="response.create", response={"output_modalities": ["audio"]})
        for response_id in [one for one in self.world.replies if one not in self.world.finished]:
            text_of_it = f"{code if first else ''}One sentence, and then the code:\n{code}And another one. "
            self.world.happens(ev.ReplyText(response_id, text_of_it))
        clauses, self.world.clauses = self.world.clauses, []
        for number, (response_id, clause) in enumerate(clauses):
            if number % 2 == first:
                self.world.happens(ev.ClauseAudio(response_id, clause, 2.0))
            self.world.happens(ev.ClauseSpoken(response_id, clause))
        self.world.happens(ev.SpeechStarted(self.world.audio_s))
        if self.world.utterances:
            self.world.happens(ev.TranscriptGrew(self.world.utterances[-1], text))

    @rule(data=st.data())
    def voice_has_its_first_sound(self, data: st.DataObject) -> None:
        """Of a draft too, and of what is over."""
        if self.world.clauses:
            self.world.happens(ev.SoundMade(*data.draw(st.sampled_from(self.world.clauses))))

    @rule()
    def voice_fails(self) -> None:
        if self.world.clauses:
            self.world.happens(ev.SpeakingFailed(self.world.clauses.pop(0)[0], "broken"))

    @rule(out_of_band=st.booleans(), modality=st.sampled_from([None, "text", "audio"]), form=st.one_of(st.none(), FORMATS))
    def client_asks_for_a_response(self, out_of_band: bool, modality: str | None, form: str | None) -> None:
        body: dict[str, object] = {"conversation": "none"} if out_of_band else {}
        body |= {"audio": {"output": {"format": {"type": form}}}} if form else {}
        self.world.client(type="response.create", response=body | ({"output_modalities": [modality]} if modality else {}))

    @rule(data=st.data())
    def client_cancels(self, data: st.DataObject) -> None:
        response_id = data.draw(st.sampled_from([None, "resp_nobody", *self.world.replies]))
        self.world.client(type="response.cancel", **({"response_id": response_id} if response_id else {}))

    @rule(kind=st.sampled_from(["commit", "clear"]))
    def client_uses_the_buffer(self, kind: str) -> None:
        self.world.client(type=f"input_audio_buffer.{kind}")

    @rule(data=st.data(), kind=st.sampled_from(["delete", "retrieve", "truncate"]))
    def client_touches_an_item(self, data: st.DataObject, kind: str) -> None:
        item_id = data.draw(st.sampled_from([*self.world.seen.order, "item_nobody"]))
        extra = {"content_index": 0, "audio_end_ms": 500} if kind == "truncate" else {}
        self.world.client(type=f"conversation.item.{kind}", item_id=item_id, **extra)

    @rule(data=st.data())
    def client_adds_an_item(self, data: st.DataObject) -> None:
        previous = data.draw(st.sampled_from([None, "root", "item_nobody", *self.world.seen.order]))
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
        self.world.client(type="conversation.item.create", item=item, **({"previous_item_id": previous} if previous else {}))

    @rule(data=st.data(), kind=st.sampled_from(["text", "call", "audio", "spoken"]), deletes=st.booleans())
    def client_makes_an_item_again(self, data: st.DataObject, kind: str, deletes: bool) -> None:
        """With the id of one that is there or was, perhaps of an answer that is being spoken."""
        said = [one["item_id"] for one in self.world.messages if one["type"] == "input_audio_buffer.speech_started"]
        item_id = data.draw(st.sampled_from([*self.world.seen.order[-4:], *said[-1:], "item_nobody"]))
        if deletes:
            self.world.client(type="conversation.item.delete", item_id=item_id)
        item: dict[str, object] = {
            "text": {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            "call": {"type": "function_call", "name": "look_up", "arguments": "{}", "call_id": "call_mine"},
            "audio": {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]},
            "spoken": {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hi there"}]},
        }[kind]  # fmt: skip
        self.world.client(type="conversation.item.create", item={**item, "id": item_id})

    @rule(data=st.data())
    def client_gives_the_result_of_a_call(self, data: st.DataObject) -> None:
        done = [one["item"] for one in self.world.messages if one["type"] == "response.output_item.done"]
        calls = [item["call_id"] for item in done if item["type"] == "function_call"]
        call_id = data.draw(st.sampled_from([*calls[-3:], "call_mine", "call_nobody"]))
        self.world.client(type="conversation.item.create", item={"type": "function_call_output", "call_id": call_id, "output": "fog"})

    @rule(item_id=st.sampled_from(["mine", "yours"]))
    def client_brings_audio(self, item_id: str) -> None:
        content = [{"type": "input_audio", "audio": "AAAA"}]
        self.world.client(type="conversation.item.create", item={"type": "message", "role": "user", "id": item_id, "content": content})

    @rule(detection=st.sampled_from([*({"type": kind} for kind in ("server_vad", "semantic_vad")), IDLE, PATIENT, None]))
    def client_changes_the_turn_detection(self, detection: dict[str, object] | None) -> None:
        self.world.client(type="session.update", session={"audio": {"input": {"turn_detection": detection}}})

    @rule(form=FORMATS)
    def client_changes_the_format(self, form: str) -> None:
        self.world.client(type="session.update", session={"audio": {"output": {"format": {"type": form}}}})

    # --- what holds ---------------------------------------------------------------------------------------------------------------------

    @invariant()
    def the_client_rebuilds_the_same_order(self) -> None:
        if hasattr(self, "world"):
            assert self.world.seen.order == [item.id for item in self.world.conversation.memory.history]

    @invariant()
    def nothing_of_a_draft_escapes_before_its_release(self) -> None:
        if hasattr(self, "world"):
            secret = self.world.held | self.world.discarded
            assert not secret & {one.get("response_id") or one.get("response", {}).get("id") for one in self.world.messages}
            assert not (self.world.held and self.world.conversation.responses.default), "a draft beside a live response"

    @invariant()
    def every_draft_is_counted_once(self) -> None:
        if hasattr(self, "world"):
            drafts = self.world.conversation.responses.drafts
            assert drafts.released + drafts.discarded + len(self.world.held) == self.world.drafted
            assert drafts.discarded == len(self.world.discarded)

    @invariant()
    def nothing_of_speech_that_may_mean_nothing_is_told(self) -> None:
        if hasattr(self, "world") and self.world.doubtful:
            assert not [one for one in self.world.messages if self.world.doubtful in json.dumps(one)]

    def teardown(self) -> None:
        """Whatever is still open can be closed."""
        if not hasattr(self, "world"):
            return
        for item_id in self.world.utterances:
            self.world.happens(ev.TranscriptFinished(item_id, "Yes.", 1.0))
        created = [one["response"]["id"] for one in self.world.messages if one["type"] == "response.created"]
        for response_id in created:
            if self.world.is_live(response_id):
                self.world.client(type="response.cancel", response_id=response_id)
        assert not len(self.world.conversation.responses), "a response that was told of is over once it is cancelled"
        self.world.seen.finish()


RandomConversation.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)
# Without shrinking, which takes minutes for conversations of this length: run with Phase.shrink added to find the shortest failing one.
TestRandomConversations = RandomConversation.TestCase
