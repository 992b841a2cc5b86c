"""Whether the engines have room for work that may be thrown away. Pure: what sessions see and a time come in.

1. A question to an engine waits from when it is asked until its first answer: a transcript or a guess of it, the first piece of a reply,
   the first sound of an answer.
2. What an engine needs by itself is the least that anybody has waited for it lately, of a voice also the least for each character that it
   says. A slow engine is no queue.
3. It queues when a question has waited for over `LONGER` times that and over a limit, whatever became of it, and when one waits so long
   now. An engine that has answered nobody yet is not judged.
4. It has room again when nobody has waited so long for `CALM_S`.

A gateway sees this at its own sessions and asks nobody: whoever else uses the engines shows in how long they take. When nothing is begun
early the usual turns still show it, and where there are none there is nothing to begin.

That the least of the delays is the path's own, and what is above it is queue, is how congestion control tells them apart (LEDBAT, RFC
6817, 2.4.2), the least of a window of minutes included. The limit leaves room for questions that are long by themselves.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf

from serve_app.core import commands as cmd
from serve_app.core import events as ev

LONGER = 4.0
"""Times what it needs by itself: others' work on the same processor doubles that at times."""
REMEMBERED_S = 600.0
"""At least so long, at most twice as long the least counts: an engine that has become slower is found out then."""
CALM_S = 5.0
"""About a turn: one that had to wait costs the next its draft, and no more."""
ENGINES = {"guess": "hearing", "transcript": "hearing", "reply": "writing", "sound": "speaking"}
"""Whom each question is asked."""


class _Least:
    """Of what came lately."""

    def __init__(self) -> None:
        self._since = -inf
        self._lately = self._before = inf

    @property
    def value(self) -> float:
        return min(self._lately, self._before)

    def take(self, value: float, now: float) -> None:
        if now - self._since >= REMEMBERED_S:
            self._since, self._before, self._lately = now, self._lately, inf
        self._lately = min(self._lately, value)


class _Usual:
    """What one engine needs by itself: some take as long for much as for little, others are slower the more there is."""

    def __init__(self) -> None:
        self._whole, self._each = _Least(), _Least()

    def take(self, waited_s: float, size: int, now: float) -> None:
        self._whole.take(waited_s, now)
        self._each.take(waited_s / size, now)

    def needs(self, size: int) -> float:
        return max(self._whole.value, self._each.value * size)


@dataclass(frozen=True, slots=True)
class _Asked:
    at: float
    size: int


class EngineQueues:
    """One for all sessions."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._asked: dict[tuple[str, Hashable], _Asked] = {}
        self._usual: dict[str, _Usual] = {}
        self._queued_at: float | None = None

    def asked(self, engine: str, question: Hashable, now: float, size: int = 1) -> None:
        """Asked again it waits from now on. `size`: how much there is to do, in whatever unit is this engine's."""
        self._asked[engine, question] = _Asked(now, size)

    def answered(self, engine: str, question: Hashable, now: float) -> None:
        """What was not asked, or is answered already, means nothing."""
        asked = self._over(engine, question, now)
        if asked is not None:
            self._usual.setdefault(engine, _Usual()).take(now - asked.at, asked.size, now)

    def failed(self, engine: str, question: Hashable, now: float) -> None:
        """There will be no answer, which says nothing about how long one takes; that it was waited for still counts."""
        self._over(engine, question, now)

    def forget(self, engine: str, question: Hashable) -> None:
        """The answer is not wanted any more."""
        self._asked.pop((engine, question), None)

    def room(self, now: float) -> bool:
        if any(self._long(engine, asked, now) for (engine, _), asked in self._asked.items()):
            self._queued_at = now
        return self._queued_at is None or now - self._queued_at >= CALM_S

    def _over(self, engine: str, question: Hashable, now: float) -> _Asked | None:
        asked = self._asked.pop((engine, question), None)
        if asked is not None and self._long(engine, asked, now):
            self._queued_at = now
        return asked

    def _long(self, engine: str, asked: _Asked, now: float) -> bool:
        usual = self._usual.get(engine)
        return usual is not None and now - asked.at > max(self._limit_s, LONGER * usual.needs(asked.size))


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
            case ev.TranscriptFinished(item_id):
                self._answer("transcript", item_id, now)
            case ev.TranscriptFailed(item_id):
                self._fail("transcript", item_id, now)
            case ev.ReplyText(response_id) | ev.ReplyToolCall(response_id):
                self._answer("reply", response_id, now)
            case ev.ReplyFinished(response_id) | ev.ReplyFailed(response_id):
                self._fail("reply", response_id, now)
            case ev.SoundMade(response_id):
                self._answer("sound", response_id, now)
            case ev.ClauseSpoken(response_id) | ev.SpeakingFailed(response_id):
                self._fail("sound", response_id, now)

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
            case cmd.Speak(response_id, clause=0, text=text):
                self._ask("sound", response_id, now, max(1, len(text)))
            case cmd.StopReply(response_id):
                self._forget("reply", response_id)
                self._forget("sound", response_id)

    def _ask(self, what: str, of: str, now: float, size: int = 1) -> None:
        self._open.add((what, of))
        self._queues.asked(ENGINES[what], (self, what, of), now, size)

    def _answer(self, what: str, of: str, now: float) -> None:
        self._open.discard((what, of))
        self._queues.answered(ENGINES[what], (self, what, of), now)

    def _fail(self, what: str, of: str, now: float) -> None:
        self._open.discard((what, of))
        self._queues.failed(ENGINES[what], (self, what, of), now)

    def _forget(self, what: str, of: str) -> None:
        self._open.discard((what, of))
        self._queues.forget(ENGINES[what], (self, what, of))
