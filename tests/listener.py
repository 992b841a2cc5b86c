"""What tests of the scheduler between sessions and a model say to it, and hear from it."""

from contextlib import asynccontextmanager

import numpy as np

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import HEARING_RATE, Audio, Begin, End
from serve_app.listening import Limits, Listening


def seconds(count):
    return np.ones(int(count * HEARING_RATE), np.int16)


@asynccontextmanager
async def listening_to(recogniser, **limits):
    listening = Listening(recogniser, Limits(gather_s=0, **limits))
    try:
        yield listening
    finally:
        if isinstance(recogniser, FakeRecogniser):
            recogniser.gate.open()
        await listening.close()


def say(ear, name, audio_s=1.0):
    ear.send(Begin(name))
    ear.send(Audio(name, seconds(audio_s)))
    ear.send(End(name))


async def next_of(ear):
    return await anext(ear.results())


async def a_step_is_held(listening, recogniser):
    """The worker stands at the gate with an utterance of another session."""
    recogniser.gate.shut()
    ear = await listening.open("holding")
    say(ear, "held")
    await recogniser.gate.reached()
    return ear


async def collect(ear):
    return [result async for result in ear.results()]
