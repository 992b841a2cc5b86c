"""What a speaker on paper waits is what the server's way of taking turns makes of the engines' times."""

import asyncio
from dataclasses import replace

import pytest

from load_tests.bench.spark_on_paper import Case, Row, carried, model_pace, most, simulated
from load_tests.simulated_engines import Gpu, Model, ModelPace, OneByOne
from load_tests.simulated_talk import Found, Habits, Node, Serving, Speaker
from load_tests.virtual_time import run

PLAIN = Habits(hesitates=0.0, interrupts=0.0, first_clause_tokens=(10, 10), later_clauses=(0, 0))
SERVING = Serving(guesses_s=0.2, frames_s=(0.05, 0.05), overhead_s=0.0)
ALONE_S = 0.02 + 10 * 0.03 + 0.03
"""Recognition, ten tokens, synthesis."""


def waits(habits: Habits, serving: Serving, model_step_s: float = 0.03) -> Found:
    async def talk() -> Found:
        gpu, found = Gpu(), Found()
        pace = ModelPace(model_step_s, 0.0, 0.0, 0.0, at_once=8, cache_block=1)
        speaker = Speaker(Node(OneByOne(gpu, 0.02), Model(gpu, pace), OneByOne(gpu, 0.03)), habits, serving, 1, found)
        talking = asyncio.create_task(speaker.talk())
        await asyncio.sleep(300.0)
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        return found

    return run(talk())


def test_a_patient_turn_is_the_sum() -> None:
    patient = waits(PLAIN, replace(SERVING, guesses_s=None)).waits
    assert patient and patient == pytest.approx([0.55 + ALONE_S] * len(patient))


def test_an_eager_turn_is_the_longer_of_the_silence_and_the_work_begun_in_it() -> None:
    short = waits(PLAIN, SERVING, model_step_s=0.01).waits
    assert short and short == pytest.approx([0.55] * len(short))
    long = waits(PLAIN, SERVING).waits
    assert long and long == pytest.approx([0.25 + ALONE_S] * len(long))


def test_drafts_in_hesitations_are_wasted_and_patient_turns_waste_none() -> None:
    hesitant = replace(PLAIN, hesitates=1.0, hesitation_s=(0.4, 0.4))
    eager, patient = waits(hesitant, SERVING), waits(hesitant, replace(SERVING, guesses_s=None))
    assert eager.wasted >= len(eager.waits) > 0
    assert patient.wasted == 0


def test_clauses_that_come_after_the_one_before_was_played_are_stutters() -> None:
    chatty = replace(PLAIN, later_clauses=(1, 1))
    assert waits(chatty, SERVING).stutters == 0
    assert waits(chatty, SERVING, model_step_s=0.4).stutters > 0


def test_more_sessions_wait_longer_and_the_same_seed_waits_the_same() -> None:
    one, many = simulated(Case(), 1, 2.0), simulated(Case(), 16, 2.0)
    assert one.p95_s < many.p95_s
    assert many == simulated(Case(), 16, 2.0)


def test_two_sparks_carry_twice_as_many_at_the_same_wait() -> None:
    assert simulated(Case("two"), 16, 5.0).p95_s == pytest.approx(simulated(Case("one"), 8, 5.0).p95_s, rel=0.1)


def test_the_model_writes_alone_as_fast_as_the_bandwidth_allows() -> None:
    assert 1 / model_pace().step_s == pytest.approx(0.8 * 273 / 7.55)


def row(sessions: int, p95_s: float, stutters: int = 0) -> Row:
    return Row(sessions, 100, p95_s, p95_s, p95_s, stutters, 0, 0.5)


@pytest.mark.parametrize("capacity", [0, 1, 2, 11, 16])
def test_the_search_finds_the_last_number_that_fits(capacity: int) -> None:
    rows = carried(lambda sessions: row(sessions, 0.5 if sessions <= capacity else 0.9), 0.8)
    assert most(rows, 0.8) == capacity


def test_a_load_that_stutters_is_not_carried() -> None:
    assert most([row(1, 0.5), row(2, 0.5, stutters=9)], 0.8) == 1
