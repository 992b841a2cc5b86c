"""What every Recogniser and every Transcriber must do, seen through the SpeechToText that a session holds; and what Moonshine must hear."""

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from deployments.engines import ELSEWHERE, create
from serve_app.engines import HEARING_RATE, Audio, Begin, Drop, Due, End, Failed, Final, Guess, Guessed, Hints, Partial
from serve_app.errors import EngineFailed
from serve_app.listening import Limits
from serve_app.listening_apart import speech_to_text
from tests.engines.every import at_hand, every, warmed
from tests.recordings import BEST_OF_TIMES, EVERYTHING, alike, all_alike, word_error_rate

CHUNK = 1600


@pytest.fixture(params=every("recogniser"))
async def recogniser(request):
    async with at_hand("recogniser", request) as engine:
        yield engine


@pytest.fixture(params=every("recogniser", but=ELSEWHERE))
def stepping(request):
    """One that is stepped in this process."""
    return warmed("recogniser", request.param)


@pytest.fixture
def moonshine():
    return warmed("recogniser", "moonshine")


@asynccontextmanager
async def listening_to(recogniser, limits=None):
    listening = speech_to_text(recogniser, limits)
    try:
        yield listening
    finally:
        await listening.close()


def speak(ear, name, pcm):
    for start in range(0, len(pcm), CHUNK):
        ear.send(Audio(name, pcm[start : start + CHUNK]))


def say(ear, name, pcm):
    ear.send(Begin(name))
    speak(ear, name, pcm)
    ear.send(End(name))


async def answers(ear, count=1):
    """Finals and failures until there are `count`, by utterance, and the partials before them."""
    given, partials = {}, []
    async for result in ear.results():
        if isinstance(result, Partial):
            partials.append(result)
            continue
        given[result.utterance] = result
        if len(given) == count:
            return given, partials
    raise AssertionError("the ear was closed")


async def heard_alone(recogniser, pcm):
    async with listening_to(recogniser) as listening:
        ear = await listening.open("alone")
        say(ear, "only", pcm)
        return (await answers(ear))[0]["only"]


async def test_an_utterance_has_one_final_with_its_length(recogniser):
    final = await heard_alone(recogniser, EVERYTHING.pcm)
    assert isinstance(final, Final)
    assert final.text
    assert final.audio_s == pytest.approx(len(EVERYTHING.pcm) / HEARING_RATE)


async def test_nothing_said_is_an_empty_text(recogniser):
    assert (await heard_alone(recogniser, EVERYTHING.pcm[:0])).text == ""


async def test_two_utterances_at_once_are_not_mixed(recogniser):
    alone = [(await heard_alone(recogniser, recording.pcm)).text for recording in (BEST_OF_TIMES, EVERYTHING)]
    async with listening_to(recogniser) as listening:
        ears = [await listening.open(name) for name in ("one", "two")]
        for ear in ears:
            ear.send(Begin("same name"))
        for start in range(0, len(BEST_OF_TIMES.pcm), CHUNK):
            ears[0].send(Audio("same name", BEST_OF_TIMES.pcm[start : start + CHUNK]))
            ears[1].send(Audio("same name", EVERYTHING.pcm[start : start + CHUNK]))
        for ear in ears:
            ear.send(End("same name"))
        together = [(await answers(ear))[0]["same name"].text for ear in ears]
    assert all_alike(alone, together)


async def test_two_utterances_of_one_session_overlap(recogniser):
    alone = {name: (await heard_alone(recogniser, pcm)).text for name, pcm in (("a", BEST_OF_TIMES.pcm), ("b", EVERYTHING.pcm))}
    async with listening_to(recogniser) as listening:
        ear = await listening.open("session")
        ear.send(Begin("a"))
        speak(ear, "a", BEST_OF_TIMES.pcm[:CHUNK])
        say(ear, "b", EVERYTHING.pcm)
        speak(ear, "a", BEST_OF_TIMES.pcm[CHUNK:])
        ear.send(End("a"))
        given, _ = await answers(ear, 2)
    assert all(alike(alone[name], final.text) for name, final in given.items()) and given.keys() == alone.keys()


async def test_the_stable_part_of_a_partial_stays(stepping):
    stream = stepping.begin(Hints())
    stable = ""
    for start in range(0, 20 * HEARING_RATE, 2 * HEARING_RATE):
        pcm = np.resize(BEST_OF_TIMES.pcm, 20 * HEARING_RATE)[start : start + 2 * HEARING_RATE]
        (hypothesis,) = stepping.step([Due(stream, pcm, start == 18 * HEARING_RATE)])
        assert hypothesis.text.startswith(stable)
        stable = hypothesis.text[: hypothesis.stable_chars]
    assert hypothesis.stable_chars == len(hypothesis.text) > 0


async def test_a_guess_in_the_middle_is_answered_and_changes_nothing_of_what_follows(recogniser):
    alone = await heard_alone(recogniser, EVERYTHING.pcm)
    half = len(EVERYTHING.pcm) // 2
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        speak(ear, "u", EVERYTHING.pcm[:half])
        ear.send(Guess("u", 1.0))
        guessed = await guess(ear)
        assert (guessed.at_s, guessed.audio_s) == (1.0, half / HEARING_RATE)
        speak(ear, "u", EVERYTHING.pcm[half:])
        ear.send(End("u"))
        (given, _) = await answers(ear)
        assert alike(alone.text, given["u"].text)


async def guess(ear):
    async for result in ear.results():
        if isinstance(result, Guessed):
            return result
    raise AssertionError("the ear was closed")


async def test_a_dropped_utterance_has_no_answer_and_leaves_nothing(recogniser):
    async with listening_to(recogniser) as listening:
        ear = await listening.open("session")
        say(ear, "unwanted", EVERYTHING.pcm)
        ear.send(Drop("unwanted"))
        say(ear, "wanted", EVERYTHING.pcm[:CHUNK])
        given, partials = await answers(ear)
        assert list(given) == ["wanted"]
        assert {partial.utterance for partial in partials} <= {"wanted"}
        assert listening.utterances == 0


async def test_an_utterance_that_fails_harms_no_other(recogniser):
    async with listening_to(recogniser, Limits(longest_s=10)) as listening:
        endless, ear = await listening.open("endless"), await listening.open("other")
        say(endless, "too long", np.zeros(11 * HEARING_RATE, np.int16))
        say(ear, "short", EVERYTHING.pcm)
        assert isinstance((await answers(endless))[0]["too long"], Failed)
        assert (await answers(ear))[0]["short"].text


async def test_a_cancelled_session_leaves_nothing_behind(recogniser):
    async with listening_to(recogniser) as listening:

        async def session():
            ear = await listening.open("session")
            try:
                say(ear, "one", EVERYTHING.pcm)
                ear.send(Begin("two"))
                await answers(ear, 2)
            finally:
                await ear.close()

        task = asyncio.create_task(session())
        await asyncio.sleep(0)
        assert (listening.sessions, listening.utterances) == (1, 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (listening.sessions, listening.utterances) == (0, 0)


# --- Moonshine --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.weights
@pytest.mark.parametrize("recording", [BEST_OF_TIMES, EVERYTHING], ids=lambda recording: recording.file)
async def test_moonshine_hears_the_words(moonshine, recording):
    final = await heard_alone(moonshine, recording.pcm)
    assert word_error_rate(recording.words, final.text) <= 0.2


@pytest.mark.weights
async def test_moonshine_hears_the_words_of_a_minute(moonshine):
    pause = np.zeros(HEARING_RATE // 2, np.int16)
    passage = np.concatenate([BEST_OF_TIMES.pcm, pause, EVERYTHING.pcm, pause])
    final = await heard_alone(moonshine, np.tile(passage, 6))
    assert final.audio_s > 60
    assert word_error_rate(" ".join([BEST_OF_TIMES.words, EVERYTHING.words] * 6), final.text) <= 0.2


@pytest.mark.weights
async def test_moonshine_gives_partials_while_it_listens(moonshine):
    async with listening_to(moonshine) as listening:
        ear = await listening.open("session")
        ear.send(Begin("slow"))
        speak(ear, "slow", BEST_OF_TIMES.pcm[: 4 * HEARING_RATE])
        results = ear.results()
        first = await anext(results)
        assert isinstance(first, Partial)
        assert word_error_rate("It was the best of times, it was the worst of times.", first.text) <= 0.3


@pytest.mark.weights
def test_moonshine_tells_stable_words_while_the_user_speaks(moonshine):
    stream, told, growing_s = moonshine.begin(Hints()), "", [0.0]
    for start in range(0, len(BEST_OF_TIMES.pcm), moonshine.step_samples):
        (hypothesis,) = moonshine.step([Due(stream, BEST_OF_TIMES.pcm[start : start + moonshine.step_samples], False)])
        assert hypothesis.text.startswith(told)
        if hypothesis.stable_chars > len(told):
            told = hypothesis.text[: hypothesis.stable_chars]
            growing_s.append(start / HEARING_RATE)
    (final,) = moonshine.step([Due(stream, BEST_OF_TIMES.pcm[:0], True)])
    assert final.text.startswith(told) and len(told.split()) >= 12
    waits_s = np.diff(growing_s)
    assert np.median(waits_s) <= 1.0 and max(waits_s) <= 2.0
    assert word_error_rate(BEST_OF_TIMES.words, final.text) <= 0.2


@pytest.mark.weights
@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(3 * HEARING_RATE, np.int16),
        BEST_OF_TIMES.pcm[:CHUNK],
        np.random.default_rng(1).normal(0, 20, HEARING_RATE).astype(np.int16),
    ],
    ids=["silence", "a tenth of a second", "a quiet room"],
)
async def test_moonshine_hears_nothing_where_nothing_is_said(moonshine, pcm):
    assert (await heard_alone(moonshine, pcm)).text == ""


@pytest.mark.weights
async def test_moonshine_stops_where_the_model_would_go_on_for_ever(moonshine):
    tone = (8000 * np.sin(0.1 * np.arange(10 * HEARING_RATE))).astype(np.int16)
    assert len((await heard_alone(moonshine, tone)).text.split()) <= 70


@pytest.mark.weights
async def test_moonshine_hears_a_clip_in_a_batch_as_it_hears_it_alone(moonshine):
    clips = [BEST_OF_TIMES.pcm, EVERYTHING.pcm, BEST_OF_TIMES.pcm[: 2 * HEARING_RATE]]
    alone = [moonshine.step([Due(moonshine.begin(Hints()), clip, True)])[0].text for clip in clips]
    together = [answer.text for answer in moonshine.step([Due(moonshine.begin(Hints()), clip, True) for clip in clips])]
    assert all_alike(alone, together)


async def test_moonshine_that_was_not_warmed_says_so():
    with pytest.raises(EngineFailed, match="not warmed"):
        create("recogniser", "moonshine").step([])


def test_a_token_file_is_read_by_its_lengths():
    from deployments.engines.moonshine_model import read_tokens

    long = b"x" * 300
    data = b"\x03<s>" + b"\x02ab" + bytes([300 % 128 + 128, 300 // 128]) + long + b"\x08<<ST_0>>"
    assert read_tokens(data) == [b"", b"ab", long, b""]
