"""The live responses: at most one of the conversation, the default one, and any number out of band. Each leaves when it is done."""

from collections.abc import Callable, Iterator

from serve_app.core import commands as told
from serve_app.core import events as ev
from serve_app.core.commands import Command, problem
from serve_app.core.config import Config, ResponseRequest
from serve_app.core.items import Item, ItemReference
from serve_app.core.language import Prompt
from serve_app.core.memory import Memory
from serve_app.core.prompts import chat_messages
from serve_app.core.response import Manner, Marks, Response


class Responses:
    def __init__(self, memory: Memory, new_id: Callable[[str], str]) -> None:
        self.default: Response | None = None
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
        for part in event.request.input or ():
            if isinstance(part, ItemReference) and part.id not in self._memory.history:
                return problem(f"Item {part.id!r} does not exist.", "invalid_value", "response.input", event.event_id)
        return None

    def create(self, config: Config, request: ResponseRequest, marks: Marks, for_utterance: str | None = None) -> list[Command]:
        """Told to the client; the language model is not asked before `start_waiting`."""
        manner = Manner(
            modality=request.modality or config.modality,
            voice=request.voice or config.voice,
            speed=request.speed or config.speed,
            max_tokens=None if request.unlimited else request.max_tokens or config.max_tokens,
            metadata=request.metadata,
        )
        history = None if request.out_of_band else self._memory.history
        response = Response(self._new_id("resp"), request, manner, marks, history, self._new_id)
        response.for_utterance = for_utterance
        self._live[response.id] = response
        if not request.out_of_band:
            self.default = response
        return response.created()

    def start_waiting(self, config: Config) -> list[Command]:
        """Every utterance has its text: the language model is asked for all that have waited."""
        return [self._start(response, config) for response in self._live.values() if not response.started]

    def _start(self, response: Response, config: Config) -> Command:
        response.started = True
        request = response.request
        prompt = Prompt(
            messages=chat_messages(config.instructions if request.instructions is None else request.instructions, self._input(request)),
            tools=config.tools if request.tools is None else request.tools,
            tool_choice=request.tool_choice or config.tool_choice,
            max_tokens=response.manner.max_tokens,
            request_id=response.id,
        )
        return told.StartReply(response.id, prompt)

    def _input(self, request: ResponseRequest) -> Iterator[Item]:
        history = self._memory.history
        for part in history if request.input is None else request.input:
            if not isinstance(part, ItemReference):
                yield part
            elif part.id in history:  # it may have been deleted while the response waited
                yield history[part.id]

    # --- they go on ---------------------------------------------------------------------------------------------------------------------

    def reply(self, event: ev.ReplyText | ev.ReplyToolCall | ev.ReplyFinished | ev.ReplyFailed, now: float) -> list[Command]:
        response = self._live.get(event.response_id)
        if response is None:
            return []
        match event:
            case ev.ReplyText():
                return response.text(event.text, now)
            case ev.ReplyToolCall():
                return response.tool_call(event.index, event.name, event.arguments, now)
            case ev.ReplyFinished():
                return self._settle(response, response.finished(event))
            case ev.ReplyFailed():
                return self._settle(response, response.fail(event.reason))

    def speaking(self, event: ev.ClauseAudio | ev.ClauseSpoken | ev.SpeakingFailed, now: float) -> list[Command]:
        response = self._live.get(event.response_id)
        if response is None:
            return []
        match event:
            case ev.ClauseAudio():
                response.clause_audio(event, now)
                self._memory.sent(response.spoken, event.duration_s, now)
                return []
            case ev.ClauseSpoken():
                return self._settle(response, response.clause_spoken(event))
            case ev.SpeakingFailed():
                return self._settle(response, response.fail(event.reason))

    # --- they end -----------------------------------------------------------------------------------------------------------------------

    def cancel_asked(self, event: ev.ResponseCancelled) -> list[Command]:
        response = self.default if event.response_id is None else self._live.get(event.response_id)
        if response is None:
            return [problem("Cancellation failed: no active response found.", "response_cancel_not_active", None, event.event_id)]
        return self.cancel(response, "client_cancelled")

    def cancel(self, response: Response, reason: str) -> list[Command]:
        return self._settle(response, response.cancel(reason))

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
