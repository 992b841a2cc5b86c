"""Keywords and phrases that NeMo is made to prefer, with the small model of our own making."""

import asyncio

import pytest

from deployments.engines import create
from deployments.engines.nemo_rnnt import CHUNKS_MS
from serve_app.engines import Due, Hints
from tests.engines.nemo import (
    BOOSTED,
    CLAUDE,
    CODE,
    COMPUTING,
    FRANCE,
    MODEL,
    STORAGE,
    WORDS,
    heard,
    nemo,
    spoken,
    together,
)

every_chunk = pytest.mark.parametrize("chunk_ms", CHUNKS_MS)
pytestmark = pytest.mark.weights


@every_chunk
def test_keywords_turn_the_ambiguous_phrase_and_leave_the_cloud_alone(chunk_ms):
    engine, boosted = nemo(chunk_ms), Hints(keywords=("Claude Code",))
    files = [CODE, CODE, COMPUTING, STORAGE, FRANCE, COMPUTING]
    hints = [Hints(), boosted, boosted, boosted, boosted, Hints()]
    texts = [answer.text for answer in together(engine, [spoken(file) for file in files], hints)]
    assert texts == [WORDS[CODE], CLAUDE, WORDS[COMPUTING], WORDS[STORAGE], WORDS[FRANCE], WORDS[COMPUTING]]


@pytest.mark.parametrize("prompt", ["Claude Code, Kubernetes", "The user talks about Claude Code and its plugins all day long."])
def test_a_prompt_boosts_its_phrases(prompt):
    assert heard(nemo(), spoken(CODE), Hints(prompt=prompt)).text == CLAUDE


def test_standing_phrases_are_boosted_in_every_stream():
    engine = create("recogniser", "nemo-rnnt", model=MODEL, device="cpu", decoding={"phrases": ["Claude Code"], **BOOSTED})
    asyncio.run(engine.warm())
    assert heard(engine, spoken(CODE)).text == CLAUDE


def test_without_weight_nothing_is_boosted():
    engine = create("recogniser", "nemo-rnnt", model=MODEL, device="cpu", decoding={"weight": 0})
    asyncio.run(engine.warm())
    assert heard(engine, spoken(CODE), Hints(keywords=("Claude Code",))).text == WORDS[CODE]


def test_a_tree_is_built_once_for_the_same_phrases():
    engine = nemo()
    engine.begin(Hints(keywords=("aardvark",)))
    built = engine.trees_built
    streams = [engine.begin(Hints(keywords=("aardvark",))) for _ in range(20)]
    assert engine.trees_built == built
    assert len({stream.tree for stream in streams}) == 1


def test_trees_that_no_stream_uses_are_taken_out_again():
    engine = nemo()
    kept = engine.begin(Hints(keywords=("Claude Code",)))
    for number in range(200):
        engine.begin(Hints(keywords=(f"keyword {number}",)))
    trees = engine._ready().boosting._trees
    assert trees.num_models - len(trees.free_ids) <= 70
    assert engine.step([Due(kept, spoken(CODE), True)])[0].text == CLAUDE


def test_absurd_keywords_are_no_error():
    absurd = Hints(keywords=("", " ", "日本語", "x" * 10_000, *(f"word {n}" for n in range(1000))), prompt="?!" * 1000)
    assert heard(nemo(), spoken(FRANCE), absurd).text == WORDS[FRANCE]
