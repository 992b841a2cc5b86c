"""Engines on paper take what their paces say, and wait for each other as real ones do."""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from load_tests.simulated_engines import Gpu, Model, ModelPace, OneByOne
from load_tests.virtual_time import now, run

PACE = ModelPace(step_s=0.03, sequence_s=0.001, remembered_s=0.0, prompt_s=0.002, at_once=2, cache_block=100)


async def ended(work: Awaitable[Any]) -> float:
    await work
    return now()


def times(*jobs: Coroutine[Any, Any, Any]) -> Any:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*jobs)

    return run(all_of_them())


async def clauses(model: Model, known: int, new: int, tokens: list[int]) -> list[float]:
    async with aclosing(model.reply(known, new, tokens)) as written:
        return [now() async for _ in written]


def test_work_at_the_same_time_shares_the_gpu() -> None:
    gpu = Gpu()
    assert times(ended(gpu.work(1.0)), ended(gpu.work(2.0))) == [pytest.approx(2.0), pytest.approx(3.0)]


def test_work_that_comes_later_slows_down_what_is_under_way() -> None:
    gpu = Gpu()

    async def later() -> float:
        await asyncio.sleep(0.5)
        return await ended(gpu.work(0.5))

    assert times(ended(gpu.work(1.0)), later()) == [pytest.approx(1.5), pytest.approx(1.5)]


def test_a_gpu_of_its_own_is_not_slowed_down() -> None:
    gpu = Gpu(shared=False)
    assert times(ended(gpu.work(1.0)), ended(gpu.work(2.0))) == [pytest.approx(1.0), pytest.approx(2.0)]


def test_work_that_is_given_up_leaves_the_gpu_to_the_others() -> None:
    async def given_up() -> float:
        gpu = Gpu()
        work = asyncio.create_task(gpu.work(5.0))
        other = asyncio.create_task(ended(gpu.work(1.0)))
        await asyncio.sleep(1.0)
        work.cancel()
        return await other

    assert run(given_up()) == pytest.approx(1.5)


def test_sentences_are_spoken_one_after_the_other() -> None:
    voice = OneByOne(Gpu(), 0.03)
    assert times(ended(voice.one()), ended(voice.one())) == [pytest.approx(0.03), pytest.approx(0.06)]


def test_a_token_is_a_step_and_the_prompt_comes_with_the_first() -> None:
    model = Model(Gpu(), PACE)
    assert run(clauses(model, 0, 10, [1, 2])) == [pytest.approx(0.051), pytest.approx(0.051 + 2 * 0.031)]


def test_what_is_known_of_a_prompt_counts_in_whole_blocks() -> None:
    assert run(clauses(Model(Gpu(), PACE), 250, 10, [1])) == [pytest.approx(0.031 + 0.002 * 60)]


def test_replies_share_a_step_which_takes_longer_for_each() -> None:
    model = Model(Gpu(), PACE)
    assert times(clauses(model, 0, 0, [3]), clauses(model, 0, 0, [3])) == [[pytest.approx(3 * 0.032)]] * 2


def test_a_reply_beyond_the_most_at_once_waits_for_another_to_end() -> None:
    model = Model(Gpu(), PACE)
    *_, third = times(clauses(model, 0, 0, [1]), clauses(model, 0, 0, [4]), clauses(model, 0, 0, [1]))
    assert third == [pytest.approx(2 * 0.032)]


def test_a_reply_that_is_given_up_takes_no_more_steps() -> None:
    async def given_up() -> int:
        model = Model(Gpu(), PACE)
        async with aclosing(model.reply(0, 0, [2, 50])) as written:
            await anext(written)
        await asyncio.sleep(10.0)
        return model.tokens

    assert run(given_up()) <= 3
