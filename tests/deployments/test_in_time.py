"""What several replicas are asked at once: one that hangs or fails holds up no other."""

import asyncio

import pytest

from deployments.remote import in_time
from serve_app.errors import EngineGone


async def gives(what: str) -> str:
    return what


async def fails() -> str:
    raise OSError("its node is gone")


async def never() -> str:
    await asyncio.Event().wait()
    raise AssertionError("it was not to go on")


async def test_those_that_answer_are_heard_beside_one_that_hangs_and_one_that_fails() -> None:
    assert await in_time([gives("one"), never(), fails(), gives("two")], 0.05) == ["one", "two"]


async def test_where_all_hang_it_is_said_that_none_answers() -> None:
    with pytest.raises(EngineGone, match="does not answer"):
        await in_time([never(), never()], 0.05)


async def test_those_that_are_not_waited_for_any_more_are_ended() -> None:
    hanging = [asyncio.ensure_future(never()) for _ in range(2)]
    waiting = asyncio.create_task(in_time(hanging, 60))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert all(one.cancelled() for one in hanging)
