"""One engine of each kind without a model: deterministic, instant, and told what to do by its constructor. For tests, and to try the
server without weights (`profile=fake`). In tests work is held up by a gate that the test opens, never by time; for load tests each can be
paced, to take as long as a real one was seen to take."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from deployments.engines.pacing import Gate, Steps
from serve_app.audio import level_dbfs
from serve_app.engines import (
    HEARING_RATE,
    Hypothesis,
    ReplyEnd,
    Sound,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Word,
)
from serve_app.errors import EngineFailed, PromptRefused, PromptTooLong, UnknownVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    from serve_app.engines import Due, Hints, Pcm, Prompt, ReplyPiece, Speech


# --- voice activity ---------------------------------------------------------------------------------------------------------------------


class FakeVoiceActivity:
    """Whatever is louder than `threshold_dbfs` is speech."""

    frame_samples = 512

    def __init__(self, threshold_dbfs: float = -50.0) -> None:
        self._threshold_dbfs = threshold_dbfs

    async def warm(self) -> None: ...

    def open(self) -> FakeVoiceActivity:
        """It has no state, so one stream serves all."""
        return self

    def score(self, frame: Pcm) -> float:
        if len(frame) != self.frame_samples:
            raise EngineFailed(f"frames have {self.frame_samples} samples, not {len(frame)}")
        return 1.0 if level_dbfs(frame) > self._threshold_dbfs else 0.0


# --- turn detection ---------------------------------------------------------------------------------------------------------------------


class FakeTurnDetector:
    def __init__(self, finished: float = 1.0) -> None:
        self.finished = finished
        """What it says; may be set at any time."""
        self.asked_s: list[float] = []
        """Seconds of audio of each question."""

    async def warm(self) -> None: ...

    async def score(self, pcm: Pcm) -> float:
        self.asked_s.append(len(pcm) / HEARING_RATE)
        return self.finished


# --- speech-to-text ---------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _FakeUtterance:
    script: str | Exception | None
    samples: int = 0
    steps: int = 0


class FakeRecogniser:
    """The utterances that begin are given `texts` one after the other; an exception among them fails its utterance. Beyond the last one
    the text is derived from the audio: "heard 1.50 seconds". A partial has one more word with each step."""

    def __init__(self, texts: Sequence[str | Exception] = (), step_s: float = 0.5, utterance_s: float = 0.0) -> None:
        """`utterance_s`: what the end of each utterance takes, one after the other."""
        self.step_samples = int(step_s * HEARING_RATE)
        self.gate = Gate()
        """Each step passes it."""
        self.batches: list[int] = []
        """Utterances in each step so far."""
        self.hints: list[Hints] = []
        self._script = deque(texts)
        self._utterance_s = utterance_s

    async def warm(self) -> None: ...

    def begin(self, hints: Hints) -> _FakeUtterance:
        self.hints.append(hints)
        return _FakeUtterance(self._script.popleft() if self._script else None)

    def fork(self, stream: _FakeUtterance) -> _FakeUtterance:
        return replace(stream)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        self.batches.append(len(due))
        self.gate.pass_through()
        time.sleep(self._utterance_s * sum(one.last for one in due))
        return [self._hear(one) for one in due]

    def _hear(self, due: Due) -> Hypothesis | Exception:
        utterance: _FakeUtterance = due.stream
        utterance.samples += len(due.pcm)
        utterance.steps += 1
        if isinstance(utterance.script, Exception):
            return utterance.script
        heard = f"heard {utterance.samples / HEARING_RATE:.2f} seconds" if utterance.samples else ""
        text = heard if utterance.script is None else utterance.script
        if not due.last:
            text = " ".join(text.split()[: utterance.steps])
        return Hypothesis(text, 0 if utterance.script is None and not due.last else len(text))


# --- language model ---------------------------------------------------------------------------------------------------------------------

ReplyPart = str | ToolCall | Exception


class FakeLanguageModel:
    """Each prompt is given the next of `replies`, word by word: a text, or parts in order, among them tool calls and an exception to be
    raised there. Beyond the last one it echoes: "You said: ...". A token is a word."""

    def __init__(
        self,
        replies: Sequence[ReplyPart | Sequence[ReplyPart]] = (),
        context: int = 4096,
        first_s: float = 0.0,
        step_s: float = 0.0,
        sequence_s: float = 0.0,
    ) -> None:
        """`first_s`: until the first word of each reply, of all at once. Each word then is a step for all of them, which takes `step_s`
        and `sequence_s` for each."""
        self.prompts: list[Prompt] = []
        self.gate = asyncio.Event()
        """Each piece waits for it; open (set) until a test clears it."""
        self.gate.set()
        self.live = 0
        """Replies under way."""
        self.sheds = 0
        """How often it was asked for what it can do without."""
        self._script = deque(replies)
        self._context = context
        self._first_s = first_s
        self._steps = Steps(step_s, sequence_s)

    async def warm(self) -> None: ...

    async def shed(self) -> None:
        self.sheds += 1

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        self.prompts.append(prompt)
        prompt_tokens = sum(len(message.content.split()) for message in prompt.messages)
        if prompt_tokens > self._context:
            raise PromptTooLong(f"{prompt_tokens} tokens do not fit a context of {self._context}")
        pieces = self._pieces(_until(prompt.constraints.stop, self._next(prompt)))
        sent = 0
        self.live += 1
        try:
            await asyncio.sleep(self._first_s)
            with self._steps.joined() as stepped:
                for piece in islice(pieces, prompt.max_tokens):
                    await stepped()
                    await self.gate.wait()
                    yield piece
                    sent += 1
            yield ReplyEnd("stop" if next(pieces, None) is None else "length", prompt_tokens, sent)
        finally:
            self.live -= 1

    def _next(self, prompt: Prompt) -> Sequence[ReplyPart]:
        if not self._script:
            if prompt.constraints.schema is not None:
                raise PromptRefused("this model without weights writes JSON only where a test has given it some")
            asked = [message.content for message in prompt.messages if message.role == "user"]
            return (f"You said: {asked[-1]}" if asked else "Hello.",)
        reply = self._script.popleft()
        return (reply,) if isinstance(reply, str | ToolCall | Exception) else reply

    def _pieces(self, parts: Iterable[ReplyPart]) -> Iterator[TextDelta | ToolCallDelta]:
        calls = 0
        for part in parts:
            if isinstance(part, Exception):
                raise part
            if isinstance(part, ToolCall):
                half = len(part.arguments) // 2
                yield ToolCallDelta(calls, part.name, part.arguments[:half])
                yield ToolCallDelta(calls, "", part.arguments[half:])
                calls += 1
            else:
                yield from (TextDelta(word) for word in _words(part))


def _until(stops: Sequence[str], parts: Iterable[ReplyPart]) -> Iterator[ReplyPart]:
    """The parts before the first of `stops` in a text."""
    for part in parts:
        found = [part.index(stop) for stop in stops if stop in part] if isinstance(part, str) else []
        yield part[: min(found)] if isinstance(part, str) and found else part
        if found:
            return


# --- text-to-speech ---------------------------------------------------------------------------------------------------------------------


class FakeTextToSpeech:
    """A tone of its own for each voice, as long as the text: `s_per_character`, the spaces included. One piece a word, with the word's
    time."""

    sample_rate = 24_000

    def __init__(
        self,
        voices: Sequence[str] = ("af_heart", "af_bella"),
        s_per_character: float = 0.06,
        speech_s: float = 0.0,
        word_s: float = 0.0,
    ) -> None:
        """`speech_s`: until the first sound of each speech, one after the other; `word_s`: then for each word."""
        self.voices = tuple(voices)
        self.spoken: list[Speech] = []
        self.error: Exception | None = None
        """Raised after the first word, as long as it is set."""
        self.gate = asyncio.Event()
        """Each piece waits for it; open (set) until a test clears it."""
        self.gate.set()
        self.live = 0
        """Speeches under way."""
        self.times_words = True
        self._s_per_character = s_per_character
        self._speech_s = speech_s
        self._word_s = word_s
        self._at_work = asyncio.Lock()

    async def warm(self) -> None: ...

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        for voice in speech.voice.split("+"):
            if voice not in self.voices:
                raise UnknownVoice(f"there is no voice {voice!r}; there are {', '.join(self.voices)}")
        self.spoken.append(speech)
        self.live += 1
        try:
            if self._speech_s:
                async with self._at_work:
                    await asyncio.sleep(self._speech_s)
            characters = 0
            for word in _words(speech.text):
                await self.gate.wait()
                await asyncio.sleep(self._word_s)
                yield self._sound(speech, word, characters)
                characters += len(word)
                if self.error is not None:
                    raise self.error
        finally:
            self.live -= 1

    def _sound(self, speech: Speech, word: str, characters: int) -> Sound:
        s_per_character = self._s_per_character / speech.speed
        start_s, end_s = characters * s_per_character, (characters + len(word)) * s_per_character
        hertz = 220.0 * (1 + self.voices.index(speech.voice.split("+")[0]))
        at = np.arange(round(start_s * self.sample_rate), round(end_s * self.sample_rate)) / self.sample_rate
        tone = (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)
        return Sound(tone, (Word(word.strip(), start_s, end_s),) if self.times_words else ())


def _words(text: str) -> list[str]:
    """With the spaces before them: joined they are the text."""
    return re.findall(r"\s*\S+(?:\s+$)?", text)
