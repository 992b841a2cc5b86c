"""Local agreement: what clients were sent of a transcript is never taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.agreement import Agreement, continued


def deltas(*hypotheses: str) -> list[str]:
    """What is sent after each; the last is final."""
    agreement, told, sent = Agreement(), "", []
    for number, hypothesis in enumerate(hypotheses):
        text, stable = agreement.heard(hypothesis, number == len(hypotheses) - 1)
        assert text.startswith(told)
        sent.append(text[len(told) : max(stable, len(told))])
        told = text[: max(stable, len(told))]
    return sent


def test_what_two_hypotheses_agree_on_is_sent_but_for_the_newest_word() -> None:
    heard = "What is.", "What is the cat.", "What is the capital of.", "What is the capital of France?"
    assert deltas(*heard) == ["", "What", " is the", " capital of France?"]


def test_a_pause_does_not_fix_the_full_stop_that_it_makes() -> None:
    assert deltas("My name is.", "My name is.", "My name is.", "My name is Ana.") == ["", "My name", "", " is Ana."]


def test_words_that_are_not_spaced_are_characters() -> None:
    assert deltas("今天天", "今天天气", "今天天气很好。") == ["", "今天天", "气很好。"]


@pytest.mark.parametrize(
    ("stable", "text", "whole"),
    [
        ("", "Hello.", "Hello."),
        ("What is", "What is the time?", "What is the time?"),
        ("What is the cat", "What is the capital of France?", "What is the cat of France?"),
        ("I use cloud", "I use Claude code every day.", "I use cloud code every day."),
        ("best of times. it", "Best of times, it was", "best of times. it was"),
        ("We had two", "We had to go.", "We had two go."),
        ("Hello there my", "", "Hello there my"),
        ("one two three", "two three four", "one two three four"),
        ("Hello", "Goodbye", "Hello"),
    ],
)
def test_a_hypothesis_that_contradicts_what_was_sent_continues_it(stable: str, text: str, whole: str) -> None:
    assert continued(stable, text) == whole


def test_a_long_transcript_is_continued_from_its_end() -> None:
    words = [f"word{number}" for number in range(3000)]
    assert continued(" ".join(words), " ".join([*words[:-1], "changed", "new"])) == " ".join([*words, "new"])


WORDS = st.lists(st.sampled_from(["the", "The", "cat", "cat.", "sat", "on", "a", "mat,", "今", "天"]), max_size=8).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=8))
def test_nothing_is_taken_back_whatever_the_hypotheses(hypotheses: list[str]) -> None:
    agreement, told = Agreement(), ""
    for number, hypothesis in enumerate(hypotheses):
        final = number == len(hypotheses) - 1
        text, stable = agreement.heard(hypothesis, final)
        assert text.startswith(told) and len(told) <= stable <= len(text)
        assert not final or stable == len(text)
        told = text[:stable]
