"""Whether the engines have room for work that may be thrown away. Pure: what sessions see and a time come in.

1. A question to an engine waits from when it is asked until its first answer: a transcript or a guess of it, the first piece of a reply,
   the first sound of an answer.
2. Engines queue when a question has waited for longer than a limit, whatever became of it, and when one waits so long now.
3. They have room again when nobody has waited so long for `CALM_S`.

A gateway sees this at its own sessions and asks nobody: whoever else uses the engines shows in how long they take. When nothing is begun
early the usual turns still show it, and where there are none there is nothing to begin.
"""

from collections.abc import Hashable, Sequence

from serve_app.core import commands as cmd
from serve_app.core import events as ev

CALM_S = 5.0
"""About a turn: one that had to wait costs the next its draft, and no more."""


class EngineQueues:
    """One for all sessions."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._asked: dict[Hashable, float] = {}  # in the order of their times
        self._queued_at: float | None = None

    def asked(self, question: Hashable, now: float) -> None:
        """Asked again it waits from now on."""
        self.forget(question)
        self._asked[question] = now

    def answered(self, question: Hashable, now: float) -> None:
        """What was not asked, or is answered already, means nothing."""
        asked_at = self._asked.pop(question, None)
        if asked_at is not None and now - asked_at > self._limit_s:
            self._queued_at = now

    def forget(self, question: Hashable) -> None:
        """The answer is not wanted any more."""
        self._asked.pop(question, None)

    def room(self, now: float) -> bool:
        longest_since = next(iter(self._asked.values()), now)
        if now - longest_since > self._limit_s:
            self._queued_at = now
        return self._queued_at is None or now - self._queued_at >= CALM_S


class SessionQuestions:
    """What one session asks: a `Watcher` (serve_app/watching.py)."""

    def __init__(self, queues: EngineQueues) -> None:
        self._queues = queues
        self._open: set[tuple[str, str]] = set()

    def saw(self, event: ev.Event, commands: Sequence[cmd.Command], now: float) -> None:
        self._answered(event, now)
        for command in commands:
            self._commanded(command, now)

    def closed(self) -> None:
        for question in list(self._open):
            self._forget(*question)

    def _answered(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.TranscriptGuessed(item_id):
                self._answer("guess", item_id, now)
            case ev.TranscriptFinished(item_id) | ev.TranscriptFailed(item_id):
                self._answer("transcript", item_id, now)
            case ev.ReplyText(response_id) | ev.ReplyToolCall(response_id) | ev.ReplyFinished(response_id) | ev.ReplyFailed(response_id):
                self._answer("reply", response_id, now)
            case ev.SoundMade(response_id) | ev.ClauseSpoken(response_id) | ev.SpeakingFailed(response_id):
                self._answer("sound", response_id, now)

    def _commanded(self, command: cmd.Command, now: float) -> None:
        match command:
            case cmd.GuessTranscript(item_id):
                self._ask("guess", item_id, now)
            case cmd.EndUtterance(item_id, guessed=False):
                self._forget("guess", item_id)
                self._ask("transcript", item_id, now)
            case cmd.SettleUtterance(item_id) | cmd.DropUtterance(item_id):
                self._forget("guess", item_id)
                self._forget("transcript", item_id)
            case cmd.StartReply(response_id):
                self._ask("reply", response_id, now)
            case cmd.Speak(response_id, clause=0):
                self._ask("sound", response_id, now)
            case cmd.StopReply(response_id):
                self._forget("reply", response_id)
                self._forget("sound", response_id)

    def _ask(self, what: str, of: str, now: float) -> None:
        self._open.add((what, of))
        self._queues.asked((self, what, of), now)

    def _answer(self, what: str, of: str, now: float) -> None:
        self._open.discard((what, of))
        self._queues.answered((self, what, of), now)

    def _forget(self, what: str, of: str) -> None:
        self._open.discard((what, of))
        self._queues.forget((self, what, of))
