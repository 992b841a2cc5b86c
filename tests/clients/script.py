"""The conversation that each stock client has: what is heard and answered in it, and the audio for it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from deployments.engines.fake import FakeLanguageModel
from serve_app.audio import Resampler
from serve_app.engines import ChatMessage, Pcm, ToolCall
from tests.fake_server import S_PER_LETTER, fake_engines

SENTENCE = Path(__file__).parent.parent / "audio" / "capital_of_france.wav"
"""One utterance without a pause; which words it is heard as is scripted."""
RATE = 24_000
BYTES_A_SECOND = 2 * RATE

QUESTION, ASKS_FOR_TOOL, INTERRUPTION = "What is the capital of France?", "How warm is it there?", "Stop, that is enough."
ANSWER = "It is Paris."
ANSWER_BYTES = round(len(ANSWER) * S_PER_LETTER * BYTES_A_SECOND)
TOOL, CITY, RESULT = "temperature", "Paris", "21 degrees in Paris"
LONG_ANSWER = "It has 21 degrees now. " + "The rest of the week stays as warm, with some clouds in the afternoon. " * 8
WELL_INTO_IT_BYTES = 5 * BYTES_A_SECOND
"""More than the server sends ahead of playback: when a client has it, the first second has been played."""
LAST_ANSWER = "As you like."


class Talk:
    """The engines that hear and answer it."""

    def __init__(self) -> None:
        answers = (ANSWER, ToolCall("", TOOL, f'{{"city": "{CITY}"}}'), LONG_ANSWER, LAST_ANSWER)
        self._model = FakeLanguageModel(answers)
        self.engines = replace(fake_engines((QUESTION, ASKS_FOR_TOOL, INTERRUPTION)), language_model=self._model)

    def knows_the_result(self) -> None:
        """What the tool gave is in the prompt of the answer after it, as the result of the call."""
        call, result = self._model.prompts[2].messages[-2:]
        assert [(one.name, one.arguments) for one in call.tool_calls] == [(TOOL, f'{{"city": "{CITY}"}}')]
        assert result == ChatMessage("tool", RESULT, call_id=call.tool_calls[0].call_id)


def spoken() -> Pcm:
    """A sentence at the rate of the protocol, with the silence after it that ends the turn."""
    pcm, rate = soundfile.read(SENTENCE, dtype="int16")
    resampler = Resampler(rate, RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush(), np.zeros(RATE, np.int16)))
