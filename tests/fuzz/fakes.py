"""Engines that do what engines do: answer late or never, in any length, with code and emoji, call tools, fail, and are lost with their
replica. What they do follows from dice; for a session that runs beside it follows from what was asked, and never fails."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from deployments.engines.fake import FakeTextToSpeech, FakeVoiceActivity
from serve_app.audio import level_dbfs
from serve_app.core.language import Hints, Prompt
from serve_app.engines import HEARING_RATE, Due, Engines, Hypothesis, Pcm, ReplyEnd, ReplyPiece, Sound, Speech, TextDelta, ToolCallDelta
from serve_app.errors import EngineFailed, EngineGone, PromptTooLong
from serve_app.listening import Listening

BYSTANDER = "bystander"
"""In the transcription prompt of the session beside it, and in all that it says and hears."""
HEARD = ("", "Yes.", "Mm-hm.", "Stop.", "What is the capital of France?", "no stop that please", "One two three four five six seven.")
WRITTEN = (
    "Yes.",
    "The capital of France is Paris. It lies on the Seine, in the north of the country. ",
    "Here is the code:\n```python\nprint('hello')\n```\nThat is all of it. ",
    "🙂",
    "```\nnothing but code\n```",
    "# Title\n\n1. one\n2. two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
    "One two three four five six seven. Eight nine ten. Is that so? ",
    "\n\n",
    "x" * 500,
    "€5 – 3.50$ on 2024-01-02 at 10:30, 1/2 cup; Dr. Who & Co. ",
    "“Quoted”, *bold*, _thin_, https://example.org/a?b=c ",
)


@dataclass(slots=True)
class _Heard:
    text: str | Exception
    samples: int = 0


class Recogniser:
    step_samples = HEARING_RATE // 2

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    async def warm(self) -> None: ...

    def begin(self, hints: Hints) -> _Heard:
        if hints.prompt.startswith(BYSTANDER):
            return _Heard(hints.prompt)
        return _Heard(EngineFailed("it could not be heard") if self._dice.random() < 0.05 else self._dice.choice(HEARD))

    def fork(self, stream: _Heard) -> _Heard:
        return replace(stream)

    def step(self, due: Sequence[Due]) -> list[Hypothesis | Exception]:
        return [self._hear(one) for one in due]

    def _hear(self, due: Due) -> Hypothesis | Exception:
        heard: _Heard = due.stream
        heard.samples += len(due.pcm)
        if isinstance(heard.text, Exception):
            return heard.text
        words = heard.text.split()
        text = heard.text if due.last else " ".join(words[: 2 * heard.samples // HEARING_RATE])
        return Hypothesis(text, len(text))


class Model:
    def __init__(self, dice: Random, pace: float) -> None:
        self._dice = dice
        self._pace = pace
        self.live = 0

    async def warm(self) -> None: ...

    async def shed(self) -> None: ...

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        assert prompt.messages, "a prompt without messages"
        self.live += 1
        try:
            said = next((one.content for one in reversed(prompt.messages) if one.role == "user"), "")
            if BYSTANDER in said:
                yield TextDelta(f"You said {said}.")
                yield ReplyEnd("stop", 5, 5)
                return
            async for piece in self._pieces(prompt):
                yield piece
        finally:
            self.live -= 1

    async def _pieces(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        dice, written = self._dice, 0
        await asyncio.sleep(self._pace * dice.choice((0.0, 0.0, 0.1, 0.5, 3.0)))
        match dice.randrange(30):
            case 0:
                raise EngineFailed("it could not be written")
            case 1:
                raise EngineGone("the replica is lost")
            case 2:
                raise PromptTooLong("it does not fit")
        most = 10_000 if prompt.max_tokens is None else prompt.max_tokens
        for word in self._words():
            if written == most:
                break
            await asyncio.sleep(self._pace * dice.choice((0.0, 0.0, 0.0, 0.05)))
            yield TextDelta(word)
            written += 1
        if prompt.tools and prompt.tool_choice != "none":
            for index in range(dice.randrange(3)):
                for piece in ('{"a":', " 1", "}") if dice.random() < 0.8 else ("",):
                    yield ToolCallDelta(index, "look_up", piece)
        if dice.random() < 0.03:
            raise EngineFailed("it broke in the middle")
        yield ReplyEnd("length" if written == most or dice.random() < 0.05 else "stop", 7, written, 2)

    def _words(self) -> list[str]:
        texts = [self._dice.choice(WRITTEN) for _ in range(self._dice.choice((0, 1, 1, 1, 2, 4)))]
        return re.findall(r"\s*\S+|\s+$", "".join(texts))


class Voice(FakeTextToSpeech):
    def __init__(self, dice: Random, pace: float) -> None:
        super().__init__(("af_heart", "af_bella"), pace * dice.choice((0.005, 0.02, 0.06)))
        self._dice = dice
        self._pace = pace
        self.times_words = dice.random() < 0.5

    async def speak(self, speech: Speech) -> AsyncIterator[Sound]:
        self.spoken.clear()
        if BYSTANDER not in speech.text and self._dice.random() < 0.04:
            raise self._dice.choice((EngineFailed, EngineGone))("it could not be spoken")
        async for sound in super().speak(speech):
            if self._dice.random() < 0.1:
                await asyncio.sleep(self._pace * self._dice.choice((0.0, 0.3, 2.0)))
            yield sound


class Detector:
    def __init__(self, dice: Random) -> None:
        self._dice = dice

    async def warm(self) -> None: ...

    async def score(self, pcm: Pcm) -> float:
        await asyncio.sleep(self._dice.choice((0.0, 0.05)))
        return self._dice.choice((0.0, 0.4, 1.0))


class Canceller:
    """Takes away what is as loud as what was played."""

    def clean(self, heard: Pcm, played: Pcm) -> Pcm:
        return np.zeros_like(heard) if level_dbfs(heard) <= level_dbfs(played) + 3 else heard


def engines(dice: Random, pace: float = 1.0) -> tuple[Engines, Any, Any, Any]:
    """The engines, and of them the language model, the voice and speech-to-text, for those who count what is left. `pace`: the share of
    the usual time that everything takes."""
    model, voice, listening = Model(dice, pace), Voice(dice, pace), Listening(Recogniser(dice))
    return Engines(FakeVoiceActivity(), Detector(dice), listening, model, voice), model, voice, listening
