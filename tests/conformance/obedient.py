"""A server whose engines are fakes that do what the checks ask for: the checks then run in seconds, and what they find is the protocol."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np

from deployments.engines.fake import FakeTextToSpeech
from serve_app.audio import level_dbfs
from serve_app.engines import Due, Engines, Hints, Hypothesis, Pcm, Prompt, ReplyEnd, ReplyPiece, TextDelta, ToolCallDelta
from serve_app.errors import EngineFailed
from serve_app.listening import Listening
from tests.fake_server import VOICES, fakes

HEARD = "What is the capital of France?"
STORY = "Once upon a time there was a sea. " * 12
LOUD_DBFS, CERTAIN = -50.0, 0.97


class ObedientModel:
    """Calls tools when it must, or may and is asked for the weather; tells a story when asked for one; fails when asked to. A token is a
    word."""

    async def warm(self) -> None: ...

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        asked = " ".join(message.content for message in prompt.messages if message.role in ("system", "user")).lower()
        if "please fail" in asked:
            raise EngineFailed("as asked")
        pieces, most, sent = list(self._pieces(prompt, asked)), prompt.max_tokens or 4096, 0
        for piece in pieces[:most]:
            yield piece
            sent += 1
        read = sum(len(message.content.split()) for message in prompt.messages)
        yield ReplyEnd("length" if len(pieces) > most else "stop", read, sent)

    def _pieces(self, prompt: Prompt, asked: str) -> Iterator[ReplyPiece]:
        if names := self._called(prompt, asked):
            for index, name in enumerate(names):
                yield ToolCallDelta(index, name, "")
                yield ToolCallDelta(index, "", '{"city": ')
                yield ToolCallDelta(index, "", '"Paris"}')
        else:
            text = STORY if "stor" in asked else "Hello to you too."
            yield from (TextDelta(word) for word in re.findall(r"\s*\S+", text))

    def _called(self, prompt: Prompt, asked: str) -> list[str]:
        names = [tool.name for tool in prompt.tools]
        if prompt.tool_choice in names:
            return [prompt.tool_choice]
        must = prompt.tool_choice == "required" or (prompt.tool_choice == "auto" and "weather" in asked)
        return (names if "both" in asked else names[:1]) if must else []


class ObedientEar:
    """Hears one sentence, word by word; fails when the prompt says so."""

    step_samples = 8_000

    async def warm(self) -> None: ...

    def begin(self, hints: Hints) -> dict[str, Any]:
        return {"fails": hints.prompt == "fail", "samples": 0}

    def fork(self, stream: dict[str, Any]) -> dict[str, Any]:
        return dict(stream)

    def step(self, due: list[Due]) -> list[Hypothesis | Exception]:
        return [self._hear(one) for one in due]

    def _hear(self, due: Due) -> Hypothesis | Exception:
        due.stream["samples"] += len(due.pcm)
        if due.stream["fails"]:
            return EngineFailed("as asked")
        words = HEARD.split()
        text = " ".join(words if due.last else words[: due.stream["samples"] // self.step_samples])
        return Hypothesis(text, len(text))


class ObedientVoiceActivity:
    """Loud is speech, though never for certain."""

    frame_samples = 512

    async def warm(self) -> None: ...

    def open(self) -> "ObedientVoiceActivity":
        return self

    def score(self, frame: Pcm) -> float:
        return CERTAIN if level_dbfs(np.asarray(frame)) > LOUD_DBFS else 0.0


def engines() -> Engines:
    return fakes(
        voice_activity=ObedientVoiceActivity(),
        speech_to_text=Listening(ObedientEar()),
        language_model=ObedientModel(),
        text_to_speech=FakeTextToSpeech((*VOICES, "am_michael")),
    )
