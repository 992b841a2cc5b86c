"""One session in a room for the echo benchmark: the server's own ear and conversation, with a client that plays what it is sent.

Time is the microphone's, and nothing waits for a clock. The language model and text-to-speech are recordings, which are sent ahead of
playback as a session does it; voice activity and speech-to-text are the real ones. A text comes `RECOGNISED_S` after it was asked for.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np

from load_tests.bench.echo_sound import FRAME_S, STALLS_EVERY_S, STEADY, Air, Client, Echo, Line
from serve_app.audio import NO_PCM, Resampler
from serve_app.core import commands as cmd
from serve_app.core import events as ev
from serve_app.core import notifications as told
from serve_app.core.config import Config, ResponseRequest, ServerVad
from serve_app.core.conversation import Conversation
from serve_app.echo import EchoCanceller, EchoingMicrophone, Microphone, PlainMicrophone
from serve_app.engines import HEARING_RATE, Audio, Begin, Due, End, Guess, HearingMessage, Pcm, Recogniser, VoiceActivity
from serve_app.hearing import Hearing
from serve_app.loudspeaker import Loudspeaker

SPOKEN_RATE = 24_000
PIECE = SPOKEN_RATE // 4
"""Samples that are sent at once."""
LEAD_S = 4.0
PAUSE_S = 1.2
"""Between the answers, at least: the echo of the end is heard in it."""
BARGE_IN_S = 0.6
RECOGNISED_S = 0.15
SEED = 7


@dataclass(frozen=True)
class Saying:
    text: str
    pcm: Pcm
    """At SPOKEN_RATE."""


@dataclass(frozen=True)
class Handling:
    """What the server does about its own voice."""

    words: bool
    """It knows its own words."""
    canceller: Callable[[], EchoCanceller] | None
    """It knows its own sound, and takes it away."""


class Recognised:
    """Speech-to-text without a deployment: its results come as events some time later."""

    def __init__(self, recogniser: Recogniser, now: Callable[[], float]) -> None:
        self._recogniser, self._now = recogniser, now
        self._streams: dict[str, _Stream] = {}
        self.due: deque[tuple[float, ev.Event]] = deque()

    def send(self, message: HearingMessage) -> None:
        name = message.utterance
        match message:
            case Begin(hints=hints):
                self._streams[name] = _Stream(self._recogniser.begin(hints))
            case Audio(pcm=pcm) if stream := self._streams.get(name):
                stream.takes(pcm)
                if stream.samples >= self._recogniser.step_samples > 0:
                    heard = self._step(stream.state, stream.rest(), last=False)
                    self._later(ev.TranscriptGrew(name, heard[0][: heard[1]]) if heard[1] else None)
            case Guess(at_s=at_s) if stream := self._streams.get(name):
                text, _ = self._step(self._recogniser.fork(stream.state), np.concatenate(stream.waiting or [NO_PCM]), last=True)
                self._later(ev.TranscriptGuessed(name, text, at_s, stream.heard_s))
            case End() if stream := self._streams.pop(name, None):
                text, _ = self._step(stream.state, stream.rest(), last=True)
                self._later(ev.TranscriptFinished(name, text, stream.heard_s))
            case _:
                self._streams.pop(name, None)

    def _step(self, state: object, pcm: Pcm, last: bool) -> tuple[str, int]:
        (heard,) = self._recogniser.step([Due(state, pcm, last)])
        if isinstance(heard, Exception):
            raise heard
        return heard.text, heard.stable_chars

    def _later(self, event: ev.Event | None) -> None:
        if event is not None:
            self.due.append((self._now() + RECOGNISED_S, event))


@dataclass
class _Stream:
    state: object
    waiting: list[Pcm] = field(default_factory=list)
    samples: int = 0
    heard_s: float = 0.0

    def takes(self, pcm: Pcm) -> None:
        self.waiting.append(pcm)
        self.samples += len(pcm)
        self.heard_s += len(pcm) / HEARING_RATE

    def rest(self) -> Pcm:
        pcm = np.concatenate(self.waiting or [NO_PCM])
        self.waiting, self.samples = [], 0
        return pcm


@dataclass
class _Answer:
    """One that is being sent."""

    response_id: str
    saying: Saying
    clauses: list[str] = field(default_factory=list)
    sent: int = 0
    """Samples."""
    clause: int = 0

    def takes(self) -> Pcm:
        pcm = self.saying.pcm[self.sent : self.sent + PIECE]
        self.sent += len(pcm)
        return pcm

    @property
    def clause_over(self) -> bool:
        """The audio is shared among the clauses by their letters."""
        letters = sum(len(text) for text in self.clauses[: self.clause + 1])
        return self.sent / len(self.saying.pcm) >= letters / sum(map(len, self.clauses))


class Stalls:
    """Of a program that now and then does nothing for a while."""

    def __init__(self, longest_s: float, random: np.random.Generator) -> None:
        self._longest_s, self._random = longest_s, random
        self._begins_at = self._ends_at = -math.inf

    def over(self, now: float) -> bool:
        if self._longest_s and now >= max(self._begins_at, self._ends_at):
            self._ends_at = now + self._random.uniform(0.0, self._longest_s)
            self._begins_at = self._ends_at + self._random.uniform(0.0, 2 * STALLS_EVERY_S)
        return now >= self._ends_at


class Room:
    def __init__(
        self,
        echo: Echo,
        sayings: Iterator[Saying],
        voice_activity: VoiceActivity,
        recogniser: Recogniser,
        handling: Handling,
        line: Line = STEADY,
        seed: int = SEED,
    ) -> None:
        random, ids, policy = np.random.default_rng(seed), count(), ServerVad()
        self.now = self.began_at = 100.0
        self._line, self._random = line, random
        self._up: deque[tuple[float, Pcm]] = deque()
        self._down: deque[tuple[float, Pcm]] = deque()
        self._server, self._page = Stalls(line.stall_s, random), Stalls(line.client_stall_s, random)
        self._behind: list[np.ndarray] = []
        """What the user said while the client did nothing."""
        self._made_at = self.now
        """When the next piece of the answer is made."""
        self._events: deque[ev.Event] = deque()
        self.client, self._air = Client(echo, random), Air(echo, random)
        self.conversation = Conversation(
            Config(turn_taking=policy), lambda kind: f"{kind}_{next(ids)}", barge_in_s=BARGE_IN_S, echo=handling.words
        )
        self._loudspeaker = Loudspeaker(self.conversation.memory.playback, SPOKEN_RATE)
        microphone = self._microphone(voice_activity, handling.canceller)
        self._recognised = Recognised(recogniser, lambda: self.now)
        self.hearing = Hearing(microphone, None, self._recognised.send, self._post, lambda: False)  # type: ignore[arg-type]
        self.hearing.configure(policy)
        self._sayings, self._answer, self._flows = sayings, None, True
        self._resampler = Resampler(SPOKEN_RATE, HEARING_RATE)
        self.answers = 0
        self.interrupted_at: list[float] = []
        """When the client was told of speech."""

    def _microphone(self, voice_activity: VoiceActivity, canceller: Callable[[], EchoCanceller] | None) -> Microphone:
        if canceller is None:
            return PlainMicrophone(voice_activity)
        return EchoingMicrophone(voice_activity, self._loudspeaker, canceller, lambda: self.now)

    async def passes(self, user: np.ndarray) -> None:
        """One frame; `user`: what the microphone hears of the user."""
        self.now += FRAME_S
        self._behind.append(user)
        if self._page.over(self.now):
            while self._down and self._down[0][0] <= self.now:
                self.client.gets(self._down.popleft()[1])
            for said in self._behind[-1:] if self._line.loses else self._behind:
                self._up.append((self._comes_at(self._up, self._line.up_s), self._air.heard(self.client.plays(), said)))
            self._behind = []
        if self._server.over(self.now):
            await self._serves()

    def _comes_at(self, line: deque[tuple[float, Pcm]], late_s: float) -> float:
        return max(self.now + self._random.uniform(0.0, late_s), line[-1][0] if line else 0.0)

    async def _serves(self) -> None:
        self._send_ahead()
        while self._recognised.due and self._recognised.due[0][0] <= self.now:
            self._post(self._recognised.due.popleft()[1])
        deadline = self.conversation.deadline
        if deadline is not None and deadline <= self.now:
            self._post(ev.DeadlinePassed(self.hearing.position_s))
        while self._up and self._up[0][0] <= self.now:
            await self.hearing.append(self._up.popleft()[1])

    def _post(self, event: ev.Event) -> None:
        """As a session does: what arises meanwhile waits for its turn."""
        self._events.append(event)
        if len(self._events) > 1:
            return
        while self._events:
            for command in self.conversation.handle(self._events[0], self.now):
                self._perform(command)
            self._events.popleft()

    def _perform(self, command: cmd.Command) -> None:
        match command:
            case cmd.BeginUtterance(item_id, start_s, hints):
                self.hearing.begin(item_id, start_s, hints)
            case cmd.EndUtterance(item_id, guessed):
                self.hearing.end(item_id, guessed)
            case cmd.GuessTranscript(item_id, at_s):
                self._recognised.send(Guess(item_id, at_s))
            case cmd.DropUtterance(item_id):
                self.hearing.drop(item_id)
            case cmd.ForgetBuffer():
                self.hearing.forget()
            case cmd.HoldAudio() | cmd.ResumeAudio():
                self._flows = isinstance(command, cmd.ResumeAudio)
            case cmd.Tell(told.UtteranceStarted()):
                self.interrupted_at.append(self.now)
                self._down.clear()
                self.client.stops()
            case _:
                self._perform_answer(command)

    def _perform_answer(self, command: cmd.Command) -> None:
        match command:
            case cmd.StartReply(response_id):
                self._answer, self._resampler = _Answer(response_id, next(self._sayings)), Resampler(SPOKEN_RATE, HEARING_RATE)
                self._made_at = self.now
                self.answers += 1
                self._post(ev.ReplyText(response_id, self._answer.saying.text))
                self._post(ev.ReplyFinished(response_id, "stop", 1, 1))
            case cmd.Speak(text=text) if self._answer:
                self._answer.clauses.append(text)
            case cmd.StopReply():
                self._answer = None

    def _send_ahead(self) -> None:
        over = self._answer is None and not self.client.plays_on and not self._down
        if self.hearing.position_s and over and self.conversation.quiet and self.conversation.memory.playback.ends_at < self.now - PAUSE_S:
            self._post(ev.ResponseAsked(ResponseRequest()))
        while self._answer is not None and self._flows and self.conversation.memory.playback.ahead_s(self.now) < LEAD_S:
            if self._made_at > self.now:
                break
            self._made_at += PIECE / SPOKEN_RATE / self._line.pace
            self._send_piece(self._answer)

    def _send_piece(self, answer: _Answer) -> None:
        pcm = answer.takes()
        self._loudspeaker.sent(pcm, self.now)
        self._down.append((self._comes_at(self._down, self._line.down_s), self._resampler.push(pcm)))
        self._post(ev.ClauseAudio(answer.response_id, answer.clause, len(pcm) / SPOKEN_RATE))
        while answer.clause < len(answer.clauses) and answer.clause_over:
            self._post(ev.ClauseSpoken(answer.response_id, answer.clause))
            answer.clause += 1
        if answer.sent >= len(answer.saying.pcm):
            self._down.append((self._comes_at(self._down, self._line.down_s), self._resampler.flush()))
            self._answer = None
