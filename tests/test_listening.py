"""The scheduler between sessions and a model, with the fake model: what becomes of an utterance."""

from deployments.engines.fake import FakeRecogniser
from serve_app.engines import Audio, Begin, Drop, End, Failed, Final, Guess, Guessed, Hints, Partial
from serve_app.errors import EngineFailed
from tests.listener import a_step_is_held, listening_to, next_of, say, seconds


async def test_an_utterance_is_answered_with_a_final():
    async with listening_to(FakeRecogniser(["hello there"])) as listening:
        ear = await listening.open("s")
        say(ear, "u", 1.5)
        assert await next_of(ear) == Final("u", "hello there", 1.5)
        assert listening.utterances == 0


async def test_a_partial_comes_with_each_step_of_new_audio_and_not_before():
    recogniser = FakeRecogniser(["one two three"], step_s=0.5)
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.4)))
        assert not listening.busy
        ear.send(Audio("u", seconds(0.1)))
        assert listening.busy
        assert await next_of(ear) == Partial("u", "one", 3)
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "one two", 7)


async def test_a_partial_that_says_nothing_new_is_not_sent():
    async with listening_to(FakeRecogniser(["word"])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "word", 4)
        ear.send(Audio("u", seconds(0.5)))
        await listening.idle()
        assert len(ear.unread) == 0
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "word", 1.0)


async def test_a_guess_is_as_final_as_the_end_and_the_utterance_goes_on():
    async with listening_to(FakeRecogniser(["one two three four"])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.5)))
        assert await next_of(ear) == Partial("u", "one", 3)
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 7.5))
        assert await next_of(ear) == Guessed("u", "one two three four", 7.5, 0.75)
        ear.send(Audio("u", seconds(0.25)))
        assert await next_of(ear) == Partial("u", "one two", 7)
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "one two three four", 1.0)


async def test_a_guess_before_the_first_step_takes_nothing_from_the_utterance():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 1.0))
        assert await next_of(ear) == Guessed("u", "heard 0.25 seconds", 1.0, 0.25)
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "heard 0.25 seconds", 0.25)


async def test_an_utterance_begins_once_though_its_first_step_is_a_guess():
    recogniser = FakeRecogniser(["first", "second"])
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 1.0))
        assert await next_of(ear) == Guessed("u", "first", 1.0, 0.25)
        ear.send(End("u"))
        assert await next_of(ear) == Final("u", "first", 0.25)
    assert len(recogniser.hints) == 1


async def test_a_guess_that_fails_fails_the_utterance():
    async with listening_to(FakeRecogniser([EngineFailed("broken")])) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u"))
        ear.send(Audio("u", seconds(0.25)))
        ear.send(Guess("u", 1.0))
        assert await next_of(ear) == Failed("u", "broken")


async def test_hints_reach_the_model():
    recogniser = FakeRecogniser()
    hints = Hints("en", "A talk about ships", ("bosun",))
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        ear.send(Begin("u", hints))
        ear.send(End("u"))
        assert (await next_of(ear)).text == ""
        assert recogniser.hints == [hints]


async def test_a_drop_during_the_step_leaves_no_answer():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await a_step_is_held(listening, recogniser)
        ear.send(Drop("held"))
        assert listening.utterances == 0
        recogniser.gate.open()
        await listening.idle()
        assert len(ear.unread) == 0


async def test_an_utterance_of_the_same_name_is_not_given_the_answer_of_the_dropped_one():
    recogniser = FakeRecogniser(["old", "new"])
    async with listening_to(recogniser) as listening:
        ear = await a_step_is_held(listening, recogniser)
        ear.send(Drop("held"))
        say(ear, "held", 0.5)
        recogniser.gate.open()
        assert await next_of(ear) == Final("held", "new", 0.5)


async def test_a_drop_before_the_step_spares_the_model_the_work():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        say(ear, "u")
        ear.send(Drop("u"))
        await listening.idle()
        assert recogniser.batches == []


async def test_a_drop_takes_back_an_answer_that_was_not_read():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        say(ear, "u")
        await listening.idle()
        ear.send(Drop("u"))
        assert len(ear.unread) == 0


async def test_a_second_begin_starts_afresh():
    recogniser = FakeRecogniser()
    async with listening_to(recogniser) as listening:
        ear = await listening.open("s")
        say(ear, "u", 0.3)
        say(ear, "u", 0.2)
        assert await next_of(ear) == Final("u", "heard 0.20 seconds", 0.2)
        assert recogniser.batches == [1]
        assert listening.utterances == 0


async def test_messages_about_utterances_that_are_not_open_are_ignored():
    async with listening_to(FakeRecogniser()) as listening:
        ear = await listening.open("s")
        ear.send(Audio("never begun", seconds(1)))
        ear.send(End("never begun"))
        say(ear, "u")
        ear.send(Audio("u", seconds(5)))
        assert await next_of(ear) == Final("u", "heard 1.00 seconds", 1.0)
