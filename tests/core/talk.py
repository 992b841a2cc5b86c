"""A conversation in a test: events go in at times that the test owns, what was told and commanded is kept."""

from itertools import count

from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.commands import Command, Tell
from serve_app.core.config import Config
from serve_app.core.conversation import Conversation
from serve_app.core.items import Message


class Talk:
    def __init__(
        self, config: Config | None = None, expires_at: float | None = None, barge_in_s: float = 0.0, echo: bool = False
    ) -> None:
        numbers = count(1)
        self.conversation = Conversation(
            config or Config(transcribes=True), lambda kind: f"{kind}_{next(numbers)}", expires_at, barge_in_s, echo
        )
        self.now = 0.0
        self.commands: list[Command] = []

    def happens(self, *events: ev.Event, after: float = 0.0) -> list[Command]:
        self.now += after
        new: list[Command] = []
        for event in events:
            commands = self.conversation.handle(event, self.now)
            self.watched(event, commands)
            new += commands
        self.commands += new
        return new

    def watched(self, event: ev.Event, commands: list[Command]) -> None:
        """For conversations that somebody looks on at."""

    def told(self, kind: type) -> list:
        return [command.what for command in self.commands if isinstance(command, Tell) and isinstance(command.what, kind)]

    def commanded(self, kind: type) -> list:
        return [command for command in self.commands if isinstance(command, kind)]

    def user_says(self, text: str, seconds: float = 1.0) -> str:
        """A whole turn under voice activity detection, up to its transcript. Returns the item's id."""
        self.happens(ev.SpeechStarted(self.now))
        self.happens(ev.SpeechStopped(self.now + seconds, self.now + seconds - 0.5), after=seconds)
        item_id = self.told(told.UtteranceCommitted)[-1].item_id
        self.happens(ev.TranscriptFinished(item_id, text, seconds), after=0.1)
        return item_id

    def reply(self) -> cmd.StartReply:
        return self.commanded(cmd.StartReply)[-1]

    def model_writes(self, *deltas: str) -> str:
        response_id = self.reply().response_id
        for delta in deltas:
            self.happens(ev.ReplyText(response_id, delta))
        return response_id

    def model_finishes(self, finish: str = "stop") -> None:
        self.happens(ev.ReplyFinished(self.reply().response_id, finish, 10, 5))

    def speaks(self, clause: int, seconds: float, complete: bool = True) -> None:
        """Audio of a clause reaches the client, faster than it plays."""
        response_id = self.reply().response_id
        self.happens(ev.ClauseAudio(response_id, clause, seconds))
        if complete:
            self.happens(ev.ClauseSpoken(response_id, clause))

    def agent_answers(self, text: str, seconds: float = 1.0) -> None:
        self.model_writes(text)
        self.model_finishes()
        for speak in [one for one in self.commanded(cmd.Speak) if one.response_id == self.reply().response_id]:
            self.speaks(speak.clause, seconds)

    def told_last_item(self) -> str:
        return self.told(told.ItemDone)[-1].item.id

    def status(self) -> tuple[str, str | None]:
        response = self.told(told.ResponseDone)[-1].response
        return response.status, response.reason

    def next_prompt(self) -> list[tuple[str, str]]:
        """What the model would read now, roles and texts."""
        self.user_says("and now?")
        return [(message.role, message.content) for message in self.reply().prompt.messages]

    def item(self, item_id: str) -> Message:
        item = self.conversation.memory.history[item_id]
        assert isinstance(item, Message)
        return item
