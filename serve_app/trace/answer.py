"""The spans of one response: `answer` (or `draft`, until it is released), the steps to its first sound and its playback, and the call of
the language model beside them.

    answer ─┬─ prompt ─ first_token ─ first_clause ─ first_audio ─ playback     one after the other, without a gap
            ├─ chat MODEL              from the question to the last token
            └─ synthesis ...           one a clause (deployments/tracing.py)
"""

from opentelemetry.trace import Span, SpanKind, StatusCode

from serve_app.core.commands import StartReply
from serve_app.core.events import ReplyFinished
from serve_app.trace.recorder import DISCARDED, STOPPED, Attributes, Recorder, Steps


class Answer:
    def __init__(self, recorder: Recorder, turn: Span, ready_at: float) -> None:
        """`ready_at`: clock time since when nothing but its prompt was missing."""
        self.span = turn
        """The parent of what is done for it: the turn's until the model is asked."""
        self.chat = turn
        self.plays_until: float | None = None
        self.first_audio_at: float | None = None
        self.draft = False
        self._recorder = recorder
        self._ready_at = ready_at
        self._asked_at = ready_at
        self._steps: Steps | None = None
        self._chatting = False
        self._written = False

    def text_known(self, at: float) -> None:
        self._ready_at = max(self._ready_at, at)

    def asked(self, command: StartReply, now: float) -> None:
        self.draft, self._asked_at, prompt = command.held, now, command.prompt
        self.span = self._recorder.begin("draft" if command.held else "answer", self.span, self._ready_at, _response(command.response_id))
        self._steps = Steps(self._recorder, self.span, "prompt", self._ready_at)
        characters = sum(len(message.content) for message in prompt.messages)
        about: Attributes = {"sparkvox.prompt.messages": len(prompt.messages), "sparkvox.prompt.characters": characters}
        self._steps.next("first_token", now, about)
        self._chatting = True
        self.chat = self._recorder.begin(f"chat {self._recorder.session.model}", self.span, now, self._request(command), SpanKind.CLIENT)

    def _request(self, command: StartReply) -> Attributes:
        """OpenTelemetry's semantic conventions for generative AI."""
        session = self._recorder.session
        about = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": session.provider, "gen_ai.request.model": session.model}
        wished = {"gen_ai.request.max_tokens": command.prompt.max_tokens, "gen_ai.request.temperature": command.prompt.temperature}
        return {**about, "gen_ai.request.stream": True, **{name: wish for name, wish in wished.items() if wish is not None}}

    def piece(self, now: float) -> None:
        if self._steps is not None and self._steps.name == "first_token":
            self.chat.set_attribute("gen_ai.response.time_to_first_chunk", now - self._asked_at)
            self._steps.next("first_clause", now)

    def clause(self, now: float) -> None:
        if self._steps is not None and self._steps.name == "first_clause":
            self._steps.next("first_audio", now)

    def audio(self, duration_s: float, now: float) -> None:
        if self._steps is not None and self._steps.name == "first_audio":
            self.first_audio_at = now
            self._steps.next("playback", now)
        self.plays_until = max(self.plays_until or now, now) + duration_s

    def written(self, event: ReplyFinished, now: float) -> None:
        if self._chatting:
            self.chat.set_attribute("gen_ai.usage.input_tokens", event.prompt_tokens)
            self.chat.set_attribute("gen_ai.usage.cache_read.input_tokens", event.cached_tokens)
            self.chat.set_attribute("gen_ai.usage.output_tokens", event.reply_tokens)
            self.chat.set_attribute("gen_ai.response.finish_reasons", (event.finish,))
            self._written = True
            self._chat_ends(now)

    def failed(self, reason: str, now: float) -> None:
        if self._chatting:
            self.chat.set_status(StatusCode.ERROR, reason)
            self._chat_ends(now)

    def stopped(self, now: float) -> None:
        """Nobody wants the rest."""
        if self._chatting:
            self.chat.set_attribute(STOPPED, True)
            self._chat_ends(now)

    def released(self) -> None:
        self.draft = False
        self.span.update_name("answer")
        self.span.set_attribute("sparkvox.drafted", True)

    def discarded(self, now: float) -> None:
        self.span.set_attribute(DISCARDED, True)
        self.ends(now)

    def ends(self, now: float) -> None:
        complete = self.plays_until is not None and now >= self.plays_until
        self.stopped(now)
        if self._steps is None:
            return
        if self._steps.name == "first_clause" and self._written:
            self._steps.name = "writing"  # text alone, or a call: nothing is spoken
            complete = True
        self._steps.end(now, {} if complete else {STOPPED: True})
        self.span.end(self._recorder.ns(now))
        self._steps = None

    def _chat_ends(self, now: float) -> None:
        self._chatting = False
        self.chat.end(self._recorder.ns(now))


def _response(response_id: str) -> Attributes:
    return {"sparkvox.response.id": response_id}
