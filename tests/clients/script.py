"""The conversation that each stock client has: what is heard and answered in it, and the audio for it."""

from pathlib import Path

import numpy as np
import soundfile

from serve_app.audio import Resampler
from serve_app.engines import Engines, Pcm, ToolCall
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
LAST_ANSWER = "As you like."


def scripted() -> Engines:
    answers = (ANSWER, ToolCall("", TOOL, f'{{"city": "{CITY}"}}'), LONG_ANSWER, LAST_ANSWER)
    return fake_engines((QUESTION, ASKS_FOR_TOOL, INTERRUPTION), answers)


def spoken() -> Pcm:
    """A sentence at the rate of the protocol, with the silence after it that ends the turn."""
    pcm, rate = soundfile.read(SENTENCE, dtype="int16")
    resampler = Resampler(rate, RATE)
    return np.concatenate((resampler.push(pcm), resampler.flush(), np.zeros(RATE, np.int16)))
