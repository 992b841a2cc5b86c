"""The live responses: at most one of the conversation, the default one, and any number out of band. Each leaves when it is done.
Before the default one there may be a draft of it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core.commands import Command, problem
from serve_app.core.config import Config, Modality, ResponseRequest
from serve_app.core.draft import Draft
from serve_app.core.items import FunctionCall, FunctionCallOutput, History, Item, ItemReference, Kind, Message, Part, Role, Status
from serve_app.core.language import Prompt
from serve_app.core.marks import Marks
from serve_app.core.memory import Memory
from serve_app.core.prompts import chat_messages
from serve_app.core.response import Manner, Response

SENTENCE_ENDS_WITHIN = 0.8
"""Of the server's own limit on a spoken response: from then on it ends with its sentence."""


@dataclass(frozen=True, slots=True)
class DraftCounts:
    """Of the answers that were begun before their turn was confirmed."""

    released: int = 0
    discarded: int = 0
    wasted: int = 0
    """Tokens of the discarded ones; of those that were still being written about as many."""
    saved_s: float = 0.0
    """How much earlier the released ones came than without a draft, together (`Marks.saved_s`)."""

    @property
    def hit_rate(self) -> float | None:
        """The share that was released; None before the first one is decided on."""
        decided = self.released + self.discarded
        return self.released / decided if decided else None


class Responses:
    def __init__(self, memory: Memory, new_id: Callable[[str], str]) -> None:
        self.default: Response | None = None
        self.draft: Draft | None = None
        self.drafts = DraftCounts()
        self._memory = memory
        self._new_id = new_id
        self._live: dict[str, Response] = {}

    def __len__(self) -> int:
        return len(self._live)

    # --- they begin ---------------------------------------------------------------------------------------------------------------------

    def refusal(self, event: ev.ResponseAsked) -> Command | None:
        """Why this one cannot be made."""
        if self.default is not None and not event.request.out_of_band:
            message = f"Conversation already has an active response in progress: {self.default.id}. Wait until it is done, or cancel it."
            return problem(message, "conversation_already_has_active_response", None, event.event_id)
        return None if event.request.input is None else self._wrong_input(event.request.input, event.event_id)

    def _wrong_input(self, parts: tuple[Any, ...], event_id: str | None) -> Command | None:
        """References must be to items of the conversation, and each output needs its call beside it: no model reads one without."""
        history = self._memory.history
        for index, part in enumerate(parts):
            if isinstance(part, ItemReference) and part.id not in history:
                return problem(f"Item {part.id!r} does not exist.", "invalid_value", f"response.input[{index}].id", event_id)
        items = [history[part.id] if isinstance(part, ItemReference) else part for part in parts]
        called = {item.call_id for item in items if isinstance(item, FunctionCall) and item.status is not Status.INCOMPLETE}
        for index, item in enumerate(items):
            if isinstance(item, FunctionCallOutput) and item.call_id not in called:
                message = f"There is no complete function call with call_id {item.call_id!r} in the response's input."
                return problem(message, "invalid_tool_call_id", f"response.input[{index}]", event_id)
        return None

    def create(self, config: Config, request: ResponseRequest, marks: Marks, for_utterance: str | None = None) -> list[Command]:
        """Told to the client; the language model is not asked before `start_waiting`."""
        response = self._made(config, request, marks, None if request.out_of_band else self._memory.history)
        response.for_utterance = for_utterance
        self._live[response.id] = response
        if not request.out_of_band:
            self.default = response
        return response.created()

    def _made(self, config: Config, request: ResponseRequest, marks: Marks, history: History | None) -> Response:
        modality = request.modality or config.modality
        limit = None if request.unlimited else request.max_tokens or config.max_tokens
        # Our own limit lets a sentence come to its end; the client's is kept to the token.
        ours = config.spoken_tokens if modality is Modality.AUDIO and limit is None and not request.unlimited else None
        manner = Manner(
            modality=modality,
            voice=request.voice or config.voice,
            speed=request.speed or config.speed,
            audio_format=request.audio_format or config.audio_format,
            max_tokens=ours or limit,
            ends_after_tokens=None if ours is None else max(1, int(ours * SENTENCE_ENDS_WITHIN)),
            metadata=request.metadata,
        )
        return Response(self._new_id("resp"), request, manner, marks, history, self._new_id)

    def start_waiting(self, config: Config, now: float) -> list[Command]:
        """Every utterance has its text: the language model is asked for all that have waited."""
        return [self._start(response, config, now) for response in self._live.values() if not response.started]

    def _start(self, response: Response, config: Config, now: float, *said: Item) -> cmd.StartReply:
        """`said`: what comes after the history."""
        response.started, response.marks.asked_at = True, now
        request = response.request
        instructions = config.instructions if request.instructions is None else request.instructions
        prompt = Prompt(
            messages=chat_messages(instructions, chain(self._input(request), said)),
            tools=config.tools if request.tools is None else request.tools,
            tool_choice=request.tool_choice or config.tool_choice,
            max_tokens=response.manner.max_tokens,
            request_id=response.id,
            ends_after_tokens=response.manner.ends_after_tokens,
        )
        return cmd.StartReply(response.id, prompt)

    def _input(self, request: ResponseRequest) -> Iterator[Item]:
        history = self._memory.history
        for part in history if request.input is None else request.input:
            if not isinstance(part, ItemReference):
                yield part
            elif part.id in history:  # it may have been deleted while the response waited
                yield history[part.id]

    def prompt_of(self, config: Config, said: Item) -> Prompt:
        """What the language model would be asked if that were said now."""
        messages = chat_messages(config.instructions, chain(self._memory.history, [said]))
        return Prompt(messages, config.tools, config.tool_choice)

    # --- before they are wanted ---------------------------------------------------------------------------------------------------------

    def write_draft(self, config: Config, item_id: str, text: str, guess_at: float, now: float) -> list[Command]:
        """An answer to what the utterance is guessed to say; the guess was asked for at `guess_at`."""
        response = self._made(config, ResponseRequest(), Marks(over_at=now, guess_at=guess_at), History())
        response.for_utterance = item_id
        self.draft = Draft(response, item_id, text)
        said = Message(item_id, Role.USER, [Part(Kind.INPUT_AUDIO, text)])
        return self.draft.hold([*response.created(), replace(self._start(response, config, now, said), held=True)])

    def release_draft(self, marks: Marks) -> list[Command]:
        """The turn was confirmed: the draft is the default response."""
        draft, self.draft = self.draft, None
        assert draft is not None and self.default is None
        self.default = self._live[draft.response.id] = draft.response
        commands = draft.release(self._memory.history, marks)
        self.drafts = replace(self.drafts, released=self.drafts.released + 1, saved_s=self.drafts.saved_s + (marks.saved_s or 0.0))
        return self._settle(draft.response, commands)

    def discard_draft(self) -> list[Command]:
        """Nothing happened."""
        draft, self.draft = self.draft, None
        if draft is None:
            return []
        self.drafts = replace(self.drafts, discarded=self.drafts.discarded + 1, wasted=self.drafts.wasted + draft.pieces)
        return [cmd.StopReply(draft.response.id)]

    # --- they go on ---------------------------------------------------------------------------------------------------------------------

    def reply(self, event: ev.ReplyText | ev.ReplyToolCall | ev.ReplyFinished | ev.ReplyFailed, now: float) -> list[Command]:
        draft = self.draft
        if draft is not None and draft.response.id == event.response_id:
            draft.pieces = event.reply_tokens if isinstance(event, ev.ReplyFinished) else draft.pieces + 1
            return self.discard_draft() if isinstance(event, ev.ReplyFailed) else draft.hold(self._advanced(draft.response, event, now))
        response = self._live.get(event.response_id)
        return [] if response is None else self._settle(response, self._advanced(response, event, now))

    def _advanced(
        self, response: Response, event: ev.ReplyText | ev.ReplyToolCall | ev.ReplyFinished | ev.ReplyFailed, now: float
    ) -> list[Command]:
        match event:
            case ev.ReplyText():
                return response.text(event.text, now)
            case ev.ReplyToolCall():
                return response.tool_call(event.index, event.name, event.arguments, now)
            case ev.ReplyFinished():
                return response.finished(event, now)
            case ev.ReplyFailed():
                return response.fail(event.reason)

    def speaking(self, event: ev.SoundMade | ev.ClauseAudio | ev.ClauseSpoken | ev.SpeakingFailed, now: float) -> list[Command]:
        drafted = self.draft is not None and self.draft.response.id == event.response_id
        if isinstance(event, ev.SpeakingFailed) and drafted:
            return self.discard_draft()
        response = self.draft.response if self.draft is not None and drafted else self._live.get(event.response_id)
        if response is None:
            return []
        match event:
            case ev.SoundMade():
                response.sound_made(now)
                return []
            case ev.ClauseAudio():
                response.clause_audio(event, now)
                self._memory.sent(response.spoken, event.duration_s, now)
                return []
            case ev.ClauseSpoken():
                return self._settle(response, response.clause_spoken(event))
            case ev.SpeakingFailed():
                return self._settle(response, response.fail(event.reason))

    def heard(self, now: float) -> bool:
        """Whether the user hears an answer, of which more may come."""
        spoken = self.default.spoken if self.default else None
        return self._memory.playback.ahead_s(now) > 0 or (spoken is not None and spoken.audio.duration_s > 0)

    # --- they end -----------------------------------------------------------------------------------------------------------------------

    def cancel_asked(self, event: ev.ResponseCancelled) -> list[Command]:
        response = self.default if event.response_id is None else self._live.get(event.response_id)
        if response is None:
            return [problem("Cancellation failed: no active response found.", "response_cancel_not_active", None, event.event_id)]
        of_conversation = response is self.default
        commands = self._settle(response, response.cancel("client_cancelled"))
        if of_conversation:
            self._memory.cancelled(response.spoken)
        return commands

    def interrupt(self, now: float) -> list[Command]:
        """The user speaks: what is live stops, and what cannot have been played by now leaves the memory."""
        live = self.default
        commands = self._settle(live, live.cancel("turn_detected")) if live else []  # first: its done events tell all that was written
        self._memory.interrupted(live.spoken if live else None, now)
        return commands

    def complete_for(self, item_id: str) -> list[Command]:
        """The utterance held no words: the response that it made has nothing to say."""
        silent = [response for response in self._live.values() if response.for_utterance == item_id]
        return [command for response in silent for command in self._settle(response, response.complete())]

    def _settle(self, response: Response, commands: list[Command]) -> list[Command]:
        if response.done:
            self._live.pop(response.id, None)
            if self.default is response:
                self.default = None
        return commands
