"""The fake language model can take its time as a real one does: a step for all replies."""

import asyncio
from contextlib import aclosing

import pytest

from deployments.engines.fake import FakeLanguageModel
from deployments.engines.pacing import Steps
from load_tests.virtual_time import now, run
from serve_app.engines import ChatMessage, Prompt, TextDelta


async def words(model: FakeLanguageModel, begins_s: float = 0.0) -> list[float]:
    await asyncio.sleep(begins_s)
    async with aclosing(model.reply(Prompt((ChatMessage("user", "one two"),)))) as pieces:  # type: ignore[type-var]
        return [now() async for piece in pieces if isinstance(piece, TextDelta)]


def paced(*begins_s: float) -> list[list[float]]:
    async def all_of_them() -> list[list[float]]:
        model = FakeLanguageModel(step_s=0.1, sequence_s=0.01)
        return await asyncio.gather(*(words(model, at) for at in begins_s))

    return run(all_of_them())


def test_a_word_is_a_step() -> None:
    assert paced(0.0) == [pytest.approx([0.11, 0.22, 0.33, 0.44])]


def test_replies_at_the_same_time_share_their_steps() -> None:
    assert paced(0.0, 0.0) == [pytest.approx([0.12, 0.24, 0.36, 0.48])] * 2


def test_a_reply_that_comes_during_a_step_waits_for_the_next() -> None:
    _, second = paced(0.0, 0.05)
    assert second[0] == pytest.approx(0.11 + 0.12)


def test_steps_end_with_the_last_reply() -> None:
    async def after() -> int:
        steps = Steps(0.1, 0.0)
        with steps.joined() as stepped:
            await stepped()
        await asyncio.sleep(1.0)
        return len(asyncio.all_tasks())

    assert run(after()) == 1
