import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.core.clauses import LONGEST, ClauseCutter


def cut(text: str, size: int = 3) -> list[str]:
    cutter = ClauseCutter()
    clauses = [clause for start in range(0, len(text), size) for clause in cutter.feed(text[start : start + size])]
    return clauses + cutter.flush()


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("Hello.", ["Hello."]),
        ("Yes. It is a very fine day today.", ["Yes.", " It is a very fine day today."]),
        ("Well of course, I can tell you about it.", ["Well of course,", " I can tell you about it."]),
        (
            "It costs $3.50 in the shop over there. Is that too much for you?",
            ["It costs $3.50 in the shop over there.", " Is that too much for you?"],
        ),
        ("Ask Dr. Smith about it.", ["Ask Dr. Smith about it."]),
        ("Ask e.g. your friend about it.", ["Ask e.g. your friend about it."]),
        ("1. Take the train to the town\n2. Walk from there", ["1. Take the train to the town\n", "2. Walk from there"]),
        ("One. Two. Three. Four. Five. Six. Seven.", ["One.", " Two. Three. Four. Five. Six.", " Seven."]),
        ("", []),
        ("   ", []),
    ],
)
def test_a_text_is_cut_where_a_speaker_would_breathe(text: str, clauses: list[str]) -> None:
    assert cut(text) == clauses


def test_the_first_clause_leaves_before_the_sentence_is_over() -> None:
    cutter = ClauseCutter()
    assert cutter.feed("The capital of France, which is ") == ["The capital of France,"]


def test_a_text_without_punctuation_is_cut_all_the_same() -> None:
    clauses = cut("word " * 200)
    assert len(clauses) > 3 and max(map(len, clauses)) <= LONGEST


@given(st.text(alphabet="ab1 .,!?\n-—:;é。", max_size=400), st.integers(1, 40))
def test_the_clauses_joined_are_the_text(text: str, size: int) -> None:
    joined = "".join(cut(text, size))
    assert joined == text or (text.startswith(joined) and not text[len(joined) :].strip())
