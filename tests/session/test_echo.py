"""An answer that comes back into the microphone, with real voice activity, in the room of the benchmark (load_tests/bench/echo_room.py):
its time is counted in frames, so nothing waits. Words are real too."""

import asyncio
import math
from itertools import cycle

import numpy as np
import pytest
import soundfile

from deployments.engines.moonshine import Moonshine
from deployments.engines.silero import Silero
from deployments.engines.webrtc_echo import WebRtcEcho
from load_tests.bench.echo_room import SPOKEN_RATE, Handling, Room, Saying
from load_tests.bench.echo_sound import FRAME, FRAME_S, STEADY, Echo, Line
from serve_app.audio import Resampler
from serve_app.core.playback import Playback
from serve_app.likeness import coherence, likeness
from serve_app.loudspeaker import REACH, Loudspeaker
from tests.recordings import AUDIO, EVERYTHING

pytestmark = pytest.mark.weights
ON, OFF = Handling(False, WebRtcEcho), Handling(False, None)
ANSWERS = ("tell_a_story.wav", "capital_of_france.wav", "warm_in_paris.wav", "long_story.wav")


Ears = tuple[Silero, Moonshine]


@pytest.fixture(scope="module")
def ears() -> Ears:
    ears = Silero(), Moonshine()
    for ear in ears:
        asyncio.run(ear.warm())
    return ears


def room(ears: Ears, echo: Echo, handling: Handling, line: Line = STEADY, answer_s: float = math.inf) -> Room:
    pcm = np.concatenate([soundfile.read(AUDIO / name, dtype="int16")[0] for name in ANSWERS])
    samples = int(min(answer_s * SPOKEN_RATE, len(pcm)))
    sayings = [Saying("One two three four five six seven.", pcm[at : at + samples]) for at in range(0, len(pcm), samples)]
    return Room(echo, cycle(sayings), *ears, handling, line)


async def listens(room: Room, seconds: float) -> None:
    for _ in range(int(seconds / FRAME_S)):
        await room.passes(np.zeros(FRAME))


async def says(room: Room) -> float:
    """Seconds from the first sound of a speaker to the interruption."""
    begun = room.now
    sound = EVERYTHING.pcm / 32768
    for at in range(np.flatnonzero(np.abs(sound) > 0.02)[0], len(sound) - FRAME, FRAME):
        await room.passes(sound[at : at + FRAME])
        if room.interrupted_at:
            return room.interrupted_at[0] - begun
    raise AssertionError("the user was not heard")


@pytest.mark.parametrize(("lag_s", "level_db"), [(0.02, -6), (0.15, -6), (0.4, -6), (0.02, -20), (0.15, -20), (0.4, -20)])
async def test_an_answer_that_comes_back_goes_on(ears: Ears, lag_s: float, level_db: float) -> None:
    here = room(ears, Echo(lag_s, level_db), ON)
    await listens(here, 8.0)
    assert here.interrupted_at == [] and here.client.played_s > 7.0


async def test_without_a_canceller_it_interrupts_itself(ears: Ears) -> None:
    here = room(ears, Echo(0.15, -20), OFF)
    await listens(here, 3.0)
    assert here.interrupted_at


@pytest.mark.parametrize("level_db", [None, -30, -12])
async def test_the_user_over_the_echo_interrupts(ears: Ears, level_db: float | None) -> None:
    here = room(ears, Echo(0.15, level_db), ON)
    await listens(here, 3.0)
    assert here.interrupted_at == []
    assert await says(here) < 1.5


UNSTEADY = {
    "the client is late": Line(client_stall_s=0.8),
    "the microphone loses samples": Line(client_stall_s=0.3, loses=True),
    "playback stops and goes on": Line(pace=0.8, stall_s=0.5),
}
unsteady = pytest.mark.parametrize("line", UNSTEADY.values(), ids=UNSTEADY.keys())


@unsteady
@pytest.mark.parametrize(("lag_s", "level_db"), [(0.05, -6), (0.3, -20)])
async def test_an_answer_that_comes_back_goes_on_though_not_all_is_on_time(ears: Ears, line: Line, lag_s: float, level_db: float) -> None:
    """One of the eight may be missed: how likely sound is speech is not computed alike on every processor."""
    here = room(ears, Echo(lag_s, level_db), ON, line, answer_s=3.0)
    while here.answers <= 8 and here.now < here.began_at + 100.0:
        await here.passes(np.zeros(FRAME))
    assert len(here.interrupted_at) <= 1 and here.client.played_s > 18.0


@unsteady
async def test_the_user_interrupts_though_not_all_is_on_time(ears: Ears, line: Line) -> None:
    here = room(ears, Echo(0.15, -12), ON, line)
    await listens(here, 3.0)
    assert here.interrupted_at == []
    assert await says(here) < 2.5


async def test_a_reply_over_the_end_of_an_answer_is_heard_with_and_without_an_echo(ears: Ears) -> None:
    for level_db in (None, -20):
        here = room(ears, Echo(0.1, level_db), ON, answer_s=4.0)
        while not here.client.plays_on:
            await here.passes(np.zeros(FRAME))
        while here.conversation.memory.playback.ahead_s(here.now) > 0.4:
            await here.passes(np.zeros(FRAME))
        assert await says(here) < 1.5


def test_the_lag_of_an_echo_that_comes_before_its_place_is_found() -> None:
    played, place, early = EVERYTHING.pcm[: 3 * REACH], 20_000, 4000
    heard = played[place + 2000 : place + 2000 + 8192] // 4
    lag, alike = likeness(heard, played[place - REACH : place + 8192 + early], early)
    assert lag == -2000 and alike > 3.0


def test_the_lag_of_an_echo_is_found_and_other_speech_has_none() -> None:
    played = EVERYTHING.pcm[: 2 * REACH]
    at = 12_000
    lag, alike = likeness(played[REACH - at : REACH - at + 8192] // 4, played[: REACH + 8192])
    assert lag == at and alike > 3.0
    other, rate = soundfile.read(AUDIO / "tell_a_story.wav", dtype="int16")
    heard = Resampler(rate, 16_000).push(other)[8000 : 8000 + 8192]
    assert likeness(heard, played[: REACH + 8192])[1] < 1.6


def test_an_echo_is_coherent_at_its_lag_and_other_speech_at_none() -> None:
    played = EVERYTHING.pcm[16_000 : 16_000 + 8192]
    hiss = np.random.default_rng(1).normal(0, 30, len(played))
    assert (coherence((played // 4 + hiss).astype(np.int16), played) or 0.0) > 0.5
    other, rate = soundfile.read(AUDIO / "tell_a_story.wav", dtype="int16")
    heard = Resampler(rate, 16_000).push(other)
    assert max(coherence(heard[at : at + 8192], played) or 0.0 for at in range(8000, 24_000, 1000)) < 0.25


def test_over_the_first_sound_of_an_answer_coherence_tells_nothing() -> None:
    """Any two sounds are coherent over a segment or two."""
    played = np.concatenate((np.zeros(7000, np.int16), EVERYTHING.pcm[16_000 : 16_000 + 1192]))
    assert coherence(EVERYTHING.pcm[24_000 : 24_000 + 8192], played) is None


def test_what_the_client_threw_away_is_not_expected_back() -> None:
    playback = Playback()
    loudspeaker = Loudspeaker(playback, 16_000)
    loudspeaker.microphone.came(1600, 0.1)
    loudspeaker.sent(np.full(16_000, 1000, np.int16), 0.1)
    playback.sent(1.0, 0.1)
    assert loudspeaker.audible(1600) and loudspeaker.played(10_000, 512).any()
    playback.flush(0.3)
    assert loudspeaker.audible(1600) and not loudspeaker.played(10_000, 512).any()
    assert not loudspeaker.audible(60_000)
