"""What the comparison with another voice agent computes."""

import re
from pathlib import Path

import numpy as np
import pytest

from load_tests.bench.beside_pipecat import BESIDE, _rows
from load_tests.bench.spoken_turn import Turn, frames_at
from load_tests.questions import FRAME_S, QUIET, WIRE_RATE, Question, questions
from tests.real_server import ROOT

SILENCE = np.zeros(WIRE_RATE // 10, np.int16)
VOICE = np.full(WIRE_RATE // 10, QUIET + 1, np.int16)


def test_an_answer_is_heard_at_its_first_sample_that_is_louder_than_silence() -> None:
    turn = Turn(over_at=1.0)
    turn.play(np.concatenate((SILENCE, VOICE)), 2.0)
    assert turn.first_audio_s == pytest.approx(1.0)
    assert turn.wait_s == pytest.approx(1.1)


def test_sound_that_came_early_is_heard_after_the_silence_before_it() -> None:
    turn = Turn(over_at=1.0)
    turn.play(SILENCE, 2.0)
    turn.play(VOICE, 2.01)
    assert turn.wait_s == pytest.approx(1.1)


def test_sound_that_came_late_is_heard_when_it_comes() -> None:
    turn = Turn(over_at=1.0)
    turn.play(SILENCE, 2.0)
    turn.play(VOICE, 3.0)
    assert turn.wait_s == pytest.approx(2.0)


def test_silence_alone_is_no_answer() -> None:
    turn = Turn(over_at=1.0)
    turn.play(SILENCE, 2.0)
    assert turn.wait_s is None


@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_a_question_lasts_as_long_and_ends_at_the_same_frame_at_each_rate(rate: int) -> None:
    for question in questions():
        frames = frames_at(rate, question.frames)
        assert {len(frame) for frame in frames} == {2 * round(rate * FRAME_S)}
        pcm = np.frombuffer(b"".join(frames), "<i2").astype(int)
        last = int(np.flatnonzero(np.abs(pcm) > QUIET)[-1]) // round(rate * FRAME_S)
        assert abs(last - question.last_speech) <= 1


def test_what_runs_the_models_has_the_same_version_on_both_sides() -> None:
    server, beside = (_pins(ROOT / lock) for lock in ("requirements/cpu.lock", "load_tests/bench/pipecat.lock"))
    for package in ("espeakng-loader", "misaki", "numpy", "onnxruntime", "phonemizer-fork", "spacy"):
        assert beside[package] == server[package]


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text(), re.M))


def asked(wait_s: float, problem: str | None = None) -> tuple[Question, Turn]:
    question = questions()[0]
    return question, Turn(over_at=0.0, first_audio_at=wait_s, audible_at=wait_s, heard=question.words, problem=problem)


def test_a_side_is_compared_by_its_median_and_turns_without_an_answer_are_counted_apart() -> None:
    turns = {"eager": [asked(1.0), asked(1.2), asked(9.0), asked(0.1, "no answer")], BESIDE: [asked(2.0), asked(2.4), asked(2.5)]}
    ours, theirs = _rows("semantic", turns)
    assert (ours["ratio"], ours["turns"], ours["missed"]) == (0.5, 3, 1)
    assert (theirs["ratio"], theirs["turns"], theirs["missed"]) == (1.0, 3, 0)
