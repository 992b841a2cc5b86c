"""What the language model's deployment adds to a prompt and counts of a reply, without Ray."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deployments.figures import Waiting
from deployments.llm import LanguageModel
from serve_app.engine_settings import LanguageModelSettings
from serve_app.engines import Prompt, ReplyEnd, ReplyPiece, TextDelta
from serve_app.measures import LOOPS, Tally


class Looping:
    def __init__(self, looped: bool) -> None:
        self.looped = looped
        self.asked: list[Prompt] = []

    async def reply(self, prompt: Prompt) -> AsyncIterator[ReplyPiece]:
        self.asked.append(prompt)
        yield TextDelta("Round and round.")
        yield ReplyEnd("stop", 1, 2, looped=self.looped)


def deployed(engine: Looping, **settings: Any) -> LanguageModel:
    model = LanguageModel.__new__(LanguageModel)
    model._settings = LanguageModelSettings(engine="fake", num_cpus=0, **settings)
    model._sink, model._waiting, model._engine = Tally(), Waiting(), engine
    return model


@pytest.mark.parametrize("looped", [True, False])
async def test_replies_that_went_round_in_circles_are_counted(looped: bool) -> None:
    model = deployed(Looping(looped))
    assert [piece async for piece in model._reply(Prompt(()))][-1] == ReplyEnd("stop", 1, 2, looped=looped)
    assert model._sink.counts[LOOPS.name, ""] == looped


async def test_loops_are_left_alone_where_settings_say_so() -> None:
    for ends in (True, False):
        engine = Looping(False)
        _ = [piece async for piece in deployed(engine, ends_loops=ends)._reply(Prompt(()))]
        assert engine.asked[0].ends_loops is ends


async def test_a_reply_without_a_limit_has_that_of_the_settings() -> None:
    engine = Looping(False)
    model = deployed(engine, max_tokens=99)
    for prompt in (Prompt(()), Prompt((), max_tokens=700)):
        _ = [piece async for piece in model._reply(prompt)]
    assert [prompt.max_tokens for prompt in engine.asked] == [99, 700]
