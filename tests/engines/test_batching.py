"""Who shares a run. The run waits at a gate that the test opens."""

import asyncio
import threading

import pytest

from deployments.engines.batching import Batches
from serve_app.errors import EngineFailed, EngineGone


class Runs:
    def __init__(self):
        self.batches = []
        self.gate = threading.Event()
        self.began = threading.Semaphore(0)
        self.error = None

    def __call__(self, batch):
        self.batches.append(list(batch))
        self.began.release()
        assert self.gate.wait(30), "the gate stayed shut"
        if self.error:
            raise self.error
        return [number * 10 for number in batch]


@pytest.fixture
def runs():
    return Runs()


async def begun(runs):
    """Until one more run has begun."""
    assert await asyncio.to_thread(runs.began.acquire, timeout=30), "no run began"


async def asked(batches, *numbers):
    """Tasks that wait, in order."""
    tasks = [asyncio.ensure_future(batches.submit(number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_come_while_the_model_runs_share_the_next_run(runs):
    batches = Batches(runs, 8, 0.0)
    first = await asked(batches, 1)
    await begun(runs)
    others = await asked(batches, 2, 3, 4)
    runs.gate.set()
    assert await asyncio.gather(*first, *others) == [10, 20, 30, 40]
    assert runs.batches == [[1], [2, 3, 4]]


async def test_those_who_come_to_an_idle_model_within_the_window_share_a_run(runs):
    runs.gate.set()
    batches = Batches(runs, 2, 30.0)
    assert await asyncio.gather(*await asked(batches, 1, 2)) == [10, 20]
    assert runs.batches == [[1, 2]], "and it does not wait longer once the batch is full"


async def test_no_run_takes_more_than_it_may(runs):
    runs.gate.set()
    batches = Batches(runs, 2, 0.0)
    await asyncio.gather(*await asked(batches, *range(5)))
    assert max(len(batch) for batch in runs.batches) <= 2
    assert sorted(number for batch in runs.batches for number in batch) == list(range(5))


async def test_who_left_before_the_run_is_not_computed(runs):
    batches = Batches(runs, 8, 0.0)
    first = await asked(batches, 1)
    await begun(runs)
    leaves, stays = await asked(batches, 2, 3)
    leaves.cancel()
    await asyncio.sleep(0)
    runs.gate.set()
    assert await asyncio.gather(*first, stays) == [10, 30]
    assert runs.batches == [[1], [3]]


async def test_who_leaves_during_the_run_does_not_disturb_the_others(runs):
    batches = Batches(runs, 2, 30.0)
    leaves, stays = await asked(batches, 1, 2)
    await begun(runs)
    leaves.cancel()
    await asyncio.sleep(0)
    runs.gate.set()
    assert await stays == 20


async def test_a_run_that_fails_is_told_to_all_of_it_and_to_nobody_else(runs):
    runs.gate.set()
    runs.error = EngineFailed("no memory")
    batches = Batches(runs, 2, 30.0)
    assert [str(error) for error in await asyncio.gather(*await asked(batches, 1, 2), return_exceptions=True)] == ["no memory"] * 2
    runs.error = None
    assert await asyncio.gather(*await asked(batches, 3, 4)) == [30, 40]


@pytest.mark.parametrize("answers", [[], [10], [10, 20, 30]])
async def test_a_run_that_gives_too_few_or_too_many_answers_fails_for_all_of_it(answers):
    batches = Batches(lambda batch: answers, 2, 30.0)
    told = await asyncio.wait_for(asyncio.gather(*await asked(batches, 1, 2), return_exceptions=True), 30)
    assert [type(one) for one in told] == [EngineFailed] * 2


async def test_closing_lets_the_run_end_and_sends_those_who_wait_away(runs):
    batches = Batches(runs, 1, 0.0)
    first = await asked(batches, 1)
    await begun(runs)
    waiting = await asked(batches, 2)
    closing = asyncio.ensure_future(batches.close(lambda: runs.batches.append("closed")))
    with pytest.raises(EngineGone):
        await waiting[0]
    runs.gate.set()
    await closing
    assert await first[0] == 10
    assert runs.batches == [[1], "closed"]
    with pytest.raises(EngineGone):
        await batches.submit(3)


def test_it_serves_one_event_loop_after_the_other(runs):
    runs.gate.set()
    batches = Batches(runs, 8, 0.0)
    assert [asyncio.run(batches.submit(number)) for number in (1, 2)] == [10, 20]
