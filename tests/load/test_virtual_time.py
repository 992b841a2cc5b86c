"""An hour passes at once, in the right order."""

import asyncio

import pytest

from load_tests.virtual_time import Stuck, now, run


def test_sleepers_wake_in_order_and_at_their_time() -> None:
    async def both() -> list[tuple[str, float]]:
        woken: list[tuple[str, float]] = []

        async def sleeps(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            woken.append((name, now()))

        await asyncio.gather(sleeps("late", 3600.0), sleeps("early", 0.25))
        return woken

    assert run(both()) == [("early", pytest.approx(0.25)), ("late", pytest.approx(3600.0))]


def test_a_timeout_is_in_virtual_time_too() -> None:
    async def gives_up() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600.0):
                await asyncio.Event().wait()
        return now()

    assert run(gives_up()) == pytest.approx(600.0)


def test_waiting_for_nobody_is_an_error_and_does_not_hang() -> None:
    async def waits() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run(waits())
