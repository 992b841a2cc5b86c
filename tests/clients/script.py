"""The conversation that each stock client has, and what it must have seen of it: a question and its answer, a question that takes a tool,
a story that is spoken over, and the answer to what was said over it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

from deployments.engines.fake import FakeLanguageModel
from serve_app.audio import Resampler
from serve_app.engines import ChatMessage, Pcm, ToolCall
from tests.fake_server import S_PER_LETTER, fake_engines, serving
from tests.recordings import word_error_rate

AUDIO = Path(__file__).parent.parent / "audio"
RATE = 24_000
BYTES_A_SECOND = 2 * RATE


@dataclass(frozen=True, slots=True)
class Utterance:
    """Without a pause in it, so that it is one turn."""

    file: str
    words: str

    @property
    def path(self) -> Path:
        return AUDIO / self.file

    @property
    def pcm(self) -> Pcm:
        """At the rate of the protocol."""
        pcm, rate = soundfile.read(self.path, dtype="int16")
        resampler = Resampler(rate, RATE)
        return np.concatenate((resampler.push(pcm), resampler.flush()))


QUESTION = Utterance("capital_of_france.wav", "What is the capital of France?")
ASKS_FOR_TOOL = Utterance("warm_in_paris.wav", "How warm is it in Paris today?")
ASKS_FOR_STORY = Utterance("long_story.wav", "Tell me a very long story.")
INTERRUPTION = Utterance("what_is_your_name.wav", "What is your name?")

TOOL, CITY, RESULT = "temperature", "Paris", "It is 21 degrees in Paris."
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
DESCRIPTION = "How warm it is in a city."
INSTRUCTIONS = "You are a voice assistant. Answer in one short sentence. A story may be long."

ANSWER, ANSWER_WITH_RESULT, LAST_ANSWER = "It is Paris.", "It has 21 degrees now.", "As you like."
STORY = "Once there was a dragon. " + "He lived in a cave and was fond of the princess, who came by each day. " * 8
ENDINGS = ["completed", "completed", "completed", "cancelled", "completed"]
"""Of the responses: the answer, the call, the answer with its result, the story, the last answer."""


@dataclass(frozen=True, slots=True)
class ToolRound:
    """What the user asks, what the model is to call for it, and what that gives; None: what only the client knows."""

    question: Utterance
    call: ToolCall
    result: str | None

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        return QUESTION, self.question, ASKS_FOR_STORY, INTERRUPTION


TEMPERATURE = ToolRound(ASKS_FOR_TOOL, ToolCall("", TOOL, f'{{"city": "{CITY}"}}'), RESULT)


@dataclass
class Seen:
    """What an application on top of the client has had of it at the end."""

    endings: list[str]
    """The status of each response."""
    history: list[tuple[str, str]]
    """Who said what, as the client has it last."""
    arguments: list[dict[str, Any]]
    """Of each call of the tool."""
    results: list[str]
    """What the client holds for the tool's result."""
    first_answer_bytes: int
    interrupted: bool
    """The client was told that the user speaks over the answer."""
    truncated: bool
    """The server took note of what was heard of the story."""
    errors: list[Any] = field(default_factory=list)


class Stage(Protocol):
    """A server, and how the conversation goes on it."""

    url: str
    """http://HOST:PORT"""
    speed: float
    """Of the client's microphone: 1 is a real one."""
    well_into_bytes: int
    """The story is spoken over when so much of it is there."""
    patience_s: float

    def agrees(self, seen: Seen) -> None: ...


class FakeStage:
    """What is heard and answered is scripted, so all is known word for word."""

    speed = 8.0
    well_into_bytes = 5 * BYTES_A_SECOND
    """More than the server sends ahead of playback: when a client has it, the first second has been played."""
    patience_s = 60.0

    def __init__(self, url: str, model: FakeLanguageModel, tool_round: ToolRound) -> None:
        self.url = url
        self._model = model
        self._round = tool_round

    def agrees(self, seen: Seen) -> None:
        _went_well(seen, self._round)
        assert seen.endings == ENDINGS and seen.interrupted and seen.truncated
        assert seen.arguments == [json.loads(self._round.call.arguments)]
        assert seen.first_answer_bytes == round(len(ANSWER) * S_PER_LETTER * BYTES_A_SECOND)
        said = [who_said for who_said in seen.history if who_said[1]]
        heard = [("user", one.words) for one in self._round.utterances]
        assert said[:5] == [heard[0], ("assistant", ANSWER), heard[1], ("assistant", ANSWER_WITH_RESULT), heard[2]]
        (who, cut), *rest = said[5:]
        assert rest == [heard[3], ("assistant", LAST_ANSWER)]
        assert who == "assistant" and 0 < len(cut) < len(STORY) and STORY.startswith(cut)
        self._model_was_told(seen.results[0])

    def _model_was_told(self, output: str) -> None:
        """In the prompt of the answer after it, as the result of the call."""
        call, result = self._model.prompts[2].messages[-2:]
        assert [(one.name, one.arguments) for one in call.tool_calls] == [(self._round.call.name, self._round.call.arguments)]
        assert result == ChatMessage("tool", output, call_id=call.tool_calls[0].call_id)


class RealStage:
    """Real engines: a small model, whose words are its own."""

    speed = 1.0
    well_into_bytes = 2 * BYTES_A_SECOND
    patience_s = 400.0
    """Of one conversation. Only against hanging: on two busy cores an answer takes up to 20 s."""

    def __init__(self, url: str, tool_round: ToolRound) -> None:
        self.url = url
        self._round = tool_round

    def agrees(self, seen: Seen) -> None:
        """A short story may have been sent whole, or played to its end, before the user speaks: its response is completed then, and
        there may be nothing to interrupt. How long it is depends on the model's floats, and so on the processor."""
        _went_well(seen, self._round)
        assert seen.endings in (ENDINGS, ["completed"] * len(ENDINGS)), seen.history
        assert seen.endings != ENDINGS or (seen.interrupted and seen.truncated)
        assert [set(arguments) for arguments in seen.arguments] == [set(json.loads(self._round.call.arguments))]
        said = [who_said for who_said in seen.history if who_said[1]]
        heard = [words for who, words in said if who == "user"]
        assert max(word_error_rate(one.words, words) for one, words in zip(self._round.utterances, heard, strict=True)) <= 0.35, heard
        answers = [words for who, words in said if who == "assistant"]
        assert "Paris" in answers[0] and len(answers) >= 3, answers
        assert seen.first_answer_bytes > BYTES_A_SECOND / 2


def _went_well(seen: Seen, tool_round: ToolRound) -> None:
    assert seen.errors == []
    assert len(seen.results) == 1 and seen.results[0] == (tool_round.result or seen.results[0])


@contextmanager
def fake_stage(tool_round: ToolRound) -> Iterator[FakeStage]:
    model = FakeLanguageModel((ANSWER, tool_round.call, ANSWER_WITH_RESULT, STORY, LAST_ANSWER))
    engines = replace(fake_engines([one.words for one in tool_round.utterances]), language_model=model)
    with serving(engines=engines) as url:
        yield FakeStage(url.rstrip("/"), model, tool_round)
